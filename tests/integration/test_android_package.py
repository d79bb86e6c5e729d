"""A signed APK around a random model: it passes every check, whoever's key signs it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from client import preflight
from farm import digests, icons, locations
from farm.appspec import Abi, AppSpec
from farm.errors import KeystoreUnusable, PackageInvalid
from pipeline.android import archive, checks, keystore
from pipeline.android.assembly import MODEL_ASSET
from pipeline.android.base import AppBase
from pipeline.android.keystore import SigningKey
from pipeline.android.package import Package
from pipeline.toolchain.maven import Toolchain
from tests.fixtures.machine_traces import of_this_machine, traces
from tests.fixtures.packaged_apps import MODEL, Made, make_package

LABEL = 'Bob\'s "tiny" story\\teller & <co> 😀'
APP = AppSpec(application_id="org.example.story", label=LABEL, version_code=7, version_name="1.2 'b")
STORE_PASSWORD = "open sesame"  # noqa: S105  of the test's own keystore


@pytest.fixture(scope="module")
def make(
    app_base: AppBase, android_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[AppSpec], Made]:
    """Runs the packaging stage as the supervisor would."""
    keys = tmp_path_factory.mktemp("farm") / "keys"
    return lambda app: make_package(app, app_base, android_toolchain, keys, tmp_path_factory.mktemp("job"))


@pytest.fixture(scope="module")
def made(make: Callable[[AppSpec], Made]) -> Made:
    return make(APP)


def test_the_package_passes_every_check(made: Made) -> None:
    assert checks.inspect(Package(made.path), made.expected) == []
    assert Package(made.path).badging.label == LABEL


def test_nothing_of_this_machine_is_in_the_package(made: Made) -> None:
    assert traces([made.path], of_this_machine(made.path.parents[1], locations.ROOT)) == []


def test_an_icon_and_a_colour_of_the_users_own(make: Callable[[AppSpec], Made], tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (10, 20, 200)).save(tmp_path / "icon.png")
    own = APP.model_copy(update={"icon": icons.read_icon("icon.png", tmp_path), "color": "#6A1B9A"})
    made = make(own)
    assert checks.inspect(Package(made.path), made.expected) == []
    names = {entry.name for entry in archive.read_entries(made.path)}
    pictures = {name for name in names if name.endswith(".png")}
    assert {Path(name).name for name in pictures} == {"launcher_foreground.png", "launcher_monochrome.png"}
    assert len(pictures) == 10
    with zipfile.ZipFile(made.path) as package:
        assert bytes.fromhex("9a1b6aff") in package.read("resources.arsc"), "the colour, as Android stores it"


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


def test_another_identity_is_found(made: Made) -> None:
    other = dataclasses.replace(made.expected, app=APP.model_copy(update={"application_id": "org.example.other"}))
    (finding,) = checks.inspect(Package(made.path), other)
    assert (finding.check, finding.cause) == (
        "identity", "its application id is 'org.example.story' where 'org.example.other' was asked for"
    )  # fmt: skip


def test_a_package_with_errors_is_refused_in_one_sentence(made: Made) -> None:
    other = dataclasses.replace(made.expected, assets={MODEL_ASSET: "0" * 64, "assets/none": "0" * 64})
    with pytest.raises(PackageInvalid, match=r"app\.apk fails its checks: it lacks assets/none, and .* differs from"):
        checks.require(Package(made.path), other)


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
    assert package.signature.schemes >= {2, 3}
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


def test_a_key_opens_with_its_own_password_alone(tmp_path: Path) -> None:
    """As JKS files of Android Studio's early years have it."""
    for name, text in (("store", "storepass1"), ("own", "keypass22")):
        (tmp_path / name).write_text(text)
    subprocess.run(
        [
            "keytool", "-genkeypair", "-keystore", tmp_path / "two.jks", "-storetype", "JKS", "-alias", "Upload",
            "-storepass", "storepass1", "-keypass", "keypass22", "-keyalg", "RSA", "-keysize", "2048",
            "-dname", "CN=Example",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    app = AppSpec(keystore=str(tmp_path / "two.jks"), password_source=f"file:{tmp_path / 'store'}")
    preflight.check_signing(app.model_copy(update={"key_password_source": f"file:{tmp_path / 'own'}"}), ())
    with pytest.raises(KeystoreUnusable, match="--key-password-source"):
        preflight.check_signing(app, ())
