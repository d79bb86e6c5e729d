"""What is concluded from a sample on a phone's processor."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from farm import recipes
from farm.errors import HostMismatch
from pipeline.android import arm_run
from pipeline.android.arm_run import Sample
from pipeline.inference import divergence
from pipeline.inference.reference import TextReference
from pipeline.toolchain.arm_machine import CPUS

LIMITS = recipes.find("int8").limits
CPU = CPUS[0]


def text_of(logits: np.ndarray) -> TextReference:
    """The reference of a model that gives these logits."""
    known, log_p = divergence.likeliest(logits)
    tokens = np.zeros(len(logits), np.int32)
    return TextReference(tokens, known, log_p, np.zeros(len(logits) - 1, np.float32))


def answer(scratch: Path, logits: np.ndarray) -> str:
    logits.astype("<f4").tofile(scratch / "logits-0.f32")
    return '{"threads": 1}\n' + json.dumps({"rows": len(logits), "vocabulary_size": logits.shape[1]}) + "\n"


def test_a_file_that_predicts_as_keras_does(tmp_path: Path) -> None:
    logits = np.random.default_rng(1).normal(size=(20, 50)).astype(np.float32)
    sample = arm_run.measure(CPU, arm_run.read_rows(answer(tmp_path, logits), tmp_path, [text_of(logits)]))
    assert (sample.tokens, sample.top1_agreement) == (20, 1.0)
    assert sample.divergence == pytest.approx(0.0, abs=1e-5)
    arm_run.judge(sample, LIMITS, "int8")


def test_a_file_that_predicts_something_else_is_refused(tmp_path: Path) -> None:
    one, other = np.random.default_rng(1).normal(size=(2, 20, 50)).astype(np.float32)
    sample = arm_run.measure(CPU, arm_run.read_rows(answer(tmp_path, other), tmp_path, [text_of(one)]))
    with pytest.raises(HostMismatch, match=r"diverges from Keras by .* nats on cortex-a53"):
        arm_run.judge(sample, LIMITS, "int8")


@pytest.mark.parametrize(
    ("error", "agreement", "refused"),
    [(0.05, 0.9, None), (0.001, 0.9, "nats"), (0.05, 0.5, "likeliest token"), (math.nan, 0.9, "nats")],
)
def test_only_what_the_samples_size_explains_is_let_through(
    error: float, agreement: float, refused: str | None
) -> None:
    sample = Sample(CPU, 100, LIMITS.divergence * 1.3, error, agreement)
    if refused is None:
        arm_run.judge(sample, LIMITS, "int8")
    else:
        with pytest.raises(HostMismatch, match=refused):
            arm_run.judge(sample, LIMITS, "int8")


@pytest.mark.parametrize("output", ["", "{}", '{}\n{"rows": 3}', "no json"])
def test_an_unusable_answer_is_a_sentence(tmp_path: Path, output: str) -> None:
    with pytest.raises(HostMismatch, match="no usable answer"):
        arm_run.read_rows(output, tmp_path, [text_of(np.zeros((2, 3), np.float32))])


def test_the_apps_own_refusal_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(HostMismatch, match="The model is cut"):
        arm_run.read_rows('{"error": "The model is cut."}', tmp_path, [])
