"""The checks of an APK that need no program: each finds what it is for, and nothing in a sound package."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from farm.jobspec import Abi, AppSpec
from worker.android import archive, checks, pins
from worker.android.archive import Member
from worker.android.assembly import MODEL_ASSET
from worker.android.badging import Badging
from worker.android.checks import Expectation, Finding, Package
from worker.android.signing import Signature

ARM64_LIBRARY = "lib/arm64-v8a/libx.so"
PAGE = 16384
MODEL = b"TFL3" * 5000
Elf = Callable[[int, list[tuple[int, int]]], bytes]
Dex = Callable[[list[str], list[int]], bytes]
EXPECTED = Expectation(
    app=AppSpec(abis=(Abi.ARM64,)), target=pins.load().target, assets={MODEL_ASSET: hashlib.sha256(MODEL).hexdigest()}
)
BADGING = Badging(
    application_id="dev.kerasfarm.autocomplete",
    version_code=1,
    version_name="1.0",
    label="Autocomplete",
    min_sdk=26,
    target_sdk=35,
    abis=frozenset({"arm64-v8a"}),
    activities=("a.Main",),
    permissions=(),
    debuggable=False,
)


def _members(**alignments: int) -> list[Member]:
    return [
        Member("resources.arsc", b"table", alignments.get("table", 4)),
        Member(MODEL_ASSET, MODEL, alignments.get("model", PAGE)),
        Member(ARM64_LIBRARY, b"\x7fELF library", alignments.get("library", PAGE)),
    ]


def _package(tmp_path: Path, members: list[Member], badging: Badging = BADGING) -> Package:
    path = tmp_path / "app.apk"
    archive.write(path, members)
    package = Package(path)
    package.badging = badging
    package.signature = Signature(frozenset({2, 3}), None)
    return package


def _clauses(findings: Iterable[Finding]) -> list[str]:
    return [finding.clause for finding in findings]


def test_a_sound_package_has_no_finding(tmp_path: Path) -> None:
    package = _package(tmp_path, _members())
    for check in (
        checks.check_signature, checks.check_identity, checks.check_privileges, checks.check_alignment,
        checks.check_assets,
    ):  # fmt: skip
        assert list(check(package, EXPECTED)) == []


@pytest.mark.parametrize(("what", "name"), [("model", MODEL_ASSET), ("library", ARM64_LIBRARY)])
def test_what_is_not_on_a_page_boundary_is_found(tmp_path: Path, what: str, name: str) -> None:
    package = _package(tmp_path, _members(**{what: 4}))
    (clause,) = _clauses(checks.check_alignment(package, EXPECTED))
    assert clause == f"{name} begins at byte {package.entries[name].offset}, no multiple of 16384"


def test_a_compressed_model_is_found(tmp_path: Path) -> None:
    package = _package(tmp_path, _members())
    with zipfile.ZipFile(package.path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr(MODEL_ASSET, MODEL)
    found = _clauses(checks.check_alignment(package, EXPECTED))
    assert found == [f"{MODEL_ASSET} is compressed and can't be mapped"]


def test_another_model_is_found(tmp_path: Path) -> None:
    package = _package(tmp_path, [Member(MODEL_ASSET, MODEL + b"!", PAGE)])
    assert _clauses(checks.check_assets(package, EXPECTED)) == [
        f"{MODEL_ASSET} differs from the file that was packaged"
    ]


def test_a_missing_model_is_found(tmp_path: Path) -> None:
    package = _package(tmp_path, [])
    assert _clauses(checks.check_assets(package, EXPECTED)) == [f"it lacks {MODEL_ASSET}"]


@pytest.mark.parametrize(
    ("field", "value", "clause"),
    [
        ("application_id", "a.b", "its application id is 'a.b' where 'dev.kerasfarm.autocomplete' was asked for"),
        ("version_code", 2, "its version code is 2 where 1 was asked for"),
        ("version_name", "2", "its version name is '2' where '1.0' was asked for"),
        ("label", "App", "its label is 'App' where 'Autocomplete' was asked for"),
        ("min_sdk", 21, "its least SDK level is 21 where 26 was asked for"),
        ("target_sdk", 34, "its target SDK level is 34 where 35 was asked for"),
        ("abis", frozenset({"x86_64"}), "its list of ABIs is ['x86_64'] where ['arm64-v8a'] was asked for"),
    ],
)
def test_another_identity_is_found(tmp_path: Path, field: str, value: object, clause: str) -> None:
    package = _package(tmp_path, [], Badging(**{**vars(BADGING), field: value}))
    assert _clauses(checks.check_identity(package, EXPECTED)) == [clause]


def test_privileges_are_found(tmp_path: Path) -> None:
    badging = Badging(**{**vars(BADGING), "permissions": ("p.INTERNET",), "debuggable": True})
    assert _clauses(checks.check_privileges(_package(tmp_path, [], badging), EXPECTED)) == [
        "it is debuggable",
        "it asks for the permission p.INTERNET",
    ]


def test_a_scheme_that_does_not_hold_is_found(tmp_path: Path) -> None:
    package = _package(tmp_path, [])
    package.signature = Signature(frozenset({1, 2}), None)
    assert _clauses(checks.check_signature(package, EXPECTED)) == ["its signature of scheme v3 does not hold"]


def test_a_library_that_is_none_is_found(tmp_path: Path) -> None:
    package = _package(tmp_path, _members())
    assert _clauses(checks.check_libraries(package, EXPECTED)) == [
        f"{ARM64_LIBRARY} can't be loaded since it is no 64-bit little-endian ELF file"
    ]


def test_a_library_for_smaller_pages_or_another_machine_is_found(tmp_path: Path, elf: Elf) -> None:
    members = [
        Member("lib/arm64-v8a/libold.so", elf(183, [(1, 4096)])),
        Member("lib/arm64-v8a/libother.so", elf(62, [(1, PAGE)])),
        Member("lib/arm64-v8a/libgood.so", elf(183, [(1, PAGE), (1, 4 * PAGE)])),
    ]
    assert _clauses(checks.check_libraries(_package(tmp_path, members), EXPECTED)) == [
        "lib/arm64-v8a/libold.so has segments aligned to 4096 bytes only",
        "lib/arm64-v8a/libother.so is built for x86_64",
    ]


def test_the_activity_may_be_in_any_dex_file(tmp_path: Path, dex: Dex) -> None:
    members = [Member("classes.dex", dex(["La/Other;"], [0])), Member("classes2.dex", dex(["La/Main;"], [0]))]
    assert list(checks.check_code(_package(tmp_path, members), EXPECTED)) == []
    referenced = [Member("classes.dex", dex(["La/Main;", "La/Other;"], [1]))]
    assert _clauses(checks.check_code(_package(tmp_path, referenced), EXPECTED)) == [
        "its code lacks the activity a.Main"
    ]


def test_code_that_is_none_and_an_activity_without_class_are_found(tmp_path: Path) -> None:
    package = _package(tmp_path, [Member("classes.dex", b"nothing")])
    assert _clauses(checks.check_code(package, EXPECTED)) == [
        "classes.dex can't be read since it is no dex file",
        "its code lacks the activity a.Main",
    ]


def test_every_check_is_run_and_named_once() -> None:
    defined = {value for name, value in vars(checks).items() if name.startswith("check_")}
    assert set(checks.CHECKS) == defined
    assert len(checks.CHECKS) == len(defined)
