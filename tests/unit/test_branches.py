"""The plugin that measures branches counts what every process runs, and fails a whole run below the floor."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import branches

PROJECT = """
[tool.slipcover]
source = ["measured"]
fail-under = {floor}
[tool.pytest.ini_options]
addopts = ["--import-mode=importlib"]
testpaths = ["tests"]
pythonpath = ["."]
filterwarnings = ["error", "ignore:Module already imported so cannot be rewritten; slipcover"]
"""
MODULE = """
def sign(number):
    if number < 0:
        return -1
    return 1
"""
TEST = """
from measured.signs import sign
def test_{name}():
    assert sign({number}) == {sign}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A package with one function of two branches, one module that nothing imports, and a test for each branch."""
    for name in ("measured", "tests"):
        (tmp_path / name).mkdir()
    (tmp_path / "measured" / "signs.py").write_text(MODULE)
    (tmp_path / "measured" / "alone.py").write_text("never = 1\n")
    (tmp_path / "tests" / "test_above.py").write_text(TEST.format(name="above", number=3, sign=1))
    (tmp_path / "tests" / "test_below.py").write_text(TEST.format(name="below", number=-3, sign=-1))
    shutil.copy(branches.__file__, tmp_path / "tests")
    return tmp_path


def run(project: Path, floor: int, *arguments: str) -> tuple[int, str]:
    (project / "pyproject.toml").write_text(PROJECT.format(floor=floor))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.branches", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.programs
def test_processes_are_counted_together(project: Path) -> None:
    # 4 of 5 lines and both branches: one file in each of two processes.
    code, output = run(project, 85, "-n", "2", "--dist", "loadfile")
    assert code == 0, output
    assert "all        80.0 % of      5 lines  100.0 % of      2 branches" in output


@pytest.mark.programs
def test_a_whole_run_below_the_floor_fails(project: Path) -> None:
    code, output = run(project, 86, "-n", "0")
    assert code == 1, output
    assert "85.7 % is below the floor of 86 % in pyproject.toml" in output


@pytest.mark.programs
@pytest.mark.parametrize("chosen", [("tests/test_above.py",), ("-k", "above")])
def test_a_run_of_some_tests_prints_its_figures_only(project: Path, chosen: tuple[str, ...]) -> None:
    code, output = run(project, 86, "-n", "0", *chosen)
    assert code == 0, output
    assert "all        60.0 % of      5 lines   50.0 % of      2 branches" in output
    assert "floor" not in output
