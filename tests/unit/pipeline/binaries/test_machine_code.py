"""What a library registers is read from its code, and nothing is made up where the code does not show it."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from pipeline.binaries import machine_code
from tests.fixtures.native_code import ARM64, X86_64, Code, library

OPS = {"ReadFile": "filename: string", "StringLength": "input: string", "MatMul": "a: T", "PyFunc": "input: Tin"}
BUILTINS = [(number, 1, 1 + number % 4) for number in range(40)]


@pytest.mark.parametrize("machine", [ARM64, X86_64])
def test_kernels_are_told_from_ops_without_one(machine: int) -> None:
    found = machine_code.read(library(Code(OPS, ["ReadFile", "StringLength", "MatMul"]), machine))
    assert found.kernels == {"ReadFile", "StringLength", "MatMul"}
    assert found.version == "2.14.0"


@pytest.mark.parametrize("machine", [ARM64, X86_64])
def test_builtins_with_their_versions(machine: int) -> None:
    found = machine_code.read(library(Code(builtins=BUILTINS), machine))
    assert found.builtins == {number: (least, greatest) for number, least, greatest in BUILTINS}
    assert found.kernels == set()


def test_a_name_that_nobody_registers_does_not_count() -> None:
    found = machine_code.read(library(Code(OPS, extra=b"\0WriteFile\0RegexSplitWithOffsets\0")))
    assert found.kernels == set()
    assert found.version is None


def test_calls_with_names_of_no_op_are_not_kernels() -> None:
    assert machine_code.read(library(Code(OPS, ["Alice", "Bob", "Carol", "Dave"]))).kernels == set()


def test_too_few_to_be_sure_count_as_none() -> None:
    assert machine_code.read(library(Code(OPS, ["ReadFile"], BUILTINS[:5]))).kernels == set()
    assert machine_code.read(library(Code(builtins=BUILTINS[:5]))).builtins == {}


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x7fELF\x01\x01" + bytes(100), b"\x7fELF\x02\x01\x01"])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is no|its headers"):
        machine_code.read(data)


def test_another_machine_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="not known here"):
        machine_code.read(library(Code(OPS), machine=243))


@pytest.mark.parametrize("machine", [ARM64, X86_64])
def test_damage_is_no_crash(machine: int) -> None:
    good = library(Code(OPS, list(OPS), BUILTINS), machine, page=64)
    rng = np.random.default_rng(0)
    for _ in range(40):
        content = bytearray(good[: int(rng.integers(100, len(good)))])
        for place in rng.integers(16, len(content), 30):
            content[place] = int(rng.integers(0, 256))
        with suppress(ValueError):
            machine_code.read(bytes(content))
