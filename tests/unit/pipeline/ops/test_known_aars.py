"""What the farm knows of its runtimes fits their pinned files, and agrees with the table of versions."""

from __future__ import annotations

import pytest

from pipeline.ops import allowlist, known_aars, versions
from pipeline.ops.known_aars import APP, STOCK
from pipeline.ops.known_aars_writing import ROLES
from pipeline.ops.reading import OpKind, OpUse
from pipeline.toolchain import pins


@pytest.mark.parametrize("name", list(ROLES))
def test_the_readings_are_of_the_pinned_files(name: str) -> None:
    pinned = {one.file_name: one.sha256 for one in pins.load().with_role(ROLES[name])}
    assert known_aars.load(name).files == pinned
    assert known_aars.find(pinned) is known_aars.load(name)


@pytest.mark.parametrize(("name", "version", "page"), [(APP, "2.21.0", 16384), (STOCK, "2.14.0", 4096)])
def test_the_code_registers_what_the_table_of_versions_says(name: str, version: str, page: int) -> None:
    found = known_aars.load(name)
    for abi in ("arm64-v8a", "x86_64"):
        reading = found.abis[abi]
        assert (reading.version, reading.page_size) == (version, page)
        assert len(reading.builtins) > 150
        for op, (least, greatest) in reading.builtins.items():
            assert least in (1, 2)
            since = versions.first_runtime(op, greatest)
            if since is not None:
                assert versions.as_numbers(since) <= versions.as_numbers(version), op
    assert found.abis["arm64-v8a"].builtins == found.abis["x86_64"].builtins


def test_the_stock_aar_is_exactly_as_new_as_its_version() -> None:
    for op, (_, greatest) in known_aars.load(STOCK).abis["arm64-v8a"].builtins.items():
        following = versions.first_runtime(op, greatest + 1)
        assert following is None or versions.as_numbers(following) > (2, 14), op


def test_what_the_portable_io_mode_needs_is_in_the_stock_aar() -> None:
    kernels = allowlist.stock_kernels()
    assert {"DecodePaddedRaw", "StringLength", "ReduceJoin", "ReadFile"} <= kernels
    assert not {"RegexSplitWithOffsets", "PyFunc", "EagerPyFunc", "NcclAllReduce"} & kernels
    stock = known_aars.load(STOCK)
    assert stock.abis["arm64-v8a"].kernels == stock.abis["x86_64"].kernels


def test_other_files_are_not_known() -> None:
    assert known_aars.find({"tensorflow-lite-2.14.0.aar": "0" * 64}) is None


def test_a_library_that_cannot_be_read_gives_no_answer() -> None:
    stock = known_aars.load(STOCK)
    use = OpUse(OpKind.FLEX, "FlexReduceJoin", 1, "main", "", runs="ReduceJoin")
    assert stock.has(use) == {"arm64-v8a": "yes", "armeabi-v7a": "unknown", "x86": "unknown", "x86_64": "yes"}
