"""What `scripts/processors` runs is there, and its rows are told apart."""

import os
import subprocess
import sys

import pytest

from tests import processors


def test_every_named_test_exists() -> None:
    missing = [name for name in (*processors.NUMBERS, *processors.EMULATED) if not (processors.ROOT / name).exists()]
    assert not missing


def test_emulation_runs_part_of_what_this_machine_runs() -> None:
    assert set(processors.EMULATED) < set(processors.NUMBERS)
    assert len({row.name for row in processors.PROCESSORS}) == len(processors.PROCESSORS)


@pytest.mark.programs
@pytest.mark.parametrize("row", [row for row in processors.PROCESSORS if row.cpu is None], ids=lambda row: row.name)
def test_numpy_takes_the_choice_without_a_warning(row: processors.Processor) -> None:
    command = [sys.executable, "-W", "error", "-c", "import numpy"]
    done = subprocess.run(command, env=os.environ | dict(row.variables), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
