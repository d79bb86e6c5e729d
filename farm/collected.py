"""How much the farm removed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Collected:
    """How much was removed, or would be: jobs, results of stages, files and their bytes."""

    jobs: int
    results: int
    files: int
    bytes: int
