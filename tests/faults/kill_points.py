"""Ends a process with SIGKILL at one certain commit, rename or publish, just before it or just after.

Works in a forked child from outside the farm's code: the three functions of the libraries through which all of these
go are wrapped. The points of a piece of work are known from a first run, which dies at none and writes them down.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from worker import broker


def install(journal: Path, dies_at: int | None = None) -> None:
    """Count in this process; point 2n is before the nth of these calls, 2n + 1 after it. None: die at none."""
    numbers = itertools.count()

    def reach(kind: str) -> None:
        number = next(numbers)
        with journal.open("a") as stream:
            stream.write(f"{kind}\n")
        if number == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            reach(f"before {kind}")
            result = call(*arguments, **named)
            reach(f"after {kind}")
            return result

        return wrapped

    DefaultDialect.do_commit = watched("commit", DefaultDialect.do_commit)  # type: ignore[method-assign]
    os.rename = watched("rename", os.rename)
    broker.publish = watched("publish", broker.publish)


def points(journal: Path) -> list[str]:
    """What a run has passed, in order."""
    return journal.read_text().splitlines() if journal.exists() else []
