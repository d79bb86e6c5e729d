"""Ops that no model needs and no job may bring in by itself: the table `dangers.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from pipeline.ops.reading import OpUse

DATA_FILES = ("pipeline/ops/dangers.toml",)

TABLE = Path(__file__).with_name("dangers.toml")


@dataclass(frozen=True)
class Category:
    """Ops that do the same: why they are refused, and patterns of their names."""

    name: str
    why: str
    patterns: tuple[str, ...]

    def holds(self, op: str) -> bool:
        """Whether the op is one of them."""
        return any(fnmatchcase(op, pattern) for pattern in self.patterns)


@cache
def categories() -> tuple[Category, ...]:
    """What is refused, the gravest first."""
    table = tomllib.loads(TABLE.read_text())["refused"]
    return tuple(Category(name, entry["why"], tuple(entry["ops"])) for name, entry in table.items())


@cache
def category(op: str) -> Category | None:
    """The category of a TensorFlow op; None for one that only computes."""
    return next((one for one in categories() if one.holds(op)), None)


def danger(use: OpUse, permitted: Collection[str] = ()) -> str | None:
    """A clause that says why the operator is refused, or None. permitted: what the operator of the farm lets in."""
    if use.fault is not None:
        return use.fault
    op = use.runs or use.name
    found = category(op)
    return None if found is None or op in permitted else f"it {found.why}"
