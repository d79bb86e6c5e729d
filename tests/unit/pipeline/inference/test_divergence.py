"""The measures on text against plain NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.inference import divergence
from pipeline.inference.divergence import Row
from pipeline.inference.reference import TextReference

RNG = np.random.default_rng(5)
TOKENS = RNG.integers(0, 50, 6).astype(np.int32)
KERAS = RNG.normal(0, 2, (6, 50)).astype(np.float32)
FILE = KERAS + RNG.normal(0, 0.3, (6, 50)).astype(np.float32)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    wide = logits.astype(np.float64)
    return wide - np.log(np.exp(wide).sum(-1, keepdims=True))


def reference(kept: int = 50) -> TextReference:
    nll = -log_softmax(KERAS)[np.arange(5), TOKENS[1:]]
    return TextReference(TOKENS, *divergence.likeliest(KERAS, kept), nll.astype(np.float32))


def test_a_whole_vocabulary_gives_the_exact_divergence() -> None:
    p, q = log_softmax(KERAS), log_softmax(FILE)
    rows = list(divergence.compare(reference(), FILE))
    np.testing.assert_allclose([row.divergence for row in rows], (np.exp(p) * (p - q)).sum(-1), rtol=1e-4)
    assert [row.agrees for row in rows] == (p.argmax(-1) == q.argmax(-1)).tolist()
    assert rows[-1].nll is None
    np.testing.assert_allclose([row.nll or np.nan for row in rows[:-1]], -q[np.arange(5), TOKENS[1:]], rtol=1e-5)


def test_what_is_left_over_counts_as_one_token() -> None:
    p, q = log_softmax(KERAS), log_softmax(FILE)
    row = next(iter(divergence.compare(reference(8), FILE)))
    kept = np.argsort(-p[0])[:8]
    rest_p, rest_q = 1 - np.exp(p[0, kept]).sum(), 1 - np.exp(q[0, kept]).sum()
    lumped = (np.exp(p[0, kept]) * (p[0, kept] - q[0, kept])).sum() + rest_p * math.log(rest_p / rest_q)
    assert row.divergence == pytest.approx(lumped, rel=1e-4)
    assert 0 < row.divergence <= (np.exp(p[0]) * (p[0] - q[0])).sum()


def test_not_a_number_stays_one() -> None:
    broken = FILE.copy()
    broken[2, 3] = np.nan
    rows = list(divergence.compare(reference(), broken))
    assert math.isnan(rows[2].divergence)
    assert math.isnan(divergence.summarise(rows, [1.0] * 5).mean)


def test_the_ratio_and_its_error() -> None:
    def rows(values: Sequence[float]) -> list[Row]:
        return [Row(0.0, True, value) for value in values]

    found = divergence.summarise(rows([1.0, 2.0, 3.0]), [0.5, 2.0, 2.0])
    assert found.ratio == pytest.approx(math.exp(2.0 - 1.5))
    assert found.ratio_error == pytest.approx(found.ratio * np.std([0.5, 0.0, 1.0]) / math.sqrt(3))


def test_an_impossible_text_has_a_finite_perplexity() -> None:
    found = divergence.summarise([Row(1.0, False, 1e6)], [1.0])
    assert found.perplexity == pytest.approx(1.797e308, rel=1e-3)
