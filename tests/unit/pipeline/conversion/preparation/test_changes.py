from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.conversion.hadamard import block_for, hadamard, turn
from pipeline.conversion.preparation.changes import ChangedWeights
from tests.fixtures.decoders import viewed


@pytest.mark.parametrize("size", [1, 2, 8, 64])
def test_a_hadamard_matrix_undoes_itself(size: int) -> None:
    matrix = hadamard(size)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_allclose(matrix @ matrix, np.eye(size), atol=1e-6)
    np.testing.assert_allclose(np.abs(matrix), size**-0.5)


@pytest.mark.parametrize(("width", "block"), [(576, 64), (1536, 64), (96, 32), (40, 8), (20, 0), (7, 0)])
def test_the_block_is_the_largest_power_of_two_that_divides(width: int, block: int) -> None:
    assert block_for(width) == block


def test_one_feature_that_stands_out_is_spread_over_its_block() -> None:
    rows = np.zeros((1, 32), np.float32)
    rows[0, 3] = 8
    turned = turn(rows, 16)
    np.testing.assert_allclose(np.abs(turned[0, :16]), 2)
    np.testing.assert_array_equal(turned[0, 16:], 0)


@given(start=st.integers(0, 39), size=st.integers(1, 40), turned_from=st.sampled_from([0, 8, 24]))
def test_any_rows_are_those_of_the_whole_changed_matrix(start: int, size: int, turned_from: int) -> None:
    random = np.random.default_rng(1)
    matrix, bias = random.normal(size=(40, 32)).astype(np.float32), random.normal(size=40).astype(np.float32)
    columns, factors = (random.uniform(0.5, 2, count).astype(np.float32) for count in (32, 40))
    weights = ChangedWeights(viewed({"matrix": matrix, "bias": bias}))
    for name in ("matrix", "bias"):
        change = weights.changes[name]
        change.scale_rows(factors)
        change.turned_rows, change.row_block = turned_from, 8
    weights.changes["matrix"].scale_columns(columns)
    weights.changes["matrix"].column_block = 16
    blocks = np.eye(40)
    for first in range(turned_from, 40, 8):
        blocks[first : first + 8, first : first + 8] = hadamard(8)
    sideways = np.kron(np.eye(2), hadamard(16))
    expected = blocks @ (factors[:, None] * matrix * columns) @ sideways
    stop = min(40, start + size)
    np.testing.assert_allclose(weights.rows("matrix", start, stop), expected[start:stop], atol=1e-5)
    np.testing.assert_allclose(weights.rows("bias", start, stop), (blocks @ (factors * bias))[start:stop], atol=1e-5)


def test_what_is_not_changed_is_the_model_s_own() -> None:
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    weights = ChangedWeights(viewed({"matrix": matrix}))
    weights.added["vector"] = np.ones(3, np.float32)
    assert list(weights.names()) == ["matrix", "vector"]
    assert weights.shape("vector") == (3,)
    np.testing.assert_array_equal(weights.rows("matrix", 1, 2), matrix[1:])
    weights.rows("vector", 0, 3)[:] = 0
    assert weights.added["vector"].sum() == 3
