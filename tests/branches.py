"""A pytest plugin that measures which lines and branches the tests run; `scripts/test` asks for it.

Slipcover counts in the modules themselves and takes each counter out when it has been seen often, so that it costs next
to nothing where coverage.py costs half of the time (docs/decisions/0015-coverage.md). Its own command cannot be used:
it rewrites pytest as well. Processes that tests start are not measured. The floor, `fail-under` in pyproject.toml's
[tool.slipcover], holds for a run of all tests; a run of some prints its figure only.
"""

from __future__ import annotations

import ast
import functools
import json
import threading
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import slipcover

ROOT = Path(__file__).resolve().parents[1]
SETTINGS: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["slipcover"]
SOURCES = [str(ROOT / name) for name in SETTINGS["source"]]
RESULT = "slipcover"
# Before Python 3.11.8 two threads that parse at once can end in a SystemError (gh-106905). Slipcover parses each module
# that is imported, TensorFlow the functions that it traces, of which conversion traces some in a thread.
_parsing, _parse = threading.RLock(), ast.parse


def _parse_alone(*arguments: Any, **options: Any) -> Any:
    with _parsing:
        return _parse(*arguments, **options)


ast.parse = _parse_alone
# At import, before conftest.py imports the first module that is measured.
_counters = slipcover.Slipcover(branch=True)
slipcover.ImportManager(_counters, slipcover.FileMatcher(sources=SOURCES)).__enter__()
_parts: list[Mapping[str, Any]] = []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process of pytest-xdist counted."""
    _parts.append(json.loads(node.workeroutput[RESULT]) if RESULT in getattr(node, "workeroutput", {}) else {})


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the counts over, or fail the run when they are below the floor."""
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput[RESULT] = json.dumps(_counters.get_coverage())
    elif (floor := _floor(config)) and session.exitstatus == 0 and _merged()["summary"]["percent_covered"] < floor:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures, for each package and in all."""
    measured = _merged()
    terminalreporter.section("lines and branches that the tests ran")
    for name in (*SETTINGS["source"], None):
        terminalreporter.write_line(_row(measured["files"], name))
    reached, floor = measured["summary"]["percent_covered"], _floor(config)
    if floor and reached < floor:
        terminalreporter.write_line(
            f"{reached:.1f} % is below the floor of {floor} % in pyproject.toml: test what you added.", red=True
        )


def _floor(config: pytest.Config) -> float | None:
    """What a run must reach; None for one of some of the tests."""
    chosen = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    return None if chosen or config.option.keyword or config.option.markexpr else SETTINGS["fail-under"]


@functools.cache
def _merged() -> dict[str, Any]:
    """The counts of all processes, with the modules that none imported."""
    merged: dict[str, Any] = slipcover.Slipcover(branch=True, source=SOURCES).get_coverage()
    for part in _parts or [_counters.get_coverage()]:
        if part:
            slipcover.merge_coverage(merged, part)
    return merged


def _row(files: Mapping[str, Any], package: str | None) -> str:
    """One package's line; None for that of all."""
    inside = [counts for path, counts in files.items() if package in (None, _package(path))]
    shares = []
    for kind in ("lines", "branches"):
        run, missed = (sum(len(counts[f"{how}_{kind}"]) for counts in inside) for how in ("executed", "missing"))
        shares.append(f"{100 * run / max(run + missed, 1):5.1f} % of {run + missed:6,} {kind}")
    return f"{package or 'all':10}{'  '.join(shares)}"


def _package(path: str) -> str:
    """The top-level package of a module."""
    return (ROOT / path).relative_to(ROOT).parts[0]
