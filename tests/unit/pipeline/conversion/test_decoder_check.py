from __future__ import annotations

import numpy as np
import pytest

from farm.errors import ReferenceMismatch
from pipeline.conversion.decoder_check import TOLERANCE, require_equal

LOGITS = np.array([[2.0, -4.0], [1.0, 0.5]], np.float32)


def test_the_difference_is_a_share_of_the_largest_logit() -> None:
    assert require_equal(LOGITS + np.float32(2e-4), LOGITS) == pytest.approx(5e-5, rel=1e-2)


@pytest.mark.parametrize("off", [8 * TOLERANCE, np.nan])
def test_a_larger_one_is_refused(off: float) -> None:
    with pytest.raises(ReferenceMismatch, match="The decoder and Keras disagree: over 2 random tokens"):
        require_equal(LOGITS + np.float32(off), LOGITS)


def test_a_model_that_is_zero_throughout_is_compared_too() -> None:
    nothing = np.zeros_like(LOGITS)
    assert require_equal(nothing, nothing) == 0.0
    with pytest.raises(ReferenceMismatch):
        require_equal(LOGITS, nothing)
