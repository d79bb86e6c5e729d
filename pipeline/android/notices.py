"""What the app shows of its libraries' licences, from `notices.toml`, `notices/` and the pinned versions.

`python -m pipeline.android.notices` writes the files; a test compares them with the tables.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from farm import digests, locations
from farm.errors import SettingsInvalid
from pipeline.android import written_files
from pipeline.toolchain import pins
from pipeline.toolchain.pins import Pins, Role

DATA_FILES = ("android-builder/notices.toml", "android-builder/notices/*")

TABLE = locations.ANDROID_BUILDER / "notices.toml"
TEXTS = locations.ANDROID_BUILDER / "notices"
ASSETS = locations.ANDROID_BUILDER / "app" / "src" / "main" / "assets"
LIBRARIES = "licences.json"
NOTICES = "notices.txt"
RULE = "* * *"


@dataclass(frozen=True)
class Library:
    """A library of the app. module: `group:name` in Maven."""

    name: str
    module: str
    licence: str


@dataclass(frozen=True)
class Part:
    """What is linked into the runtime's native libraries. source: where its sources are. symbol: a name that it leaves
    in them. text, sha256: its licence in `notices/`, None for the Apache License. origin: where that text is from."""

    name: str
    licence: str
    source: str
    origin: str
    symbol: str | None = None
    text: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Table:
    """The whole table. absent: names in native libraries by which one would notice a part that has no entry."""

    libraries: tuple[Library, ...]
    parts: tuple[Part, ...]
    absent: Mapping[str, str]


def load(table: Path = TABLE) -> Table:
    """Read the table; SettingsInvalid names what is wrong in it."""
    try:
        data = tomllib.loads(table.read_text())
        return Table(
            libraries=tuple(Library(**entry) for entry in data["library"]),
            parts=tuple(Part(**entry) for entry in data["part"]),
            absent=data["absent"],
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise SettingsInvalid(
            f"The table {table} is refused: {error}; restore it from the farm's repository."
        ) from error


def files(table: Table, versions: Pins) -> Mapping[str, str]:
    """The content of each of the app's assets, by its name."""
    return {LIBRARIES: _libraries(table, versions), NOTICES: _notices(table)}


def _libraries(table: Table, versions: Pins) -> str:
    pinned = {f"{one.group}:{one.name}": one.version for one in versions.with_role(Role.LIBRARY)}
    if set(pinned) != {library.module for library in table.libraries}:
        raise SettingsInvalid(f"The libraries in {TABLE.name} are not those of {pins.TABLE.name}; make them the same.")
    libraries = [{"name": one.name, "version": pinned[one.module], "licence": one.licence} for one in table.libraries]
    parts = [{"name": part.name, "licence": part.licence} for part in table.parts]
    return json.dumps({"format": 1, "libraries": libraries, "parts": parts}, indent=1) + "\n"


def _notices(table: Table) -> str:
    return f"\n{RULE}\n\n".join(_notice(part) for part in table.parts if part.text is not None)


def _notice(part: Part) -> str:
    return f"{part.name}\n{part.source}\n\n{text(part)}"


def text(part: Part) -> str:
    """The part's own licence; SettingsInvalid when the file is not the one that was written down."""
    path = TEXTS / str(part.text)
    if digests.of_file(path) != part.sha256:
        raise SettingsInvalid(f"{path.name} is not the text of {part.name}'s licence any more; restore it.")
    return path.read_text()


def main() -> int:
    """Write the files; the exit code is the error's, or 0."""
    return written_files.write(ASSETS, lambda: files(load(), pins.load()))


if __name__ == "__main__":
    sys.exit(main())
