from __future__ import annotations

import numpy as np
import pytest

from pipeline.inference import repetition
from pipeline.inference.generation import generate
from pipeline.inference.interpreter import TokenModel
from pipeline.inference.reference import Reference


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [([], 0.0), ([1, 2, 3, 4], 0.0), (range(40), 0.0), ([1, 2, 3, 4] * 5, 13 / 17), ([7] * 20, 16 / 17)],
)
def test_the_share_of_runs_that_were_there_before(tokens: list[int], expected: float) -> None:
    assert repetition.share(list(tokens)) == pytest.approx(expected)


def test_the_model_writes_as_far_as_keras_did(model: TokenModel) -> None:
    logits = np.zeros((2, 300), np.float32)
    loop = Reference((), np.zeros(2, np.int32), logits, (), 1, (299,), None, (5, 6, 7), (9,) * 20)
    found = repetition.measure(model, loop, (299,))
    assert found is not None
    assert found.tokens == 20
    assert found.keras == pytest.approx(16 / 17)
    assert found.own == repetition.share(list(generate(model, (5, 6, 7), 20, (299,))))


def test_too_little_is_not_measured(model: TokenModel) -> None:
    short = Reference((), np.zeros(2, np.int32), np.zeros((2, 300), np.float32), (), 1, (299,), None, (5,), (9,) * 4)
    assert repetition.measure(model, short, (299,)) is None
