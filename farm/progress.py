"""What a running stage says: JSON lines, one event each, over a pipe to its supervisor."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass

from farm.plain_text import clean

# A line and what it says are a stranger's word once a model has taken the stage over.
LINE_BYTES = 4096
ACTIVITY_CHARACTERS = 200
PROGRESS_FD_VARIABLE = "FARM_PROGRESS_FD"


@dataclass(frozen=True)
class Progress:
    """`fraction` of the stage done, from 0 to 1, and what it does now."""

    fraction: float
    activity: str


Reporter = Callable[[float, str], None]


def encode(progress: Progress) -> bytes:
    """One line for the pipe."""
    return (
        json.dumps(
            {"fraction": round(progress.fraction, 4), "activity": progress.activity[:ACTIVITY_CHARACTERS]}
        ).encode()
        + b"\n"
    )


def decode(line: bytes) -> Progress:
    """Read one line from the pipe; raises ValueError when it is none of ours."""
    if len(line) > LINE_BYTES:
        raise ValueError("too long")
    try:
        value = json.loads(line)
        fraction, activity = value["fraction"], value["activity"]
    except (RecursionError, KeyError, TypeError) as error:
        raise ValueError("no progress") from error
    if not isinstance(fraction, int | float) or not isinstance(activity, str):
        raise ValueError("no progress")
    # A whole number may be larger than any float: it is asked nothing that a float is, and compared first.
    if isinstance(fraction, float) and math.isnan(fraction):
        raise ValueError("no progress")
    return Progress(float(min(1.0, max(0.0, fraction))), clean(activity, ACTIVITY_CHARACTERS))


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
