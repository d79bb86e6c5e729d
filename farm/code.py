"""Digests of the sources and of the packages that decide a stage's result, and the versions that a report names."""

from __future__ import annotations

import glob
import math
import os
import platform
import time
from collections.abc import Iterator
from functools import cache
from importlib import metadata

from farm import digests, locations
from farm.stages import STAGES, Stage, StageName

# Packages whose version may change what these stages make.
_PACKAGES = (
    "ai-edge-litert",
    "keras",
    "keras-hub",
    "numpy",
    "tensorflow",
    "tensorflow-text",
    "tokenizers",
)
_STAGES_WITH_PACKAGES = frozenset({StageName.CONVERT, StageName.VERIFY})


def of_job() -> str:
    """The digest over all stages."""
    return digests.of_json({name.value: digest for name, digest in of_stages().items()})


# For how long what was found is taken for still so: looking at all sources takes longer than a claim.
FRESH_SECONDS = 1.0
_latest: dict[str, tuple[float, dict[StageName, str]]] = {}


def of_stages() -> dict[StageName, str]:
    """The digest over each stage's sources and packages, as they were FRESH_SECONDS ago or later."""
    looked_at, found = _latest.get(str(locations.ROOT), (-math.inf, {}))
    if time.monotonic() - looked_at >= FRESH_SECONDS:
        looked_at, found = time.monotonic(), _of_stages()
        _latest[str(locations.ROOT)] = looked_at, found
    return dict(found)


def _of_stages() -> dict[StageName, str]:
    patterns = {pattern: _changed_at(pattern) for stage in STAGES for pattern in stage.code}
    found = {}
    for stage in STAGES:
        packages = versions() if stage.name in _STAGES_WITH_PACKAGES else {}
        sources = _of_sources(stage, tuple(patterns[pattern] for pattern in stage.code))
        found[stage.name] = digests.of_json({"sources": sources, "packages": packages})
    return found


@cache
def versions() -> dict[str, str]:
    """The installed versions of Python and of the packages that decide a result; without those not installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def farm_version() -> str:
    """The installed version of the farm."""
    return metadata.version("keras-android-farm")


_Changed = tuple[tuple[str, int, int], ...]


def _changed_at(pattern: str) -> _Changed:
    """Names, sizes and times of change of the sources: a long-lived worker sees that they were edited."""
    found = []
    for name in _names(str(locations.ROOT), pattern):
        status = os.stat(f"{locations.ROOT}/{name}")  # noqa: PTH116 # asked for every job, and pathlib takes its time
        found.append((name, status.st_size, status.st_mtime_ns))
    return tuple(found)


# What a pattern matches changes only when one of these folders does, by their times of change.
_listed: dict[tuple[str, str], tuple[tuple[str, ...], dict[str, int]]] = {}


def _names(root: str, pattern: str) -> tuple[str, ...]:
    """The sources that a pattern matches below `root`, listed anew when a folder's entries have changed."""
    names, folders = _listed.get((root, pattern), ((), {}))
    if not folders or any(_entries_changed_at(folder) != at for folder, at in folders.items()):
        folders = {folder: _entries_changed_at(folder) for folder in _folders(root, pattern)}
        names = tuple(sorted(name for name in _match(root, pattern) if "__pycache__" not in name))
        _listed[root, pattern] = names, folders
    return names


def _folders(root: str, pattern: str) -> set[str]:
    """The folders whose entries decide what a pattern matches."""
    parent = pattern.rpartition("/")[0]
    return {f"{root}/{name}" for name in _match(root, f"{parent}/")} | {root}


def _match(root: str, pattern: str) -> Iterator[str]:
    # Not pathlib's, which takes three times as long.
    return glob.iglob(pattern, root_dir=root, recursive=True, include_hidden=True)  # noqa: PTH207


def _entries_changed_at(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116
    except FileNotFoundError:
        return 0


@cache
def _of_sources(stage: Stage, _changed: tuple[_Changed, ...]) -> str:
    return digests.of_sources(locations.ROOT, stage.code)
