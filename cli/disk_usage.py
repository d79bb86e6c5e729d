"""What takes the space of this machine's farm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from farm.settings import Settings


@dataclass(frozen=True)
class Usage:
    """One folder or file of the farm. frees: what gives the space back, empty where nothing should."""

    what: str
    path: Path
    bytes: int
    frees: str


def usages(settings: Settings) -> list[Usage]:
    """Everything that the farm keeps on this machine, the largest first."""
    return sorted(_usages(settings), key=lambda one: -one.bytes)


def _usages(settings: Settings) -> Iterator[Usage]:
    home = settings.home
    named = (
        ("files of jobs", settings.store, "farm rm JOB, farm gc"),
        ("caches", settings.caches, "delete the folder; the next job is slower"),
        ("logs of stages", settings.logs, "farm rm JOB, farm gc"),
        ("work of running jobs", settings.work, "end with their jobs"),
        ("uploads under way", home / "uploads", "farm gc"),
        ("signing keys", settings.keys, ""),
        ("Android toolchain", settings.toolchain, "delete the folder; farm doctor --fetch gets it again"),
    )
    for what, path, frees in named:
        if path.exists():
            yield Usage(what, path, _size(path), frees)
    database = [path for path in home.glob("farm.db*") if path.is_file()]
    if database:
        yield Usage("database", home / "farm.db", sum(path.stat().st_size for path in database), "")


def _size(folder: Path) -> int:
    """What the folder takes on the disk; a file with several names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for place, _, names in os.walk(folder, onerror=None):
        for name in names:
            try:
                status = os.lstat(os.path.join(place, name))  # noqa: PTH118  a Path for each file takes four times as long
            except FileNotFoundError:
                continue  # a running job has removed it
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_blocks * 512
    return total
