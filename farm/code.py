"""Digests of the sources and of the packages that decide a stage's result, and the versions that a report names."""

from __future__ import annotations

import glob
import os
import platform
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


def of_stages() -> dict[StageName, str]:
    """The digest over each stage's sources and packages."""
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
    # Not pathlib's, which takes three times as long, and this is asked for every job.
    for name in glob.iglob(pattern, root_dir=locations.ROOT, recursive=True, include_hidden=True):  # noqa: PTH207
        if "__pycache__" not in name:
            status = os.stat(f"{locations.ROOT}/{name}")  # noqa: PTH116
            found.append((name, status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))


@cache
def _of_sources(stage: Stage, _changed: tuple[_Changed, ...]) -> str:
    return digests.of_sources(locations.ROOT, stage.code)
