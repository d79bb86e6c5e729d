"""Which farms a user has: profiles in `farm.toml`, tokens in a file that only the user may read.

    default = "office"

    [submit]
    label = "Story"

    [profiles.office]
    url = "https://farm.example.org"
    recipe = "int8"
    ops = "flex"
    allow_ops = ["RegexSplitWithOffsets"]

`farm.toml` lies in the user's configuration folder; one in the current folder or above it adds to that and goes
first. The name `local` stands for the embedded farm of this machine. A profile, and `submit` for all of them, hold what
jobs ask for where the command line says nothing else: every option of `farm submit` by its field's name. Relative paths
are relative to `farm.toml`. Tokens are filed under the farm's address and not under the profile's name, so that a
`farm.toml` that came with a stranger's repository cannot have them sent anywhere else.
"""

from __future__ import annotations

import difflib
import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, StrictStr, ValidationError, create_model

from farm.errors import NotAuthenticated, ProfileUnknown, SettingsInvalid
from farm.job_request import JobOptions, Layer, refusal

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


_ProfileTable: type[BaseModel] = create_model("_ProfileTable", __base__=JobOptions, url=(StrictStr | None, None))


class _File(BaseModel):
    """`farm.toml`."""

    model_config = ConfigDict(extra="forbid")

    default: StrictStr | None = None
    submit: JobOptions = JobOptions()
    profiles: dict[str, _ProfileTable] = {}


@dataclass(frozen=True)
class Profiles:
    """All profiles by name, and the name of the one that is used when none is asked for.

    options: what jobs ask for, by the profile's name, `""` for all of them; later layers go before earlier ones.
    """

    default: str = LOCAL
    urls: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict)

    def layers(self, name: str | None) -> tuple[Layer, ...]:
        """What the profile of that name, or the default one, asks for in new jobs; ProfileUnknown."""
        chosen = self.choose(name)
        return (*self.options.get("", ()), *self.options.get(chosen.name if chosen else LOCAL, ()))

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
    own = user_folder() / FILE
    found = _read(own)
    folder = (start or Path.cwd()).absolute()
    for path in (parent / FILE for parent in (folder, *folder.parents)):
        if path.is_file() and path != own:
            near = _read(path)
            names = dict.fromkeys((*found.options, *near.options))
            options = {name: (*found.options.get(name, ()), *near.options.get(name, ())) for name in names}
            return Profiles(near.default or found.default or LOCAL, {**found.urls, **near.urls}, options)
    return Profiles(found.default or LOCAL, found.urls, found.options)


def add(profile: Profile, token: str, *, default: bool) -> None:
    """Remember a farm and its token; `default` makes it the one that is used when none is asked for."""
    if profile.name == LOCAL or re.fullmatch(NAME, profile.name) is None:
        raise ProfileUnknown(f"A profile cannot be called {profile.name!r}; use letters, digits, - and _, not `local`.")
    # Only who logs in writes these files.
    import tomlkit

    folder = user_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = {"tokens": {**_tokens(folder / CREDENTIALS), profile.url: token}}
    head = "# Written by `farm login`; whoever reads it can act in your name.\n"
    write_private(folder / CREDENTIALS, head + tomlkit.dumps(kept))
    _read(folder / FILE)  # refuses what could not be read back
    document = tomlkit.parse(_text(folder / FILE))
    if default:
        document["default"] = profile.name
    tables = document.setdefault("profiles", tomlkit.table(is_super_table=True))
    tables.setdefault(profile.name, tomlkit.table())["url"] = profile.url
    write_private(folder / FILE, tomlkit.dumps(document))


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
    """The profiles of one file, whose default is empty where it has none; none when there is no file."""
    try:
        document = _File.model_validate(_document(path))
    except ValidationError as error:
        place = error.errors()[0]["loc"]
        raise refusal(error, str(path), _KEYS_BY_DEPTH.get(len(place), ())) from error
    urls, options = {}, {"": _layers(document.submit.model_dump(exclude_unset=True), path)}
    for name, table in document.profiles.items():
        if re.fullmatch(NAME, name) is None:
            raise SettingsInvalid(f"{path} has a profile {name!r}; use letters, digits, - and _ in its name.")
        given: dict[str, Any] = table.model_dump(exclude_unset=True)
        url = given.pop("url", None)
        options[name] = _layers(given, path)
        if url is not None:
            urls[name] = normal_url(url, insecure=True)
        elif name != LOCAL:
            raise SettingsInvalid(f"The profile {name!r} in {path} has no `url`; add the farm's address.")
    return Profiles(document.default or "", urls, options)


# At the top of farm.toml, and in a profile.
_KEYS_BY_DEPTH = {1: ("default", "submit", "profiles"), 3: ("url",)}


def _layers(options: Mapping[str, Any], path: Path) -> tuple[Layer, ...]:
    return (Layer(options, path.parent, str(path)),) if options else ()


def _tokens(path: Path) -> dict[str, str]:
    """Tokens by the farms' addresses."""
    found = _document(path).get("tokens", {})
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise SettingsInvalid(f"{path} is damaged; delete it and run `farm login` again.")
    return found


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path} is no TOML ({error}); correct it.") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsInvalid(f"{path} cannot be read ({reason}); correct it.") from error


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        draft.rename(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise SettingsInvalid(
            f"{path} cannot be written ({error.strerror}); check its folder's permissions."
        ) from error
