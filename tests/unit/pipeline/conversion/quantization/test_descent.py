from __future__ import annotations

import numpy as np
import pytest

from farm.recipes import WeightFormat
from pipeline.conversion.quantization import descent, gptq
from pipeline.conversion.quantization.descent import descend
from pipeline.conversion.quantization.formats import FORMATS, StorageFormat

BLOCKS, ROWS = FORMATS[WeightFormat.INT4_BLOCKS_OF_32], FORMATS[WeightFormat.INT4_PER_ROW]


def problem(width: int, height: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A matrix [in, out] and moments [in, in]."""
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(400, width)) @ random.normal(size=(width, width)) / width
    moments = inputs.T @ inputs + np.eye(width)
    return random.normal(size=(width, height)).astype(np.float32), moments.astype(np.float32)


def plainly(matrix: np.ndarray, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    parts = matrix.reshape(blocks, -1, matrix.shape[1])
    scales = (np.abs(parts).max(1) / 7).astype(np.float16).astype(np.float32)
    return np.rint(parts / scales[:, None]).reshape(matrix.shape), scales


def errors(matrix: np.ndarray, codes: np.ndarray, scales: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Of each output feature, in float64."""
    difference = (codes * np.repeat(scales, len(codes) // len(scales), 0) - matrix).astype(np.float64)
    return (difference * (moments.astype(np.float64) @ difference)).sum(0)


@pytest.mark.parametrize("described", [BLOCKS, ROWS], ids=["blocks", "rows"])
def test_every_row_gains_and_stays_storable(described: StorageFormat) -> None:
    matrix, moments = problem(96, 20, 1)
    codes, scales = plainly(matrix, 3 if described.block else 1)
    before = errors(matrix, codes, scales, moments)
    fitted = descend(matrix, codes, scales, moments, described)
    after = errors(matrix, codes, fitted, moments)
    assert (after <= before * 1.0001).all()
    assert after.sum() < 0.8 * before.sum()
    assert (codes == np.rint(codes)).all()
    assert codes.min() >= -8
    assert codes.max() <= 7
    assert (fitted > 0).all()
    if described.block:
        np.testing.assert_array_equal(fitted, fitted.astype(np.float16).astype(np.float32))


def test_at_the_end_no_single_code_and_no_scale_could_be_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descent, "ROUNDS", 30)
    matrix, moments = problem(64, 5, 2)
    codes, scales = plainly(matrix, 2)
    fitted = descend(matrix, codes, scales, moments, BLOCKS)
    least = errors(matrix, codes, fitted, moments)
    for row in range(64):
        for step in (-1, 1):
            other = codes.copy()
            other[row] = np.clip(other[row] + step, -8, 7)
            assert (errors(matrix, other, fitted, moments) >= least * 0.9999).all()
    for block in range(2):
        for factor in (0.99, 1.01):
            other = fitted.copy()
            other[block] *= factor
            assert (errors(matrix, codes, other, moments) >= least * 0.9999).all()


def test_goes_on_where_gptq_ends() -> None:
    matrix, moments = problem(96, 40, 3)
    damped = gptq.damp(moments.astype(np.float64))
    assert damped is not None
    codes, scales = gptq.round_columns(matrix.T, damped, BLOCKS)
    before = errors(matrix, codes, scales, damped.moments).sum()
    fitted = descend(matrix, codes, scales, damped.moments, BLOCKS)
    assert errors(matrix, codes, fitted, damped.moments).sum() < 0.97 * before


def test_a_block_of_zeros_keeps_a_positive_scale() -> None:
    matrix, moments = problem(64, 4, 4)
    matrix[:32] = 0
    codes, scales = plainly(matrix[32:], 1)
    codes, scales = np.concatenate([0 * codes, codes]), np.concatenate([np.full((1, 4), 6e-8, np.float32), scales])
    fitted = descend(matrix, codes, scales, moments, BLOCKS)
    assert (fitted > 0).all()
    assert np.isfinite(errors(matrix, codes, fitted, moments)).all()
