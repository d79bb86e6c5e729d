"""What a running stage says: JSON lines, one event each, over a pipe to its supervisor."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

PROGRESS_FD_VARIABLE = "FARM_PROGRESS_FD"


@dataclass(frozen=True)
class Progress:
    """`fraction` of the stage done, from 0 to 1, and what it does now."""

    fraction: float
    activity: str


Reporter = Callable[[float, str], None]


def encode(progress: Progress) -> bytes:
    """One line for the pipe."""
    return json.dumps({"fraction": round(progress.fraction, 4), "activity": progress.activity}).encode() + b"\n"


def decode(line: bytes) -> Progress:
    """Read one line from the pipe; raises ValueError when it is none of ours."""
    value = json.loads(line)
    return Progress(fraction=min(1.0, max(0.0, float(value["fraction"]))), activity=str(value["activity"])[:200])


def reporter_from_environment() -> Reporter:
    """The reporter of a stage process; without a supervisor it says nothing."""
    descriptor = os.environ.get(PROGRESS_FD_VARIABLE)
    if descriptor is None:
        return _say_nothing
    target = int(descriptor)

    def report(fraction: float, activity: str) -> None:
        os.write(target, encode(Progress(fraction, activity)))

    return report


def _say_nothing(_share: float, _activity: str) -> None:
    return
