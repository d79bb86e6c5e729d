"""A signed APK around a random model: it passes every check, and each way of spoiling it is found."""

from __future__ import annotations

import json
import os
import random
import subprocess
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from farm import digests
from farm.artifacts import ArtifactName
from farm.errors import KeystoreUnusable, PackageInvalid
from farm.jobspec import Abi, AppSpec, JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from worker.android import archive, checks, keystore, signing
from worker.android.archive import Member
from worker.android.assembly import APP_SETTINGS_ASSET, JOB_ASSETS, MODEL_ASSET
from worker.android.base import AppBase
from worker.android.checks import Expectation, Finding, Package
from worker.android.keystore import SigningKey
from worker.android.toolchain import Toolchain
from worker.order import StageOrder
from worker.stages import package as package_stage

LABEL = 'Bob\'s "tiny" story\\teller & <co> 😀'
APP = AppSpec(application_id="org.example.story", label=LABEL, version_code=7, version_name="1.2 'b")
MODEL = random.Random(6).randbytes(3_000_000)  # noqa: S311  the same bytes every time
STORE_PASSWORD = "open sesame"  # noqa: S105  of the test's own keystore


@dataclass(frozen=True)
class Made:
    """A packaged app, the key that signed it and what it must be."""

    path: Path
    key: SigningKey
    expected: Expectation


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("farm") / "keys"


@pytest.fixture(scope="module")
def make(
    app_base: AppBase, android_toolchain: Toolchain, keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[AppSpec], Made]:
    """Runs the packaging stage as the supervisor would."""

    def make(app: AppSpec) -> Made:
        workdir = tmp_path_factory.mktemp("job")
        for name in ("inputs", "outputs", "scratch"):
            (workdir / name).mkdir()
        key = keystore.prepare(app, keys, workdir / "key")
        spec = JobSpec(model_kind=ModelKind.PRESET, model="x", app=app)
        order = StageOrder(
            stage=StageName.PACKAGE, spec=spec, workdir=workdir, caches=workdir, toolchain=android_toolchain.folder,
            keystore=key.folder, threads=1,
        )  # fmt: skip
        order.input(ArtifactName.APP_BASE).symlink_to(app_base.folder)
        order.input(ArtifactName.MODEL).write_bytes(MODEL)
        order.input(ArtifactName.TOKENIZER).write_text(json.dumps({"model": {}}))
        order.input(ArtifactName.MODEL_INFO).write_text(json.dumps({"format": 1}))
        said: list[float] = []
        package_stage.run(order, lambda share, _doing: said.append(share))
        assert said == sorted(said)
        assert not list(order.scratch.glob("*unsigned*"))
        files = app_base.asset_files() | {name: order.input(artifact) for artifact, name in JOB_ASSETS.items()}
        files[APP_SETTINGS_ASSET] = order.scratch / "app-settings.json"
        assert json.loads(files[APP_SETTINGS_ASSET].read_text()) == {"format": 1, "filter": app.filter}
        assets = {name: digests.of_file(path) for name, path in files.items()}
        target = android_toolchain.pins.target
        return Made(order.output(ArtifactName.APK), key, Expectation(app, target, assets))

    return make


@pytest.fixture(scope="module")
def made(make: Callable[[AppSpec], Made]) -> Made:
    return make(APP)


def _spoiled(made: Made, target: Path, change: Callable[[Member], Member | None]) -> list[Finding]:
    """Lay the package out anew with changed members, sign that, and check it."""
    with zipfile.ZipFile(made.path) as source:
        entries = archive.read_entries(made.path)
        members = [Member(one.name, source.read(one.name), 16384 if one.aligned(16384) else 4) for one in entries]
    unsigned = target.with_suffix(".unsigned")
    archive.write(unsigned, filter(None, map(change, members)))
    signing.sign(unsigned, target, made.key, keystore.ALIAS)
    return checks.inspect(target, made.expected)


def test_the_package_passes_every_check(made: Made) -> None:
    assert checks.inspect(made.path, made.expected) == []
    assert Package(made.path).badging.label == LABEL


def test_model_and_libraries_can_be_mapped_from_the_package(made: Made) -> None:
    entries = {entry.name: entry for entry in archive.read_entries(made.path)}
    libraries = [name for name in entries if name.endswith(".so")]
    assert len(libraries) == 4
    assert all(entries[name].aligned(16384) for name in (MODEL_ASSET, *libraries))
    content = made.path.read_bytes()
    begin = entries[MODEL_ASSET].offset
    assert content[begin : begin + len(MODEL)] == MODEL


def test_the_same_job_gives_the_same_bytes(made: Made, make: Callable[[AppSpec], Made]) -> None:
    assert digests.of_file(make(APP).path) == digests.of_file(made.path)


def test_only_the_chosen_abi_is_packed(make: Callable[[AppSpec], Made]) -> None:
    package = Package(make(APP.model_copy(update={"abis": (Abi.ARM64,)})).path)
    assert package.badging.abis == {"arm64-v8a"}
    assert {entry.name.split("/")[1] for entry in package.libraries()} == {"arm64-v8a"}


def test_a_byte_changed_after_signing_is_found(made: Made, tmp_path: Path) -> None:
    content = bytearray(made.path.read_bytes())
    model = {entry.name: entry for entry in archive.read_entries(made.path)}[MODEL_ASSET]
    content[model.offset + 1_000_000] ^= 1
    (tmp_path / "changed.apk").write_bytes(content)
    with pytest.raises(PackageInvalid, match="the signature does not hold"):
        checks.require(tmp_path / "changed.apk", made.expected)


def test_a_package_without_signature_is_found(made: Made, tmp_path: Path) -> None:
    archive.write(tmp_path / "unsigned.apk", [Member(MODEL_ASSET, MODEL, 16384)])
    with pytest.raises(PackageInvalid, match=r"^apksigner failed: "):
        checks.require(tmp_path / "unsigned.apk", made.expected)


def test_a_model_off_the_page_boundary_is_found(made: Made, tmp_path: Path) -> None:
    def move(member: Member) -> Member:
        return Member(member.name, member.source, 4) if member.name == MODEL_ASSET else member

    (finding,) = _spoiled(made, tmp_path / "moved.apk", move)
    assert finding.check == "alignment"
    assert finding.clause.startswith(f"{MODEL_ASSET} begins at byte ")


def test_libraries_off_the_page_boundary_are_found_by_both_checks(made: Made, tmp_path: Path) -> None:
    def move(member: Member) -> Member:
        return Member(member.name, member.source, 4) if member.name.endswith(".so") else member

    findings = _spoiled(made, tmp_path / "moved.apk", move)
    assert {finding.check for finding in findings} == {"alignment", "zipalign"}


def test_a_missing_asset_and_missing_code_are_found(made: Made, tmp_path: Path) -> None:
    lost = ("assets/tokenizer.json", "classes.dex")
    findings = _spoiled(made, tmp_path / "poor.apk", lambda member: None if member.name in lost else member)
    assert {finding.check for finding in findings} == {"assets", "code"}
    with pytest.raises(PackageInvalid, match=r"poor\.apk fails its checks: .*, and it lacks assets/tokenizer\.json;"):
        checks.require(tmp_path / "poor.apk", made.expected)


def test_a_compressed_model_is_found(made: Made, tmp_path: Path) -> None:
    unsigned = tmp_path / "small.unsigned"
    with zipfile.ZipFile(made.path) as source, zipfile.ZipFile(unsigned, "w") as target:
        for info in source.infolist():
            how = zipfile.ZIP_DEFLATED if info.filename == MODEL_ASSET else zipfile.ZIP_STORED
            target.writestr(zipfile.ZipInfo(info.filename, archive.FIXED_TIME), source.read(info), how)
    signing.sign(unsigned, tmp_path / "small.apk", made.key, keystore.ALIAS)
    clauses = [finding.clause for finding in checks.inspect(tmp_path / "small.apk", made.expected)]
    assert f"{MODEL_ASSET} is compressed and can't be mapped" in clauses


def test_another_identity_is_found(made: Made) -> None:
    other = AppSpec(application_id="org.example.other", label=LABEL, version_code=7, version_name="1.2 'b")
    (finding,) = checks.inspect(made.path, Expectation(other, made.expected.target, made.expected.assets))
    assert finding == Finding(
        "identity", "its application id is 'org.example.story' where 'org.example.other' was asked for"
    )


def test_workers_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _number: keystore.ensure(tmp_path / "keys"), range(4)))
    assert folders == {tmp_path / "keys" / "farm"}
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["farm"]
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0
    assert keystore.check(SigningKey(tmp_path / "keys" / "farm")) == "farm"


@pytest.fixture(scope="module")
def own_keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's JKS file with two private keys."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "password.txt").write_text(f"{STORE_PASSWORD}\n")
    for alias in ("upload", "other"):
        subprocess.run(
            [
                "keytool", "-genkeypair", "-keystore", folder / "own.jks", "-storetype", "JKS",
                "-storepass:file", folder / "password.txt", "-keypass:file", folder / "password.txt",
                "-alias", alias, "-keyalg", "RSA", "-keysize", "2048", "-dname", f"CN={alias}",
            ],
            check=True, capture_output=True,
        )  # fmt: skip
    return folder / "own.jks"


def _own(path: Path, **changes: str) -> AppSpec:
    source = {"password_source": f"file:{path.parent / 'password.txt'}"}
    return APP.model_copy(update={"keystore": str(path), **source, **changes})


def test_a_users_own_key_signs(
    make: Callable[[AppSpec], Made], made: Made, own_keystore: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    package = Package(make(_own(own_keystore, key_alias="upload")).path)
    assert package.signature.schemes >= checks.SCHEMES
    assert package.signature.certificate != Package(made.path).signature.certificate
    assert STORE_PASSWORD not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("alias", "sentence"),
    [
        ("missing", r"no private key 'missing'; choose one of: (upload, other|other, upload)\."),
        (None, r"2 private keys"),
    ],
)
def test_a_key_that_is_not_there_is_refused(
    make: Callable[[AppSpec], Made], own_keystore: Path, alias: str | None, sentence: str
) -> None:
    with pytest.raises(KeystoreUnusable, match=sentence):
        make(_own(own_keystore).model_copy(update={"key_alias": alias}))


def test_a_wrong_password_is_refused_without_being_shown(
    make: Callable[[AppSpec], Made],
    own_keystore: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(os.environ, "OWN_KEY", "wrong password")
    with pytest.raises(KeystoreUnusable, match="its password is right") as refused:
        make(_own(own_keystore, password_source="env:OWN_KEY"))  # noqa: S106  a source, no password
    assert "wrong password" not in refused.value.sentence + "".join(capfd.readouterr())


def test_a_file_that_is_no_keystore_is_refused(make: Callable[[AppSpec], Made], own_keystore: Path) -> None:
    path = own_keystore.with_name("text.jks")
    path.write_text("no keystore")
    with pytest.raises(KeystoreUnusable, match=r"check that the keystore is a PKCS12 or JKS file"):
        make(_own(path))
