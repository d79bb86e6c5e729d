"""A pytest plugin that notes which functions of the repository each test calls, and what it costs.

It listens to calls only, not to lines, which costs a tenth of what line coverage does. Called functions are written to
the file named in FARM_REACHED, with a worker's name behind it: one line of JSON a test that passed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType

import pytest

_called: set[CodeType] = set()
_failed: set[str] = set()


def _note(frame: FrameType, _event: str, _argument: object) -> None:
    _called.add(frame.f_code)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Listen from the test's fixtures to their end."""
    _called.clear()
    began = time.process_time()
    threading.settrace(_note)
    sys.settrace(_note)
    try:
        return (yield)
    finally:
        sys.settrace(None)
        threading.settrace(None)
        if item.nodeid not in _failed:
            _write(item.nodeid, time.process_time() - began, item.config.rootpath)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Leave tests out that fail or are left out themselves."""
    if report.outcome != "passed":
        _failed.add(report.nodeid)


def _write(test: str, seconds: float, root: Path) -> None:
    """Add a test's line."""
    prefix = f"{root}{os.sep}"
    functions = sorted(
        f"{code.co_filename.removeprefix(prefix)}:{code.co_qualname.removesuffix('.<lambda>')}"
        for code in tuple(_called)
        if code.co_filename.startswith(prefix) and not code.co_filename.startswith(f"{prefix}tests{os.sep}")
    )
    path = Path(os.environ["FARM_REACHED"] + os.environ.get("PYTEST_XDIST_WORKER", ""))
    with path.open("a") as file:
        file.write(json.dumps({"test": test, "seconds": round(seconds, 3), "functions": functions}) + "\n")
