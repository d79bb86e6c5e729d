"""Since which runtime a built-in op is known in a version, from the table `versions.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

DATA_FILES = ("pipeline/ops/versions.toml",)

TABLE = Path(__file__).with_name("versions.toml")


@cache
def _since() -> dict[str, tuple[str, ...]]:
    return {name: tuple(each) for name, each in tomllib.loads(TABLE.read_text())["since"].items()}


def first_runtime(name: str, version: int) -> str | None:
    """The first runtime, such as `2.17`, that has the op in that version; None when the table does not know."""
    known = _since().get(name, ())
    return known[version - 1] or None if 0 < version <= len(known) else None


def as_numbers(version: str) -> tuple[int, ...]:
    """A version to compare with: `2.14.0` and `2.14` are equal."""
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
