"""What a command loads and how long it takes to begin."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from farm import locations

pytestmark = pytest.mark.programs

HEAVY = ("tensorflow", "keras", "keras_hub", "numpy", "ai_edge_litert", "tokenizers", "huggingface_hub", "alembic")
PROBE = """
import sys
from cli.main import main
sys.argv = ["farm", *sys.argv[1:]]
try:
    main()
finally:
    sys.stderr.write("LOADED " + " ".join(sys.modules))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a farm's database: the first call makes it, for which Alembic is needed."""
    made = tmp_path_factory.mktemp("start-up")
    assert farm(made, "status").returncode == 0
    return made


def run(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FARM_HOME": str(tmp_path / "home"), "PYTHONPATH": str(locations.ROOT)}
    return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)


def farm(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run(tmp_path, sys.executable, "-m", "cli.main", *words)


@pytest.mark.parametrize(
    "words", [["--help"], ["status"], ["list"], ["recipes"], ["submit", "--help"], ["run", "--help"]]
)
def test_no_command_loads_what_it_does_not_need(folder: Path, words: list[str]) -> None:
    ran = run(folder, sys.executable, "-c", PROBE, *words)
    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stderr.split("LOADED ")[1].split())
    assert "typer" in loaded
    assert not loaded.intersection(HEAVY)
    if words != ["status"] and words != ["list"]:
        assert "sqlalchemy" not in loaded


@pytest.mark.parametrize(("word", "limit"), [("--help", 0.5), ("status", 1.2)])
def test_it_begins_at_once(folder: Path, word: str, limit: float) -> None:
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert farm(folder, word).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < limit, f"{spent} s of processor time; wall time would measure this machine's other work"


def test_a_reader_that_goes_away_is_no_fault(folder: Path) -> None:
    command = f"{sys.executable} -m cli.main recipes | head -n 1; exit ${{PIPESTATUS[0]}}"
    ran = run(folder, "bash", "-c", command)
    assert "Traceback" not in ran.stderr
    assert "at fault" not in ran.stderr


def test_a_terminal_that_is_not_utf8(folder: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(locations.ROOT)}
    ran = subprocess.run(
        [sys.executable, "-m", "cli.main", "recipes"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert "int8" in ran.stdout


def test_a_refused_setting_is_one_sentence(folder: Path) -> None:
    environment = {**os.environ, "FARM_HOME": "relative", "PYTHONPATH": str(locations.ROOT)}
    ran = subprocess.run(
        [sys.executable, "-m", "cli.main", "status"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 90
    assert ran.stderr.startswith("Error: ")
    assert len(ran.stderr.splitlines()) == 1
