"""What of a bundle needs no program: sizes, modules, the pack's manifest, and the checks' bounds."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from xml.etree import ElementTree

import pytest

from farm.appspec import Abi
from farm.errors import PackageInvalid
from pipeline.android import bundle, bundle_checks, bundletool, play
from pipeline.android.bundle_checks import Bundle
from pipeline.android.bundletool import Bundletool, Examination
from pipeline.android.checks import Expectation
from pipeline.toolchain import pins

EXPECTED = Expectation(pins.load().target)


def test_the_drivers_last_line_is_its_answer() -> None:
    answer = {"sizes": {"x86_64": {"": 3, "base": 2}}}
    assert bundletool.read_answer(f"WARNING: something\n{json.dumps(answer)}\n") == answer
    for text in ("", "WARNING: something"):
        with pytest.raises(PackageInvalid, match="no download size"):
            bundletool.read_answer(text)


def _bundle(tmp_path: Path, *names: str) -> Path:
    path = tmp_path / "app.aab"
    with zipfile.ZipFile(path, "w") as made:
        for name in names:
            made.writestr(name, b"")
    return path


def test_modules_and_abis_are_read(tmp_path: Path) -> None:
    path = _bundle(
        tmp_path, "base/manifest/AndroidManifest.xml", "model/manifest/AndroidManifest.xml", "base/lib/x86_64/a.so",
        "base/lib/arm64-v8a/a.so", "base/lib/mips/a.so",
    )  # fmt: skip
    assert bundletool.modules(path) == ("base", "model")
    assert set(bundletool.abis(path)) == set(Abi)


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageInvalid, match="has no base module"):
        bundletool.modules(_bundle(tmp_path, "AndroidManifest.xml"))
    (tmp_path / "text.aab").write_text("text")
    with pytest.raises(PackageInvalid, match="is no sound bundle"):
        bundletool.modules(tmp_path / "text.aab")


def test_the_packs_manifest_asks_for_installation_with_the_app() -> None:
    root = ElementTree.fromstring(bundle.pack_manifest("org.example.story"))  # noqa: S314  made two lines above
    assert (root.get("package"), root.get("split")) == ("org.example.story", "model")
    name = f"{{{bundle.DISTRIBUTION}}}"
    module = root.find(f"{name}module")
    assert module is not None
    assert module.get(f"{name}type") == "asset-pack"
    assert root.find(f"{name}module/{name}delivery/{name}install-time") is not None


@pytest.mark.parametrize(
    ("limits", "cause"),
    [
        ({"base_module": 10}, "its module base downloads as 20 bytes on arm64-v8a where Play takes 10"),
        ({"asset_pack": 10}, "its module model downloads as 20 bytes on arm64-v8a where Play takes 10"),
        ({"bundle": 10}, "everything downloads as 20 bytes on arm64-v8a where Play takes 10"),
        ({}, None),
    ],
)
def test_downloads_beyond_plays_limits_are_found(tmp_path: Path, limits: dict[str, int], cause: str | None) -> None:
    made = Examination(None, {Abi.ARM64: {"": 20, "base": 20, "model": 20}}, None)
    subject = Bundle(tmp_path / "app.aab", cast(Bundletool, SimpleNamespace(examine=lambda _path: made)))
    assert subject.download == 20
    rules = play.load()
    expected = dataclasses.replace(
        EXPECTED, rules=dataclasses.replace(rules, size=dataclasses.replace(rules.size, **limits))
    )
    found = [fault.cause for fault in bundle_checks.check_size(subject, expected)]
    assert found == ([] if cause is None else [cause])


def test_every_check_of_a_bundle_is_run_and_has_its_rule() -> None:
    defined = {value for name, value in vars(bundle_checks).items() if name.startswith("check_")}
    assert {check.find for check in bundle_checks.CHECKS} == defined
    assert {check.name for check in bundle_checks.CHECKS} <= play.load().sources.keys()


def test_play_signs_and_bundletool_aligns_what_is_made_of_a_bundle() -> None:
    expected = bundle_checks.unsigned(dataclasses.replace(EXPECTED, model_alignment=16384))
    assert (expected.signed, expected.model_alignment) == (False, 4)
