"""What Google Play and current phones ask of a package, as data: `android-builder/play.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from farm import locations
from farm.errors import SettingsInvalid

DATA_FILES = ("android-builder/play.toml",)

TABLE = locations.ANDROID_BUILDER / "play.toml"


@dataclass(frozen=True)
class SizeLimits:
    """In bytes: of an APK that Play takes, of what Android installs, and of a bundle's compressed downloads."""

    apk: int
    install: int
    base_module: int
    asset_pack: int
    bundle: int


@dataclass(frozen=True)
class PlayRules:
    """The whole table. target_sdk_since: the day from which Play asks for that level. permissions: those that an app
    may ask for. methods: references of one dex file. sources: the address of each check's rule by the check's name."""

    target_sdk: int
    target_sdk_since: date
    min_sdk: int
    signature_schemes: frozenset[int]
    permissions: frozenset[str]
    methods: int
    size: SizeLimits
    sources: Mapping[str, str]


def load(table: Path = TABLE) -> PlayRules:
    """Read the table; SettingsInvalid names what is wrong in it."""
    try:
        data = tomllib.loads(table.read_text())
        play = data["play"]
        return PlayRules(
            target_sdk=int(play["target_sdk"]),
            target_sdk_since=_day(play["target_sdk_since"]),
            min_sdk=int(play["min_sdk"]),
            signature_schemes=frozenset(map(int, play["signature_schemes"])),
            permissions=frozenset(map(str, play["permissions"])),
            methods=int(play["methods"]),
            size=SizeLimits(**data["size"]),
            sources={str(name): str(source) for name, source in data["rules"].items()},
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise SettingsInvalid(
            f"The table {table} is refused: {error}; restore it from the farm's repository."
        ) from error


def _day(value: object) -> date:
    """A date as TOML has it; ValueError for anything else."""
    if type(value) is not date:
        raise ValueError(f"target_sdk_since is {value!r}, which is no date")
    return value
