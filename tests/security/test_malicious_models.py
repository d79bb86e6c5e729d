"""Malicious model files: all refused, before TensorFlow, with nothing run, read or reached outside of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.security import good_models, hostile_checkpoints, malicious_models

ROOT = Path(__file__).parents[2]
NAMES = sorted(malicious_models.attacks(Path("/canary")))
HOSTILE = sorted(hostile_checkpoints.attacks(Path("/canary")))
GOOD = good_models.models()
REFUSALS = {
    "ModelUnsafe",
    "ModelDamaged",
    "UnsupportedArchitecture",
    "UnsupportedFamily",
    "NotCausalLM",
    "AdapterUnusable",
}
# One model's check may take so long, in seconds, on a machine with other work too.
LONGEST_CHECK = 10.0


@dataclass(frozen=True)
class Record:
    """What the checking process answered for each model, and what it did beside."""

    answers: dict[str, list[str]]
    findings: list[str]
    heavy: list[str]
    seconds: dict[str, float]


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    root = tmp_path_factory.mktemp("models")
    canary = tmp_path_factory.mktemp("host") / "canary"
    os.mkfifo(canary)  # opening it waits forever, so that any reading, in C too, ends in the time limit below
    attacks = {**malicious_models.attacks(canary), **hostile_checkpoints.attacks(canary)}
    folders = {name: f"{number:03}" for number, name in enumerate((*NAMES, *HOSTILE, *GOOD))}
    for name, folder in folders.items():
        (root / folder).mkdir()
        source = root / folder / "source"
        if name in GOOD:
            GOOD[name](source)
        else:
            attacks[name](source, canary)
    command = [sys.executable, "-m", "tests.security.audited_check", str(root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    answers = {name: printed["answers"][folder] for name, folder in folders.items()}
    seconds = {name: printed["seconds"][folder] for name, folder in folders.items()}
    return Record(answers, printed["findings"], printed["heavy"], seconds)


def test_there_are_enough_of_them() -> None:
    assert len(NAMES) + len(HOSTILE) >= 150
    assert len(GOOD) >= 60


@pytest.mark.parametrize("name", NAMES)
def test_is_refused(record: Record, name: str) -> None:
    error, sentence = record.answers[name]
    assert error == "ModelUnsafe", sentence
    assert "refused" in sentence or "save the model again" in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_checkpoint_is_refused_in_own_words(record: Record, name: str) -> None:
    error, sentence = record.answers[name]
    assert error in REFUSALS, sentence
    assert "\n" not in sentence
    assert len(sentence) < 600
    for foreign in ("Traceback", "pydantic", "Error(", "validation error", "Expecting", "codec can't"):
        assert foreign not in sentence, sentence


def test_each_is_judged_in_time(record: Record) -> None:
    slow = {name: seconds for name, seconds in record.seconds.items() if seconds > LONGEST_CHECK}
    assert not slow


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_good_model_is_accepted(record: Record, name: str) -> None:
    assert record.answers[name] == ["accepted", "GPT2Backbone"]


@pytest.mark.goal(id="S1")
def test_malicious_files_do_nothing(record: Record, trial) -> None:
    judge(record, trial, NAMES, {"ModelUnsafe"})


@pytest.mark.goal(id="A3")
def test_hostile_models_do_nothing(record: Record, trial) -> None:
    judge(record, trial, [*NAMES, *HOSTILE], REFUSALS)


def judge(record: Record, trial, names: list[str], refusals: set[str]) -> None:
    accepted = [name for name in names if record.answers[name][0] not in refusals]
    refused = [name for name in GOOD if record.answers[name][0] != "accepted"]
    slowest = max(record.seconds[name] for name in names)
    trial.measured(
        f"{len(names)} hostile, {len(accepted)} not refused, the slowest in {slowest:.1f} s; {len(GOOD)} good,"
        f" {len(refused)} refused; {len(record.findings)} things run, read or reached; {len(record.heavy)} of"
        " TensorFlow and Keras imported"
    )
    assert (accepted, refused, record.findings, record.heavy) == ([], [], [], [])
    assert slowest < LONGEST_CHECK


def test_nothing_was_run_read_or_reached(record: Record) -> None:
    assert record.findings == []


def test_neither_tensorflow_nor_keras_was_imported(record: Record) -> None:
    assert record.heavy == []
