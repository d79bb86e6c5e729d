"""The forward pass in NumPy gives the same logits however the work is divided."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.conversion import numpy_forward
from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.numpy_forward import NumpyForward
from tests.fixtures.decoders import DECODERS, random_weights, viewed

ROWS = [np.random.default_rng(3).integers(0, 96, length).astype(np.int32) for length in (20, 7, 1, 13)]


@pytest.mark.parametrize("description", DECODERS.values(), ids=DECODERS)
def test_threads_divide_a_product_and_nothing_else(
    description: DecoderDescription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numpy_forward, "SHARED_FROM", 1)
    weights = viewed(random_weights(description))
    alone, shared = (NumpyForward(description, weights, threads).logits_after(ROWS[0]) for threads in (1, 3))
    assert np.abs(shared - alone).max() <= 1e-5 * np.abs(alone).max()


@pytest.mark.parametrize("description", DECODERS.values(), ids=DECODERS)
def test_rows_that_are_read_together_do_not_see_each_other(description: DecoderDescription) -> None:
    forward = NumpyForward(description, viewed(random_weights(description)))
    together = list(forward.logits_of_each(ROWS))
    assert [len(logits) for logits in together] == [len(row) for row in ROWS]
    for row, logits in zip(ROWS, together, strict=True):
        expected = forward.logits_after(row)
        assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()
