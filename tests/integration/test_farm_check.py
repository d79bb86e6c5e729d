"""`farm check` on a good APK and on spoiled ones: each fault is found by its own check and by no other."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from cli.main import app as farm_command
from farm import digests
from farm.appspec import AppSpec
from farm.artifacts import Artifact, ArtifactName
from farm.errors import FileUnreadable, JobNotFinished, PackageInvalid
from farm.recipes import WeightFormat
from pipeline.android import archive, checks, keystore, resources, signing, token_table
from pipeline.android.archive import Member
from pipeline.android.assembly import JOB_ASSETS, MODEL_ASSET, TOKEN_TABLE_ASSET
from pipeline.android.base import AppBase
from pipeline.android.package import Package
from pipeline.android.resources import ANDROID
from pipeline.toolchain import tools
from pipeline.toolchain.maven import Toolchain
from pipeline.toolchain.pins import Role
from tests.fixtures.bound_models import bind_sizes
from tests.fixtures.packaged_apps import MODEL, OTHER_MODEL, TOKENIZER, Made, make_package
from tests.fixtures.weightless_graphs import GPT2_LIKE

APP = AppSpec(application_id="org.example.checked", label="Checked")
PAGE = 16384
ARM64 = "lib/arm64-v8a/libjnitensorflowlite.so"
Members = list[Member]
Spoil = Callable[[Members], Iterable[Member]]


@pytest.fixture(scope="module")
def made(app_base: AppBase, android_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Made:
    keys = tmp_path_factory.mktemp("farm") / "keys"
    return make_package(APP, app_base, android_toolchain, keys, tmp_path_factory.mktemp("job"))


@dataclasses.dataclass(frozen=True)
class Workshop:
    """Makes spoiled packages out of the good one."""

    made: Made
    base: AppBase
    toolchain: Toolchain
    folder: Path

    def members(self) -> Members:
        """What the good package holds."""
        with zipfile.ZipFile(self.made.path) as source:
            entries = archive.read_entries(self.made.path)
            return [Member(one.name, source.read(one.name), PAGE if one.aligned(PAGE) else 4) for one in entries]

    def signed(self, unsigned: Path) -> Path:
        """Sign as the stage does."""
        signing.sign(unsigned, self.folder / "spoiled.apk", self.made.key, keystore.ALIAS)
        return self.folder / "spoiled.apk"

    def changed(self, change: Spoil) -> Path:
        """A package of other entries."""
        unsigned = self.folder / "unsigned.apk"
        archive.write(unsigned, change(self.members()))
        return self.signed(unsigned)

    def relinked(self, change: Callable[[ElementTree.Element], None], **target: Any) -> Path:
        """A package with another manifest."""
        tree = ElementTree.parse(self.base.manifest)  # noqa: S314  it is a source of the farm itself
        change(tree.getroot())
        manifest = self.folder / "AndroidManifest.xml"
        tree.write(manifest, encoding="utf-8")
        linked = resources.link(
            manifest, self.base.resources, self.base.ids, self.toolchain.paths(Role.PLATFORM)[0], APP,
            dataclasses.replace(self.toolchain.pins.target, **target), self.folder,
        )  # fmt: skip
        with zipfile.ZipFile(linked) as source:
            mine = {name: source.read(name) for name in source.namelist()}
        return self.changed(
            lambda members: [Member(one.name, mine.get(one.name, one.source), one.alignment) for one in members]
        )


@pytest.fixture
def workshop(made: Made, app_base: AppBase, android_toolchain: Toolchain, tmp_path: Path) -> Workshop:
    return Workshop(made, app_base, android_toolchain, tmp_path)


def _farm(*words: str | Path) -> tuple[int, str]:
    ran = CliRunner().invoke(farm_command, [str(word) for word in words])
    return ran.exit_code, ran.stdout


def _found(path: Path) -> list[tuple[str, str]]:
    """What `farm check` says: the errors' checks and causes."""
    code, out = _farm("check", path, "--json")
    page = json.loads(out)
    found = [(one["check"], one["cause"]) for one in page["findings"] if one["severity"] == "error"]
    assert page["ok"] is not bool(found)
    assert code == (PackageInvalid.exit_code if found else 0)
    assert all(one["fix"] and one["rule"].startswith("https://") for one in page["findings"])
    return found


def _replace(name: str, content: bytes, alignment: int | None = None) -> Spoil:
    def change(members: Members) -> Iterable[Member]:
        for one in members:
            yield Member(name, content, alignment or one.alignment) if one.name == name else one

    return change


def _attribute(element: str, name: str, value: str) -> Callable[[ElementTree.Element], None]:
    def change(root: ElementTree.Element) -> None:
        found = root.find(element)
        assert found is not None
        found.set(f"{{{ANDROID}}}{name}", value)

    return change


def _child(parent: str, child: str, **attributes: str) -> Callable[[ElementTree.Element], None]:
    def change(root: ElementTree.Element) -> None:
        found = root.find(parent) if parent else root
        assert found is not None
        ElementTree.SubElement(found, child, {f"{{{ANDROID}}}{name}": value for name, value in attributes.items()})

    return change


def test_a_good_package_has_no_error(made: Made) -> None:
    assert _found(made.path) == []
    code, out = _farm("check", made.path)
    assert code == 0
    assert all(f"\n{check.name}" in out for check in checks.CHECKS if check.name != "identity")


def test_a_library_for_pages_of_4_kb(workshop: Workshop) -> None:
    (older,) = workshop.toolchain.paths(Role.SPECIMEN)
    with zipfile.ZipFile(older) as library:
        content = library.read("jni/arm64-v8a/libtensorflowlite_jni.so")
    added = Member("lib/arm64-v8a/libtensorflowlite_jni.so", content, PAGE)
    assert _found(workshop.changed(lambda members: [*members, added])) == [
        ("libraries", "lib/arm64-v8a/libtensorflowlite_jni.so has segments aligned to 4096 bytes only")
    ]


def test_a_library_of_another_machine(workshop: Workshop) -> None:
    (foreign,) = (one.source for one in workshop.members() if one.name == ARM64.replace("arm64-v8a", "x86_64"))
    assert isinstance(foreign, bytes)
    assert _found(workshop.changed(_replace(ARM64, foreign))) == [("libraries", f"{ARM64} is built for x86_64")]


def test_32_bit_libraries_alone(workshop: Workshop) -> None:
    with zipfile.ZipFile(workshop.toolchain.paths(Role.SPECIMEN)[0]) as library:
        content = library.read("jni/armeabi-v7a/libtensorflowlite_jni.so")

    def change(members: Members) -> Iterable[Member]:
        yield from (one for one in members if not one.name.startswith("lib/"))
        yield Member("lib/armeabi-v7a/libtensorflowlite_jni.so", content, PAGE)

    assert _found(workshop.changed(change)) == [
        ("abis", "it has libraries for armeabi-v7a without those for arm64-v8a")
    ]


def test_a_compressed_model(workshop: Workshop) -> None:
    unsigned = workshop.folder / "unsigned.apk"
    archive.write(unsigned, [one for one in workshop.members() if one.name != MODEL_ASSET])
    with zipfile.ZipFile(unsigned, "a") as target:
        target.writestr(zipfile.ZipInfo(MODEL_ASSET, archive.FIXED_TIME), MODEL, zipfile.ZIP_DEFLATED)
    assert _found(workshop.signed(unsigned)) == [("alignment", f"{MODEL_ASSET} is compressed and can't be mapped")]


def test_a_library_off_the_page_boundary(workshop: Workshop) -> None:
    (content,) = (one.source for one in workshop.members() if one.name == ARM64)
    assert isinstance(content, bytes)
    ((check, cause),) = _found(workshop.changed(_replace(ARM64, content, 4)))
    assert check == "alignment"
    assert re.fullmatch(rf"{ARM64} begins at byte \d+, no multiple of 16384", cause)


def test_another_model(workshop: Workshop) -> None:
    assert _found(workshop.changed(_replace(MODEL_ASSET, OTHER_MODEL))) == [
        ("assets", f"{MODEL_ASSET} differs from what assets/model-info.json says")
    ]


def test_another_tokenizer(workshop: Workshop) -> None:
    assert _found(workshop.changed(_replace("assets/tokenizer.json", TOKENIZER + b" "))) == [
        ("assets", f"{TOKEN_TABLE_ASSET} was made of another tokenizer than assets/tokenizer.json"),
        ("assets", "assets/tokenizer.json differs from what assets/model-info.json says"),
    ]


def test_a_damaged_token_table(workshop: Workshop) -> None:
    table = token_table.token_table(TOKENIZER)
    assert _found(workshop.changed(_replace(TOKEN_TABLE_ASSET, table[:-1] + b"x"))) == [
        ("assets", f"{TOKEN_TABLE_ASSET} is damaged")
    ]


@pytest.mark.parametrize("name", [MODEL_ASSET, "assets/tokenizer.json", "assets/unicode-classes.bin"])
def test_a_missing_asset(workshop: Workshop, name: str) -> None:
    path = workshop.changed(lambda members: [one for one in members if one.name != name])
    assert _found(path) == [("assets", f"it lacks {name}")]


def test_missing_code(workshop: Workshop) -> None:
    path = workshop.changed(lambda members: [one for one in members if one.name != "classes.dex"])
    assert _found(path) == [("code", "its code lacks the activity dev.kerasfarm.app.ui.MainActivity")]


def test_no_signature(workshop: Workshop) -> None:
    unsigned = workshop.folder / "unsigned.apk"
    archive.write(unsigned, workshop.members())
    ((check, cause),) = _found(unsigned)
    assert check == "signature"
    assert cause.startswith("it has no signature that holds")


def test_a_byte_changed_after_signing(workshop: Workshop) -> None:
    content = bytearray(workshop.made.path.read_bytes())
    # In the padding before the model, where nothing but the signature sees it.
    offset = Package(workshop.made.path).entries[MODEL_ASSET].offset - 1
    content[offset] ^= 1
    tampered = workshop.folder / "tampered.apk"
    tampered.write_bytes(content)
    ((check, cause),) = _found(tampered)
    assert check == "signature"
    assert "digest" in cause


@pytest.mark.parametrize(("v1", "v2", "v3", "lacks"), [(True, True, False, "v3"), (False, False, True, "v2")])
def test_a_scheme_that_is_missing(workshop: Workshop, v1: bool, v2: bool, v3: bool, lacks: str) -> None:
    unsigned, signed = workshop.folder / "unsigned.apk", workshop.folder / "signed.apk"
    archive.write(unsigned, workshop.members())
    _sign(workshop, unsigned, signed, v1, v2, v3)
    assert _found(signed) == [("signature", f"its signature of scheme {lacks} does not hold")]


def test_scheme_v1_alone(workshop: Workshop) -> None:
    unsigned, signed = workshop.folder / "unsigned.apk", workshop.folder / "signed.apk"
    archive.write(unsigned, workshop.members())
    _sign(workshop, unsigned, signed, True, False, False)
    assert {check for check, _cause in _found(signed)} == {"signature"}


def _sign(workshop: Workshop, unsigned: Path, signed: Path, v1: bool, v2: bool, v3: bool) -> None:
    key = workshop.made.key
    subprocess.run(
        [
            tools.find(tools.Tool.APKSIGNER), "sign", "--ks", key.store, "--ks-pass", f"file:{key.password}",
            "--min-sdk-version", "21", "--v1-signing-enabled", str(v1).lower(),
            "--v2-signing-enabled", str(v2).lower(), "--v3-signing-enabled", str(v3).lower(),
            "--in", unsigned, "--out", signed,
        ],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "target", "found"),
    [
        (_attribute("application", "debuggable", "true"), {}, ("debuggable", "it is debuggable")),
        (
            _child("", "uses-permission", name="android.permission.INTERNET"),
            {},
            ("permissions", "it asks for the permission android.permission.INTERNET"),
        ),
        (
            _child("application", "service", name="a.Service", exported="true"),
            {},
            ("components", "its service a.Service is open to every other app"),
        ),
        (
            lambda _root: None,
            {"target_sdk": 35},
            ("sdk", "its target SDK level is 35 where Play asks for 36 since 2026-08-31"),
        ),
    ],
    ids=["debuggable", "permission", "service", "target"],
)
def test_another_manifest(
    workshop: Workshop,
    change: Callable[[ElementTree.Element], None],
    target: dict[str, int],
    found: tuple[str, str],
) -> None:
    assert _found(workshop.relinked(change, **target)) == [found]


def test_backup_without_rules(workshop: Workshop) -> None:
    def change(root: ElementTree.Element) -> None:
        application = root.find("application")
        assert application is not None
        application.set(f"{{{ANDROID}}}allowBackup", "true")
        for name in ("dataExtractionRules", "fullBackupContent"):
            del application.attrib[f"{{{ANDROID}}}{name}"]

    assert _found(workshop.relinked(change)) == [
        ("backup", "it lets the system back up all that it stores, prompts too")
    ]


def test_with_a_job_the_package_is_held_against_it(made: Made, tmp_path: Path) -> None:
    artifacts = tuple(
        Artifact(name, "0" * 64 if name is ArtifactName.TOKENIZER else made.expected.assets[asset], 1)
        for name, asset in JOB_ASSETS.items()
    )
    job = SimpleNamespace(id="kq3xf7m2pa", state="succeeded", spec=SimpleNamespace(app=APP), artifacts=artifacts)
    farm = SimpleNamespace(job=lambda _id: job)
    ran = CliRunner().invoke(farm_command, ["check", str(made.path), "--job", job.id, "--json"], obj=lambda: farm)
    assert ran.exit_code == PackageInvalid.exit_code
    assert [one["cause"] for one in json.loads(ran.stdout)["findings"]] == [
        "assets/tokenizer.json differs from the file that was packaged"
    ]
    job.artifacts = ()
    ran = CliRunner().invoke(farm_command, ["check", str(made.path), "--job", job.id], obj=lambda: farm)
    assert ran.exit_code == JobNotFinished.exit_code


def test_for_people_each_finding_has_its_mend_and_rule(workshop: Workshop) -> None:
    code, out = _farm("check", workshop.changed(_replace(MODEL_ASSET, OTHER_MODEL)))
    assert code == PackageInvalid.exit_code
    assert f"error  assets: {MODEL_ASSET} differs from what assets/model-info.json says" in out
    assert "fix   Package the files of one and the same job again." in out
    assert "rule  https://" in out


def test_a_file_that_is_no_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.apk").write_text("no package")
    code, out = _farm("check", tmp_path / "text.apk", "--json")
    assert code == PackageInvalid.exit_code
    assert json.loads(out)["error"]["code"] == PackageInvalid.code()
    code, _out = _farm("check", tmp_path / "none.apk")
    assert code == FileUnreadable.exit_code


@pytest.mark.goal(id="S8")
def test_every_byte_changed_after_signing_is_refused(workshop: Workshop, trial) -> None:
    """In what the entries hold, wherever; the good package has both signatures."""
    assert _found(workshop.made.path) == []
    chance, whole = trial.chance, workshop.made.path.read_bytes()
    entries = [entry for entry in Package(workshop.made.path).entries.values() if entry.size and entry.stored]
    changes, refused = trial.size(3, 100), 0
    tampered = workshop.folder / "tampered.apk"
    for _ in range(changes):
        entry, content = chance.choice(entries), bytearray(whole)
        content[entry.offset + chance.randrange(entry.size)] ^= 1 << chance.randrange(8)
        tampered.write_bytes(content)
        # Whatever it is then: no package at all, or one with an error.
        refused += _farm("check", tampered)[0] != 0
    trial.measured(f"signatures v2 and v3 hold; {refused} of {changes} tampered packages refused")
    assert refused == changes


@pytest.mark.goal(id="S9")
def test_the_same_app_gives_the_same_bytes(
    app_base: AppBase, android_toolchain: Toolchain, tmp_path: Path, trial
) -> None:
    """Packaged, and its weights bound, in clean folders of other names, one after the other."""
    again = trial.size(2, 10)
    found: dict[str, set[str]] = {"apk": set(), "tflite": set()}
    for number in range(again):
        folder = tmp_path / ("x" * (number + 1))
        folder.mkdir()
        made = make_package(APP, app_base, android_toolchain, tmp_path / "keys", folder)
        unsigned = folder / "unsigned.apk"
        with zipfile.ZipFile(made.path) as source:
            entries = archive.read_entries(made.path)
            archive.write(unsigned, [Member(each.name, source.read(each.name), 4) for each in entries])
        found["apk"].add(digests.of_file(unsigned))
        found["tflite"].add(digests.of_file(bind_sizes(GPT2_LIKE, WeightFormat.INT8_PER_ROW, folder / "bound.tflite")))
    trial.measured(f"{again} rebuilt: {len(found['apk'])} unsigned APK, {len(found['tflite'])} .tflite")
    assert {kind: len(each) for kind, each in found.items()} == {"apk": 1, "tflite": 1}
