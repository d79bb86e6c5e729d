"""Digests of the sources and of the packages that decide a stage's result, and the versions that a report names."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

from farm import digests, locations
from farm.stages import BY_NAME, STAGES, Stage, StageName

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
    return digests.of_json({stage.name.value: of_stage(stage.name) for stage in STAGES})


def of_stage(name: StageName) -> str:
    """The digest over the stage's sources and packages."""
    stage = BY_NAME[name]
    packages = versions() if name in _STAGES_WITH_PACKAGES else {}
    return digests.of_json({"sources": _of_sources(stage, _changed_at(stage)), "packages": packages})


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


def _changed_at(stage: Stage) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of change of the stage's sources: a long-lived worker sees that they were edited."""
    found = []
    for pattern in stage.code:
        for path in locations.ROOT.glob(pattern):
            if path.is_file() and "__pycache__" not in path.parts:
                status = path.stat()
                found.append((str(path), status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))


@cache
def _of_sources(stage: Stage, _changed: tuple[tuple[str, int, int], ...]) -> str:
    return digests.of_sources(locations.ROOT, stage.code)
