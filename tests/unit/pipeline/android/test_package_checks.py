"""The checks of an APK that need no program: each finds what it is for, and nothing in a sound package."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from farm.appspec import Abi, AppSpec
from farm.errors import PackageInvalid
from pipeline.android import archive, checks, findings, play
from pipeline.android.archive import Member
from pipeline.android.assembly import MODEL_ASSET
from pipeline.android.badging import Badging
from pipeline.android.checks import Expectation
from pipeline.android.findings import Fault, Severity
from pipeline.android.manifest import Component, Manifest
from pipeline.android.package import Package
from pipeline.android.signing import Signature
from pipeline.inference.model_info import ModelInfo
from pipeline.toolchain import pins
from tests.fixtures import op_models

ARM64_LIBRARY = "lib/arm64-v8a/libx.so"
PAGE = 16384
MODEL = b"TFL3" * 5000
Elf = Callable[[int, list[tuple[int, int]]], bytes]
Dex = Callable[[list[str], list[int]], bytes]
EXPECTED = Expectation(
    app=AppSpec(abis=(Abi.ARM64,)),
    target=pins.load().target,
    assets={MODEL_ASSET: hashlib.sha256(MODEL).hexdigest()},
    model_alignment=PAGE,
)
ACTIVITY = Component("activity", "a.Main", exported=True, filtered=True, launcher=True, guarded=False)
MANIFEST = Manifest((ACTIVITY,), allow_backup=False, backup_rules=True, test_only=False)
BADGING = Badging(
    application_id="dev.kerasfarm.autocomplete",
    version_code=1,
    version_name="1.0",
    label="Autocomplete",
    min_sdk=26,
    target_sdk=36,
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
    package.manifest = MANIFEST
    package.zipalign_agrees = True
    return package


def _clauses(faults: Iterable[Fault]) -> list[str]:
    return [fault.cause for fault in faults]


def test_a_sound_package_has_no_finding(tmp_path: Path) -> None:
    package = _package(tmp_path, _members())
    for check in (
        checks.check_signature, checks.check_identity, checks.check_sdk, checks.check_abis, checks.check_debuggable,
        checks.check_permissions, checks.check_components, checks.check_backup, checks.check_alignment,
        checks.check_methods, checks.check_assets, checks.check_size,
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
        ("abis", frozenset({"x86_64"}), "its list of ABIs is ['x86_64'] where ['arm64-v8a'] was asked for"),
    ],
)
def test_another_identity_is_found(tmp_path: Path, field: str, value: object, clause: str) -> None:
    package = _package(tmp_path, [], Badging(**{**vars(BADGING), field: value}))
    assert _clauses(checks.check_identity(package, EXPECTED)) == [clause]


def test_privileges_are_found(tmp_path: Path) -> None:
    badging = Badging(**{**vars(BADGING), "permissions": ("p.INTERNET",), "debuggable": True})
    package = _package(tmp_path, [], badging)
    assert _clauses(checks.check_debuggable(package, EXPECTED)) == ["it is debuggable"]
    assert _clauses(checks.check_permissions(package, EXPECTED)) == ["it asks for the permission p.INTERNET"]


def test_sdk_levels_are_held_against_plays(tmp_path: Path) -> None:
    package = _package(tmp_path, [], Badging(**{**vars(BADGING), "min_sdk": 21, "target_sdk": 34}))
    assert _clauses(checks.check_sdk(package, EXPECTED)) == [
        "its target SDK level is 34 where Play asks for 36 since 2026-08-31",
        "its least SDK level is 21, where systems know signature scheme v1 only",
    ]


@pytest.mark.parametrize(
    ("abis", "cause", "severity"),
    [
        ((), "it has no native libraries, so that no phone can run its model", Severity.ERROR),
        (("armeabi-v7a", "x86_64"), "it has libraries for armeabi-v7a without those for arm64-v8a", Severity.ERROR),
        (("x86_64",), "it has libraries for x86_64 only, which no phone runs", Severity.WARNING),
    ],
)
def test_abis_without_64_bits_are_found(tmp_path: Path, abis: tuple[str, ...], cause: str, severity: Severity) -> None:
    package = _package(tmp_path, [Member(f"lib/{abi}/libx.so", b"") for abi in abis])
    assert list(checks.check_abis(package, EXPECTED)) == [Fault(cause, severity)]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"launcher": False}, "its service a.Main is open to every other app"),
        ({"launcher": False, "guarded": True}, None),
        ({"launcher": False, "exported": False}, None),
        ({"exported": None}, "its service a.Main has a filter and does not say whether it is exported"),
        ({"exported": None, "filtered": False, "launcher": False}, None),
    ],
)
def test_components_that_are_open_are_found(tmp_path: Path, changes: dict[str, bool], cause: str | None) -> None:
    package = _package(tmp_path, [])
    package.manifest = Manifest((Component(**{**vars(ACTIVITY), "kind": "service", **changes}),), False, True, False)
    assert _clauses(checks.check_components(package, EXPECTED)) == ([] if cause is None else [cause])


def test_backup_without_rules_is_found(tmp_path: Path) -> None:
    package = _package(tmp_path, [])
    package.manifest = Manifest((), allow_backup=True, backup_rules=False, test_only=True)
    assert _clauses(checks.check_backup(package, EXPECTED)) == [
        "it lets the system back up all that it stores, prompts too"
    ]
    assert _clauses(checks.check_debuggable(package, EXPECTED)) == ["it is marked as for tests only"]


def test_more_methods_than_can_be_numbered_are_found(tmp_path: Path) -> None:
    content = bytearray(0x70)
    content[:8], content[0x58:0x5C] = b"dex\n039\0", (70_000).to_bytes(4, "little")
    package = _package(tmp_path, [Member("classes2.dex", bytes(content)), Member("classes3.dex", b"none")])
    assert checks.methods(package) == {"classes2.dex": 70_000}
    assert _clauses(checks.check_methods(package, EXPECTED)) == [
        "classes2.dex refers to 70000 methods where 65536 can be numbered"
    ]


def test_sizes_are_held_against_plays_limits(tmp_path: Path) -> None:
    package = _package(tmp_path, _members())
    size = package.path.stat().st_size
    rules = play.load()
    large = dataclasses.replace(EXPECTED, rules=_limited(rules, apk=size - 1))
    (fault,) = checks.check_size(package, large)
    assert fault.severity is Severity.WARNING
    assert f"it has {size} bytes; Play takes single APKs of up to {size - 1} only" in fault.cause
    assert list(checks.check_size(package, dataclasses.replace(large, signed=False))) == []
    (fault,) = checks.check_size(package, dataclasses.replace(EXPECTED, rules=_limited(rules, install=size - 1)))
    assert fault == Fault(f"it has {size} bytes where Android installs at most {size - 1}")


def _limited(rules: play.PlayRules, **limits: int) -> play.PlayRules:
    return dataclasses.replace(rules, size=dataclasses.replace(rules.size, **limits))


def test_without_a_job_the_model_is_held_against_the_apps_own_description(tmp_path: Path) -> None:
    other = "0" * 64
    info = ModelInfo(
        name="x", family="GPT2", io_mode="tokens", recipe="none", context=16, prefill=(8,), vocabulary_size=9, layers=1,
        kv_heads=1, head_dim=1, start_token=None, end_token=0, stop_tokens=(0,), tokenizer=None, tokenizer_sha256=None,
        model_sha256=other, source="x", source_digest=None,
    )  # fmt: skip
    expected = dataclasses.replace(EXPECTED, app=None, assets={})
    members = [Member(MODEL_ASSET, MODEL), Member(checks.INFO_ASSET, info.model_dump_json().encode())]
    assert _clauses(checks.check_assets(_package(tmp_path, members), expected)) == [
        "it lacks assets/tokenizer.json",
        "it lacks assets/unicode-classes.bin",
        f"{MODEL_ASSET} differs from what {checks.INFO_ASSET} says",
    ]
    damaged = [Member(MODEL_ASSET, MODEL), Member(checks.INFO_ASSET, b"{}")]
    (first, *_others) = _clauses(checks.check_assets(_package(tmp_path, damaged), expected))
    assert first.startswith("assets/model-info.json is no model description of this farm")


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


def test_every_check_is_run_named_once_and_has_its_rule() -> None:
    defined = {value for name, value in vars(checks).items() if name.startswith("check_")}
    assert {check.find for check in checks.CHECKS} == defined
    names = [check.name for check in checks.CHECKS]
    assert len(set(names)) == len(names) == len(defined)
    assert set(names) <= play.load().sources.keys()


def test_a_finding_carries_its_mend_and_rule(tmp_path: Path) -> None:
    package = _package(tmp_path, [], Badging(**{**vars(BADGING), "debuggable": True}))
    (check,) = (one for one in checks.CHECKS if one.name == "debuggable")
    (finding,) = check.run(package, EXPECTED, EXPECTED.rules)
    assert (finding.check, finding.severity, finding.cause) == ("debuggable", "error", "it is debuggable")
    assert finding.fix.startswith("Build a release")
    assert finding.rule.startswith("https://")
    with pytest.raises(PackageInvalid, match=r"^The package x fails its checks: it is debuggable; build"):
        findings.require_none("x", [finding])
    findings.require_none("x", [dataclasses.replace(finding, severity=Severity.WARNING)])


def test_a_model_with_a_dangerous_op_is_found(tmp_path: Path) -> None:
    model = op_models.write_model(tmp_path / "x.tflite", [op_models.Op("ADD"), op_models.flex("ReadFile")]).read_bytes()
    package = _package(tmp_path, [Member(MODEL_ASSET, model, PAGE)])
    expected = dataclasses.replace(EXPECTED, permitted_ops=frozenset({"ReadFile"}))
    assert _clauses(checks.check_operators(package, EXPECTED)) == [
        "its model holds the op FlexReadFile: it reads or writes files"
    ]
    assert list(checks.check_operators(package, expected)) == []


def test_a_model_that_cannot_be_read_is_found(tmp_path: Path) -> None:
    package = _package(tmp_path, [Member(MODEL_ASSET, b"TFL3TFL3" * 9, PAGE)])
    (clause,) = _clauses(checks.check_operators(package, EXPECTED))
    assert "damaged .tflite" in clause
    assert list(checks.check_operators(_package(tmp_path, []), EXPECTED)) == []
