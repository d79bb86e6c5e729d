"""The runtimes that the farm packages or knows, as they were read once: `known/*.json`, bound to their files' hashes.

pipeline/ops/known_aars_writing.py reads them again from the toolchain's files.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pipeline.ops.aar import AarReading

DATA_FILES = ("pipeline/ops/known/*.json",)

FOLDER = Path(__file__).with_name("known")
APP, STOCK = "app", "stock"


@cache
def load(name: str) -> AarReading:
    """What was read of the runtime of that name."""
    return AarReading.model_validate_json((FOLDER / f"{name}.json").read_bytes())


@cache
def all_known() -> tuple[AarReading, ...]:
    """Every runtime that the farm knows."""
    return tuple(load(name) for name in (APP, STOCK))


def find(digests: dict[str, str]) -> AarReading | None:
    """The reading of exactly these files, if they are those of a known runtime."""
    return next((known for known in all_known() if known.files == digests), None)
