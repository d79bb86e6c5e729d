from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.recipes import WeightFormat
from pipeline.conversion.quantization import gptq
from pipeline.conversion.quantization.formats import FORMATS, StorageFormat
from pipeline.conversion.quantization.rounding import clipped_scales, store_rows

LIMIT = 7
BLOCKS, ROWS = FORMATS[WeightFormat.INT4_BLOCKS_OF_32], FORMATS[WeightFormat.INT4_PER_ROW]


def correlated(count: int, width: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(width, width)) * random.uniform(0.1, 2, width)
    return (random.normal(size=(count, width)) @ mixing).astype(np.float32)


def plainly(matrix: np.ndarray, block: int) -> np.ndarray:
    parts = matrix.reshape(len(matrix), -1, block or matrix.shape[1])
    scales = np.maximum(np.abs(parts).max(-1, keepdims=True) / LIMIT, 1e-12)
    return (np.rint(parts / scales) * scales).reshape(matrix.shape)


def by_the_book(matrix: np.ndarray, moments: np.ndarray, scales: np.ndarray, damping: float) -> np.ndarray:
    """The definition: round a column, make up for its error in all that follow by the inverse Hessian of those."""
    matrix = matrix.astype(np.float64).copy()
    damped = moments + np.eye(len(moments)) * damping * np.diag(moments).mean()
    for column in range(matrix.shape[1]):
        inverse = np.linalg.inv(damped[column:, column:])
        rounded = np.clip(np.rint(matrix[:, column] / scales), -LIMIT - 1, LIMIT) * scales
        error = (matrix[:, column] - rounded) / inverse[0, 0]
        matrix[:, column:] -= np.outer(error, inverse[0])
        matrix[:, column] = rounded
    return matrix


@given(seed=st.integers(0, 50), width=st.sampled_from([32, 64, 160]), described=st.sampled_from([BLOCKS, ROWS]))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_never_worse_than_rounding_on_its_own_objective(seed: int, width: int, described: StorageFormat) -> None:
    matrix = np.random.default_rng(seed).normal(size=(24, width)).astype(np.float32)
    moments = gptq.hessian(correlated(400, width, seed))
    rounded = gptq.round_matrix(matrix, moments, described)
    assert rounded is not None
    plain = gptq.output_error(plainly(matrix, described.block), matrix, moments)
    assert gptq.output_error(rounded.rows(0, 24), matrix, moments) < plain


def test_as_by_the_book() -> None:
    matrix = np.random.default_rng(1).normal(size=(10, 48)).astype(np.float32)
    moments = gptq.hessian(correlated(300, 48, 1))
    damped = gptq.damp(moments)
    assert damped is not None
    codes, scales = gptq.round_columns(matrix, damped, ROWS)
    expected = by_the_book(matrix, moments, scales[0], gptq.DAMPING[0])
    same = np.isclose((codes * scales).T, expected, atol=1e-4)
    # A column that lies between two codes may go either way, and others follow it.
    assert same.mean() > 0.97


def test_a_column_that_was_never_read_is_rounded_by_itself() -> None:
    inputs = correlated(200, 32, 3)
    inputs[:, 5] = 0
    matrix = np.random.default_rng(3).normal(size=(6, 32)).astype(np.float32)
    rounded = gptq.round_matrix(matrix, gptq.hessian(inputs), BLOCKS)
    assert rounded is not None
    scales = rounded.scales[:, 0]
    np.testing.assert_array_equal(rounded.codes[:, 5], np.clip(np.rint(matrix[:, 5] / scales), -LIMIT - 1, LIMIT))


def test_inputs_of_few_directions_are_damped() -> None:
    inputs = np.outer(np.linspace(1, 2, 40), np.ones(32)).astype(np.float32)
    matrix = np.random.default_rng(4).normal(size=(6, 32)).astype(np.float32)
    rounded = gptq.round_matrix(matrix, gptq.hessian(inputs), BLOCKS)
    assert rounded is not None
    assert np.isfinite(rounded.rows(0, 6)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_moments_that_say_nothing_give_nothing(value: float) -> None:
    moments = np.full((32, 32), value)
    assert gptq.round_matrix(np.ones((2, 32), np.float32), moments, BLOCKS) is None


def test_clipping_is_never_worse_than_none() -> None:
    random = np.random.default_rng(6)
    parts = random.standard_t(3, size=(50, 32)).astype(np.float32)
    scales = clipped_scales(parts, ROWS, np.ones(32, np.float32))[:, None]
    largest = np.abs(parts).max(1, keepdims=True) / LIMIT

    def error(scale: np.ndarray) -> np.ndarray:
        return np.square(np.clip(np.rint(parts / scale), -LIMIT - 1, LIMIT) * scale - parts).sum(1)

    assert (error(scales) <= error(largest) * 1.0001).all()
    assert error(scales).sum() < 0.96 * error(largest).sum()
    assert clipped_scales(np.zeros((1, 32), np.float32), BLOCKS, np.ones(32, np.float32)) > 0


@pytest.mark.parametrize(
    "weight_format", [WeightFormat.INT4_BLOCKS_OF_32, WeightFormat.INT4_PER_ROW, WeightFormat.INT8_PER_ROW]
)
def test_a_file_holds_the_codes_that_were_chosen(weight_format: WeightFormat) -> None:
    described = FORMATS[weight_format]
    matrix = np.random.default_rng(8).normal(size=(12, 64)).astype(np.float32)
    chosen = gptq.round_matrix(matrix, gptq.hessian(correlated(300, 64, 8)), described)
    assert chosen is not None
    stored = store_rows(chosen.rows(3, 9), weight_format, "w", chosen=chosen.scales[3:9])
    codes = stored.data.reshape(6, -1)
    if described.limit == LIMIT:
        assert chosen.codes.min() == described.lowest == -8
        low, high = codes & 15, codes >> 4
        codes = np.stack([low, high], -1).reshape(6, 64).astype(np.int8)
        codes = np.where(codes > 7, codes - 16, codes)
    np.testing.assert_array_equal(codes, chosen.codes[3:9])
    assert stored.scales is not None
    np.testing.assert_array_equal(stored.scales, chosen.scales[3:9])
