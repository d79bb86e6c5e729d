"""Every module of the database can be the first that a program imports; no contract sees a circle in a package."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

from farm import locations

PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    for known in [each for each in sys.modules if each.split(".")[0] in ("db", "worker")]:
        del sys.modules[known]
    importlib.import_module(name)
"""


@pytest.mark.programs
def test_every_module_can_be_the_first() -> None:
    found = [f"db.{each.name}" for each in pkgutil.iter_modules([str(locations.ROOT / "db")]) if not each.ispkg]
    found.append("worker.relay")
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *found], cwd=locations.ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert len(found) > 10
