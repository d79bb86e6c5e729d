"""The benchmark of drafting: what it counts, and the texts that it chooses from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import drafting
from benchmarks.drafting import Written
from benchmarks.drafting_texts import BEGINNINGS, QUESTIONS
from farm.recipes import WeightFormat
from pipeline.inference.generation import greedy
from pipeline.inference.interpreter import open_token_model
from tests.fixtures import bound_models
from tests.fixtures.weightless_graphs import GPT2_LIKE


def test_the_texts_differ_from_each_other() -> None:
    assert len(set(QUESTIONS)) == len(QUESTIONS) >= 20
    assert len(set(BEGINNINGS)) == len(BEGINNINGS) >= 10


def test_calls_are_those_behind_the_first_token(tmp_path: Path) -> None:
    path = bound_models.bind_sizes(GPT2_LIKE, WeightFormat.FLOAT32, tmp_path / "model.tflite")
    model = open_token_model(path)
    found = drafting.measure(model, [5, 250, 17], (), lambda: greedy, 20, runs=1)
    assert found.tokens == 19
    assert 5 <= found.calls <= 19
    assert 0 < found.plain < 60 > found.drafted > 0


def test_a_set_is_as_fast_as_all_its_texts_together() -> None:
    written = [Written(plain=4.0, drafted=2.0, tokens=40, calls=20), Written(1.0, 2.0, 10, 10)]
    whole, worst = drafting.rows("prose", 1.15, written)
    assert (whole.measured, worst.measured) == (1.25, 0.5)
    assert whole.reached and not worst.reached
    assert "1.67 tokens a call" in whole.baseline


def test_drawn_tokens_follow_the_model_and_the_number() -> None:
    logits = np.log(np.array([0.2, 0.5, 0.3], np.float32)) * drafting.TEMPERATURE
    draw, again = drafting.drawn(3), drafting.drawn(3)
    tokens = [draw(logits) for _ in range(4000)]
    assert tokens[:50] == [again(logits) for _ in range(50)]
    assert np.abs(np.bincount(tokens, minlength=3) / 4000 - [0.2, 0.5, 0.3]).max() < 0.03
