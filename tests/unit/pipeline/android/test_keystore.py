"""Signing keys: who may read them, and where a user's password comes from."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from farm.appspec import AppSpec
from farm.errors import KeystorePasswordMissing, KeystoreUnusable
from pipeline.android import keystore
from pipeline.android.keystore import SigningKey

LISTING = """Keystore type: PKCS12
Keystore provider: SUN

Your keystore contains 3 entries

upload, Nov 3, 2026, PrivateKeyEntry,
Certificate fingerprint (SHA-256): 8F:11
an authority, Nov 23, 2026, trustedCertEntry,
Certificate fingerprint (SHA-256): 8F:12
other key, Nov 23, 2026, PrivateKeyEntry,
"""


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def farm_keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys" / "farm"
    folder.mkdir(parents=True, mode=0o700)
    for name, content in (("signing.p12", b"\x30\x82"), ("password", b"secret of the farm")):
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    return tmp_path / "keys"


def test_the_farms_key_is_copied_for_its_owner_only(farm_keys: Path, tmp_path: Path) -> None:
    key = keystore.prepare(AppSpec(), farm_keys, tmp_path / "job")
    assert key.store.read_bytes() == b"\x30\x82"
    assert key.password.read_text() == "secret of the farm"
    assert key.alias() == "farm"
    assert _mode(key.folder) == 0o700
    assert {_mode(path) for path in key.folder.iterdir()} == {0o600}


@pytest.mark.parametrize("name", [".", "password", "signing.p12"])
def test_a_key_that_others_may_read_is_refused(farm_keys: Path, name: str) -> None:
    path = farm_keys / "farm" / name
    path.chmod(_mode(path) | 0o040)
    with pytest.raises(KeystoreUnusable, match=r"run `chmod -R go= .*farm`\.$"):
        keystore.ensure(farm_keys)


def test_a_folder_that_is_anothers_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys").touch()
    with pytest.raises(KeystoreUnusable, match=r"No signing key can be made in .*keys .*give the folder to"):
        keystore.ensure(tmp_path / "keys")


def test_half_a_key_is_refused(farm_keys: Path) -> None:
    (farm_keys / "farm" / "password").unlink()
    with pytest.raises(KeystoreUnusable, match=r"lacks .*password; restore it from a backup"):
        keystore.ensure(farm_keys)


def test_the_users_keystore_comes_with_the_password_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.jks").write_bytes(b"store")
    (tmp_path / "mine.txt").write_text("pass word\n")
    app = AppSpec(
        keystore=str(tmp_path / "mine.jks"), key_alias="upload", password_source=f"file:{tmp_path / 'mine.txt'}"
    )
    key = keystore.prepare(app, tmp_path / "keys", tmp_path / "job")
    assert (key.store.read_bytes(), key.password.read_text(), key.alias()) == (b"store", "pass word", "upload")
    assert {_mode(path) for path in key.folder.iterdir()} == {0o600}
    assert not (tmp_path / "keys").exists()


def test_the_users_keystore_without_alias_leaves_it_open(tmp_path: Path) -> None:
    (tmp_path / "mine.jks").write_bytes(b"store")
    app = AppSpec(keystore=str(tmp_path / "mine.jks"), password_source="env:KEY")  # noqa: S106  a source, no password
    key = keystore.prepare(app, tmp_path / "keys", tmp_path / "job", {"KEY": "secret"})
    assert key.password.read_text() == "secret"
    assert key.alias() is None


def test_a_keystore_that_is_not_there_is_named(tmp_path: Path) -> None:
    app = AppSpec(keystore=str(tmp_path / "none.jks"), password_source="env:KEY")  # noqa: S106  a source, no password
    with pytest.raises(KeystoreUnusable, match=r"none\.jks can't be read \(No such file or directory\)"):
        keystore.prepare(app, tmp_path / "keys", tmp_path / "job", {"KEY": "secret"})


@pytest.mark.parametrize(
    ("source", "environment"),
    [
        (None, {}),
        ("secret", {}),
        ("env:KEY", {}),
        ("env:KEY", {"KEY": ""}),
        ("env:KEY", {"KEY": "two\nlines"}),
        ("file:/nonexistent/password", {}),
    ],
)
def test_a_password_that_is_not_there_is_asked_for_without_being_shown(
    source: str | None, environment: dict[str, str]
) -> None:
    app = AppSpec(keystore="/k.jks", password_source=source)
    with pytest.raises(KeystorePasswordMissing, match=r"/k\.jks") as missing:
        keystore.read_password(app, environment)
    assert "two" not in missing.value.sentence


def test_an_empty_password_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    app = AppSpec(keystore="/k.jks", password_source=f"file:{tmp_path / 'empty'}")
    with pytest.raises(KeystorePasswordMissing, match="on one line"):
        keystore.read_password(app)


def test_the_alias_is_one_of_the_private_keys() -> None:
    assert keystore.choose_alias(LISTING, "other key") == "other key"
    assert keystore.choose_alias(LISTING, "UPLOAD") == "UPLOAD"
    with pytest.raises(KeystoreUnusable, match=r"no private key 'an authority'; choose one of: upload, other key\."):
        keystore.choose_alias(LISTING, "an authority")


def test_an_alias_is_needed_only_for_several_keys() -> None:
    with pytest.raises(KeystoreUnusable, match=r"has 2 private keys; name one of: upload, other key\."):
        keystore.choose_alias(LISTING, None)
    assert keystore.choose_alias(LISTING.replace("upload, Nov 3, 2026, Pri", "upload, x"), None) == "other key"


def test_the_folder_never_shows_its_password() -> None:
    assert "secret" not in repr(SigningKey(Path("/job/key")))


def test_a_key_with_a_password_of_its_own_brings_it(tmp_path: Path) -> None:
    (tmp_path / "mine.jks").write_bytes(b"store")
    sources = {"password_source": "env:STORE", "key_password_source": "env:KEY"}
    app = AppSpec(keystore=str(tmp_path / "mine.jks"), **sources)
    key = keystore.prepare(app, tmp_path / "keys", tmp_path / "job", {"STORE": "one", "KEY": "other"})
    assert (key.password.read_text(), key.key_password.read_text()) == ("one", "other")
    assert _mode(key.key_password) == 0o600
    assert key.for_apksigner()[-2:] == ("--key-pass", f"file:{key.key_password}")
    with pytest.raises(KeystorePasswordMissing, match="env:KEY"):
        keystore.prepare(app, tmp_path / "keys", tmp_path / "again", {"STORE": "one"})


def test_an_expired_certificate_is_refused_with_its_day() -> None:
    listing = "Alias name: old\nValid from: Sun Oct 26 08:06:35 UTC 2025 until: Tue Nov 25 08:06:35 UTC 2025\n"
    keystore.require_valid(listing, "old", datetime(2025, 11, 25, 8, tzinfo=UTC))
    with pytest.raises(KeystoreUnusable, match="expired on 2025-11-25"):
        keystore.require_valid(listing, "old", datetime(2025, 11, 25, 9, tzinfo=UTC))
    with pytest.raises(KeystoreUnusable, match="no end"):
        keystore.require_valid("", "old", datetime(2025, 11, 25, tzinfo=UTC))
