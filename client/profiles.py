"""Which farms a user has: profiles in `farm.toml`, tokens in a file that only the user may read.

    default = "office"

    [profiles.office]
    url = "https://farm.example.org"
    ops = "flex"
    allow_ops = ["RegexSplitWithOffsets"]

`farm.toml` lies in the user's configuration folder; one in the current folder or above it adds to that and goes
first. The name `local` stands for the embedded farm of this machine. `ops` (a set's name, or a file of names, whose
path is relative to `farm.toml`) and `allow_ops` are what jobs of that profile allow where the command line says nothing
else. Tokens are filed under the farm's address and not under the profile's name, so that a `farm.toml` that came with a
stranger's repository cannot have them sent anywhere else.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from farm.errors import NotAuthenticated, ProfileUnknown, SettingsInvalid, UsageError
from farm.oplist import OpSet, find_ops, parse_names, parse_ops

LOCAL = "local"
FILE = "farm.toml"
CREDENTIALS = "credentials.toml"
FOLDER_VARIABLE = "FARM_CONFIG_HOME"
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"


@dataclass(frozen=True)
class Profile:
    """A remote farm."""

    name: str
    url: str


@dataclass(frozen=True)
class OpRules:
    """Which ops the models of new jobs may hold: as `--ops` and `--allow-op` say it.

    folder: of `farm.toml`, from where a file of names is found.
    """

    ops: str | None = None
    allow_ops: tuple[str, ...] = ()
    folder: Path = field(default=Path(), compare=False)

    def allowed(self) -> tuple[OpSet | None, tuple[str, ...]]:
        """The set, None for what a job needs, and all names; FileUnreadable or UsageError for a file that has none."""
        return (None, self.allow_ops) if self.ops is None else parse_ops(self.ops, self.allow_ops, self.folder)


@dataclass(frozen=True)
class Profiles:
    """All profiles by name, and the name of the one that is used when none is asked for; rules about ops by name."""

    default: str = LOCAL
    urls: Mapping[str, str] = field(default_factory=dict)
    op_rules: Mapping[str, OpRules] = field(default_factory=dict)

    def rules(self, name: str | None) -> OpRules:
        """The rules of the profile of that name, or of the default one; ProfileUnknown."""
        chosen = self.choose(name)
        return self.op_rules.get(chosen.name if chosen else LOCAL, OpRules())

    def choose(self, name: str | None) -> Profile | None:
        """The profile of that name, or the default one; None for the embedded farm. ProfileUnknown."""
        wanted = name or self.default
        if wanted == LOCAL:
            return None
        if wanted in self.urls:
            return Profile(wanted, self.urls[wanted])
        known = [LOCAL, *self.urls]
        close = difflib.get_close_matches(wanted, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}, or run: farm login URL"
        raise ProfileUnknown(f"There is no profile {wanted!r}; {hint}")


def user_folder() -> Path:
    """Where the user's own `farm.toml` and the tokens are."""
    set_folder = os.environ.get(FOLDER_VARIABLE)
    return Path(set_folder or platformdirs.user_config_dir("keras-android-farm", appauthor=False))


def load(start: Path | None = None) -> Profiles:
    """The user's profiles and those of the folder `start` (default: the current one); SettingsInvalid."""
    found = _read(user_folder() / FILE)
    folder = (start or Path.cwd()).absolute()
    for path in (parent / FILE for parent in (folder, *folder.parents)):
        if path.is_file() and path != user_folder() / FILE:
            near = _read(path)
            default = near.default if near.default != LOCAL or _names_default(path) else found.default
            return Profiles(default, {**found.urls, **near.urls}, {**found.op_rules, **near.op_rules})
    return found


def add(profile: Profile, token: str, *, default: bool) -> None:
    """Remember a farm and its token; `default` makes it the one that is used when none is asked for."""
    if profile.name == LOCAL or re.fullmatch(NAME, profile.name) is None:
        raise ProfileUnknown(f"A profile cannot be called {profile.name!r}; use letters, digits, - and _, not `local`.")
    folder = user_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    tokens = {**_tokens(folder / CREDENTIALS), profile.url: token}
    lines = ["# Written by `farm login`; whoever reads it can act in your name.", "[tokens]"]
    _write(folder / CREDENTIALS, [*lines, *(f"{_quoted(url)} = {_quoted(each)}" for url, each in tokens.items())])
    known = _read(folder / FILE)
    lines = [f"default = {_quoted(profile.name if default else known.default)}"]
    urls = {**known.urls, profile.name: profile.url}
    for name in dict.fromkeys((*urls, *known.op_rules)):
        lines += ["", f"[profiles.{name}]", *([f"url = {_quoted(urls[name])}"] if name in urls else [])]
        lines += _rule_lines(known.op_rules.get(name, OpRules()))
    _write(folder / FILE, lines)


def token(profile: Profile) -> str:
    """The token for a profile's farm; NotAuthenticated when there is none, SettingsInvalid when others can read it."""
    path = user_folder() / CREDENTIALS
    if path.exists() and path.stat().st_mode & 0o077:
        raise SettingsInvalid(f"Others may read your tokens in {path}; run: chmod 600 {path}")
    found = _tokens(path).get(profile.url)
    if found is None:
        raise NotAuthenticated(f"There is no token for the farm at {profile.url}; run: farm login {profile.url}")
    return found


def normal_url(text: str, *, insecure: bool) -> str:
    """The address as it is filed; SettingsInvalid for what is none, and for plain http:// to another machine."""
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise SettingsInvalid(f"{text[:200]!r} is no address of a farm; give one such as https://farm.example.org")
    if parts.scheme == "http" and not insecure and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise SettingsInvalid(
            f"Over {parts.scheme}:// everybody on the way could read the token; use https://, or add --insecure."
        )
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _read(path: Path) -> Profiles:
    """The profiles of one file; none when there is no file."""
    document = _document(path)
    default = document.get("default", LOCAL)
    tables = document.get("profiles", {})
    if not isinstance(default, str) or not isinstance(tables, dict):
        raise SettingsInvalid(f"{path} is not of the form that docs/server.md describes; mend it.")
    urls, rules = {}, {}
    for name, table in tables.items():
        if re.fullmatch(NAME, name) is None or not isinstance(table, dict):
            raise SettingsInvalid(f"The profile {name!r} in {path} has no `url`; mend it.")
        rules[name] = _rules(table, name, path)
        if name == LOCAL and "url" not in table:
            continue
        if not isinstance(table.get("url"), str):
            raise SettingsInvalid(f"The profile {name!r} in {path} has no `url`; mend it.")
        urls[name] = normal_url(table["url"], insecure=True)
    return Profiles(default, urls, {name: each for name, each in rules.items() if each != OpRules()})


def _rules(table: Mapping[str, object], name: str, path: Path) -> OpRules:
    """What a profile says about ops; SettingsInvalid."""
    names, ops = table.get("allow_ops", []), table.get("ops")
    try:
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise ValueError("allow_ops is no list of names")
        if ops is not None and not isinstance(ops, str):
            raise ValueError("ops is no set's name and no file")
        if ops is not None:
            find_ops(ops, path.parent)
        return OpRules(ops, parse_names(names), path.parent)
    except (ValueError, UsageError) as error:
        reason = str(error).split(";")[0]
        raise SettingsInvalid(
            f"The profile {name!r} in {path} has wrong rules about ops ({reason}); mend it."
        ) from error


def _rule_lines(rules: OpRules) -> list[str]:
    found = [f"ops = {_quoted(rules.ops)}"] if rules.ops else []
    return found + ([f"allow_ops = {json.dumps(rules.allow_ops)}"] if rules.allow_ops else [])


def _names_default(path: Path) -> bool:
    return "default" in _document(path)


def _tokens(path: Path) -> dict[str, str]:
    """Tokens by the farms' addresses."""
    found = _document(path).get("tokens", {})
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise SettingsInvalid(f"{path} is damaged; delete it and run `farm login` again.")
    return found


def _document(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(f"{path} cannot be read ({error}); mend it.") from error


def _quoted(text: str) -> str:
    # A JSON string of printable ASCII is a TOML basic string too.
    return json.dumps(text)


def _write(path: Path, lines: list[str]) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write("\n".join(lines) + "\n")
        draft.rename(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise SettingsInvalid(
            f"{path} cannot be written ({error.strerror}); check its folder's permissions."
        ) from error
