"""Signing keys: the farm's own, made on first use, and the user's. Passwords live in files that only their owner reads.

Runs in the supervisor, outside the sandbox of the stages: `prepare` puts into a job's folder what the packaging stage
needs, and nothing else of the keys ever reaches a stage.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from farm.appspec import AppSpec
from farm.errors import KeystorePasswordMissing, KeystoreUnusable
from pipeline import process
from pipeline.toolchain import tools
from pipeline.toolchain.tools import Tool

ALIAS = "farm"
KEYTOOL_TIMEOUT = 60.0
VALIDITY_DAYS = 30 * 365
# RSA signatures are a function of the key and the file, so that the same input gives the same APK.
ALGORITHM = ("-keyalg", "RSA", "-keysize", "3072", "-sigalg", "SHA256withRSA")


@dataclass(frozen=True)
class SigningKey:
    """A folder that holds a keystore, its password and, where it is known, the key's alias."""

    folder: Path

    @property
    def store(self) -> Path:
        """The keystore file."""
        return self.folder / "signing.p12"

    @property
    def password(self) -> Path:
        """A file whose first line is the keystore's password."""
        return self.folder / "password"

    @property
    def key_password(self) -> Path:
        """A file whose first line is the key's own password; not there where the key has the keystore's."""
        return self.folder / "key-password"

    def for_apksigner(self) -> tuple[str | Path, ...]:
        """Where apksigner finds the keystore and the passwords."""
        own = ("--key-pass", f"file:{self.key_password}") if self.key_password.exists() else ()
        return ("--ks", self.store, "--ks-pass", f"file:{self.password}", *own)

    def alias(self) -> str | None:
        """The key's name; None when the keystore's only key is meant."""
        path = self.folder / "alias"
        return path.read_text() if path.exists() else None


def ensure(keys: Path) -> Path:
    """The folder of the farm's own key below `keys`; made on the first call, whole or not at all.

    Workers that start at the same time agree on one key: the first to rename its folder wins. KeystoreUnusable when
    the folder is there and others may read it, ToolMissing without a JDK.
    """
    folder = keys / ALIAS
    if not folder.is_dir():
        try:
            keys.mkdir(parents=True, exist_ok=True, mode=0o700)
            keys.chmod(0o700)
            draft = Path(tempfile.mkdtemp(dir=keys, prefix=".new-"))
        except OSError as error:
            raise KeystoreUnusable(
                f"No signing key can be made in {keys} ({error.strerror}); give the folder to the farm's user."
            ) from error
        try:
            _make(SigningKey(draft))
            _publish(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    for path in (folder, SigningKey(folder).store, SigningKey(folder).password):
        if not path.exists():
            raise KeystoreUnusable(
                f"The farm's signing key lacks {path}; restore it from a backup, or remove {folder}."
            )
        if path.stat().st_mode & 0o077:
            raise KeystoreUnusable(f"Others may read the signing key {path}; run `chmod -R go= {folder}`.")
    return folder


def prepare(app: AppSpec, keys: Path, target: Path, environment: Mapping[str, str] = os.environ) -> SigningKey:
    """Put the key that signs this app into the private folder `target`: a new or empty one, for one job.

    The user's keystore if the app names one, else the farm's. KeystoreUnusable, KeystorePasswordMissing.
    """
    target.mkdir(parents=True, mode=0o700, exist_ok=True)
    key = SigningKey(target)
    if app.keystore is None:
        own = SigningKey(ensure(keys))
        _copy(own.store, key.store)
        _copy(own.password, key.password)
        _write(target / "alias", ALIAS)
        return key
    source = Path(app.keystore)
    password = read_password(app, environment)
    try:
        _copy(source, key.store)
    except OSError as error:
        raise KeystoreUnusable(f"The keystore {source} can't be read ({error.strerror}); check its path.") from error
    _write(key.password, password)
    if app.key_password_source is not None:
        _write(key.key_password, _password_of(app, app.key_password_source, environment))
    if app.key_alias is not None:
        _write(target / "alias", app.key_alias)
    return key


def read_password(app: AppSpec, environment: Mapping[str, str] = os.environ) -> str:
    """The password of the user's keystore, from the source that the app names; KeystorePasswordMissing."""
    return _password_of(app, app.password_source or "", environment)


def _password_of(app: AppSpec, source: str, environment: Mapping[str, str]) -> str:
    kind, _, place = source.partition(":")
    if kind == "file":
        try:
            lines = Path(place).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise KeystorePasswordMissing(
                f"The password file {place} of the keystore {app.keystore} can't be read; check its path and rights."
            ) from error
        password = lines[0] if lines else ""
    elif kind == "env":
        password = environment.get(place, "")
    else:
        raise KeystorePasswordMissing(
            f"The keystore {app.keystore} needs a source for its password: file:PATH or env:NAME."
        )
    if not password or "\n" in password:
        raise KeystorePasswordMissing(
            f"There is no password for the keystore {app.keystore} in {source}; put it there, on one line"
            + (", in the environment of farm submit and of the worker." if kind == "env" else ".")
        )
    return password


def check(key: SigningKey) -> str:
    """Open the keystore with its password and find the key: its alias. KeystoreUnusable says what is wrong."""
    listing = process.run(
        (tools.find(Tool.KEYTOOL), "-J-XX:TieredStopAtLevel=1", "-list", "-keystore", key.store, *_password(key)),
        timeout=KEYTOOL_TIMEOUT, error=KeystoreUnusable, env=_environment(),
        hint="check that the keystore is a PKCS12 or JKS file and that its password is right.",
    ).stdout  # fmt: skip
    return choose_alias(listing, key.alias())


def check_key(key: SigningKey, alias: str, now: datetime) -> None:
    """Open the key with its password, and look until when its certificate holds. KeystoreUnusable.

    Google Play takes no upload whose certificate has expired.
    """
    own = ("-keypass:file", key.key_password) if key.key_password.exists() else ()
    named = ("-keystore", key.store, *_password(key), "-alias", alias)
    process.run(
        (tools.find(Tool.KEYTOOL), "-J-XX:TieredStopAtLevel=1", "-certreq", *named, *own),
        timeout=KEYTOOL_TIMEOUT, error=KeystoreUnusable, env=_environment(),
        hint=f"the key {alias} does not open; where its password is not the keystore's, say where it is with"
        " --key-password-source file:PATH or env:NAME.",
    )  # fmt: skip
    listing = process.run(
        (tools.find(Tool.KEYTOOL), "-J-XX:TieredStopAtLevel=1", "-J-Duser.language=en", "-list", "-v", *named),
        timeout=KEYTOOL_TIMEOUT, error=KeystoreUnusable, env=_environment(), hint="check the keystore.",
    ).stdout  # fmt: skip
    require_valid(listing, alias, now)


def require_valid(listing: str, alias: str, now: datetime) -> None:
    """KeystoreUnusable when the first certificate of what `keytool -list -v` printed has expired."""
    stated = re.search(r"^Valid from: .+ until: \w{3} (\w{3} \d{1,2} [\d:]{8}) UTC (\d{4})$", listing, re.MULTILINE)
    if stated is None:
        raise KeystoreUnusable(f"The certificate of the key {alias} has no end that keytool shows; make a new key.")
    until = datetime.strptime(" ".join(stated.groups()), "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    if until <= now:
        raise KeystoreUnusable(
            f"The certificate of the key {alias} expired on {until:%Y-%m-%d}, and Google Play takes no app that is"
            " signed with it; sign with a key that is valid, or ask Play for a new upload key."
        )


def alias_for(key: SigningKey, app: AppSpec) -> str:
    """The alias to sign with: the farm's own is known, a user's keystore is opened for it. KeystoreUnusable."""
    return ALIAS if app.keystore is None else check(key)


def choose_alias(listing: str, wanted: str | None) -> str:
    """The wanted private key of what `keytool -list` printed, or its only one; KeystoreUnusable lists what there is."""
    found: list[str] = re.findall(r"^(.+?), [A-Z][a-z]{2} \d{1,2}, \d{4}, PrivateKeyEntry,", listing, re.MULTILINE)
    if wanted is not None:
        # A keystore's aliases know no upper case.
        if wanted.lower() in (alias.lower() for alias in found):
            return wanted
        raise KeystoreUnusable(
            f"The keystore has no private key {wanted!r}; choose one of: {', '.join(found) or 'it has none'}."
        )
    if len(found) != 1:
        raise KeystoreUnusable(
            f"The keystore has {len(found)} private keys; name one of: {', '.join(found) or 'none'}."
        )
    return found[0]


def _make(key: SigningKey) -> None:
    _write(key.password, secrets.token_urlsafe(32))
    process.run(
        (
            tools.find(Tool.KEYTOOL), "-genkeypair", "-keystore", key.store, "-storetype", "PKCS12", *_password(key),
            "-alias", ALIAS, *ALGORITHM, "-validity", str(VALIDITY_DAYS), "-dname", "CN=Keras Android farm",
        ),
        timeout=KEYTOOL_TIMEOUT, error=KeystoreUnusable, hint="see the message above; no key was made.",
    )  # fmt: skip
    key.store.chmod(0o600)


def _publish(draft: Path, folder: Path) -> None:
    """Rename the finished key into place, unless another process was first."""
    try:
        draft.rename(folder)
    except OSError:
        # A folder that is not empty can't be replaced: the other process's key stays.
        if not folder.is_dir():
            raise


def _environment() -> dict[str, str]:
    """One in which keytool prints names and dates in one form."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _password(key: SigningKey) -> tuple[str | Path, ...]:
    return ("-storepass:file", key.password)


def _write(path: Path, text: str) -> None:
    """Write a file that was never readable by others."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)


def _copy(source: Path, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream, source.open("rb") as content:
        shutil.copyfileobj(content, stream)
