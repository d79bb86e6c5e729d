from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from farm.errors import DescriptionMismatch, UnsupportedArchitecture
from pipeline.conversion.keras_weights import KerasWeights, kernel_rows, parameter_of


def numbers(*shape: int, dtype: str = "float32") -> NDArray[Any]:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def dense(kernel: NDArray[Any], bias: NDArray[Any] | None = None, **more: Any) -> SimpleNamespace:
    return SimpleNamespace(kernel=kernel, bias=bias, **more)


def whole(weights: KerasWeights, name: str) -> NDArray[np.float32]:
    return weights.rows(name, 0, weights.shape(name)[0])


def test_a_dense_kernel_is_transposed() -> None:
    weights, kernel = KerasWeights(), numbers(3, 5)
    assert weights.add_linear("up", dense(kernel, numbers(5)))
    assert weights.shape("up_weight") == (5, 3)
    np.testing.assert_array_equal(whole(weights, "up_weight"), kernel.T)
    np.testing.assert_array_equal(weights.rows("up_weight", 2, 4), kernel.T[2:4])
    np.testing.assert_array_equal(whole(weights, "up_bias"), numbers(5))


@pytest.mark.parametrize(
    ("equation", "shape", "order"),
    [
        ("bqm,muh->bquh", (6, 2, 4), (1, 2, 0)),
        ("btd,ndh->btnh", (2, 6, 4), (0, 2, 1)),
        ("bquh,uhm->bqm", (2, 4, 6), (2, 0, 1)),
        ("btf,fd->btd", (6, 8), (1, 0)),
    ],
)
def test_einsum_kernels_follow_their_equation(equation: str, shape: tuple[int, ...], order: tuple[int, ...]) -> None:
    kernel = numbers(*shape)
    layer = dense(kernel, equation=equation)
    _, out_axes = kernel_rows(layer)
    turned = kernel.transpose(order)
    expected = turned.reshape(int(np.prod(turned.shape[:out_axes])), -1)
    weights = KerasWeights()
    assert not weights.add_linear("o", layer)
    for start in range(len(expected)):
        for stop in range(start + 1, len(expected) + 1):
            np.testing.assert_array_equal(weights.rows("o_weight", start, stop), expected[start:stop])


def test_rows_across_concatenated_parts() -> None:
    parts = [numbers(3, 4), 100 + numbers(3, 2), 200 + numbers(3, 2)]
    weights = KerasWeights()
    weights.add_linear("qkv", *(dense(part) for part in parts))
    expected = np.concatenate([part.T for part in parts])
    assert weights.shape("qkv_weight") == (8, 3)
    for start in range(8):
        for stop in range(start + 1, 9):
            np.testing.assert_array_equal(weights.rows("qkv_weight", start, stop), expected[start:stop])


def test_rows_are_the_callers_own() -> None:
    kernel = numbers(4, 4)
    weights = KerasWeights()
    weights.add_table("table", parameter_of(kernel))
    rows = weights.rows("table", 0, 4)
    rows += 1
    assert rows.flags.c_contiguous
    np.testing.assert_array_equal(kernel, numbers(4, 4))


def test_short_floats_are_widened() -> None:
    weights = KerasWeights()
    weights.add_table("table", parameter_of(numbers(2, 2, dtype="float16")))
    assert weights.rows("table", 0, 2).dtype == np.float32


def test_an_offset_is_added_to_a_norm_scale() -> None:
    weights = KerasWeights()
    epsilon = weights.add_norm("norm", SimpleNamespace(scale=numbers(3), epsilon=1e-3), offset=1.0)
    assert epsilon == 1e-3
    np.testing.assert_array_equal(whole(weights, "norm_scale"), [1.0, 2.0, 3.0])
    assert weights.variable("norm_scale") is None


def test_a_variable_is_shared_only_in_its_own_layout() -> None:
    table = numbers(4, 3)
    weights = KerasWeights()
    weights.add_table("table", parameter_of(table))
    weights.add_linear("up", dense(table))
    assert weights.variable("table") is table
    assert weights.variable("up_weight") is None


def test_codes_of_a_quantized_model_are_refused() -> None:
    with pytest.raises(UnsupportedArchitecture, match="model was quantized"):
        KerasWeights().add_linear("up", dense(numbers(2, 2, dtype="int8")))


def test_half_biased_projections_are_refused() -> None:
    with pytest.raises(UnsupportedArchitecture, match="have a bias"):
        KerasWeights().add_linear("qkv", dense(numbers(2, 2), numbers(2)), dense(numbers(2, 2)))


class Variable(np.ndarray):
    """An array with a path, as Keras's variables have."""

    path = "layer/kernel"


def variable(*shape: int) -> Variable:
    return numbers(*shape).view(Variable)


def test_all_parameters_used_once_pass() -> None:
    kernel, table = variable(3, 6), variable(4, 3)
    weights = KerasWeights()
    weights.add_table("table", parameter_of(table))
    parameter = parameter_of(kernel)
    halves = [(parameter.select(lambda a, p=part: a[:, p].T, share=2), 1) for part in (slice(3), slice(3, 6))]
    weights.add_projection("halves", halves, [None, None])
    weights.check_all_used([kernel, table])


def test_an_unused_parameter_is_named() -> None:
    kernel = variable(3, 6)
    with pytest.raises(DescriptionMismatch, match=r"layer/kernel \(0 of 18 elements used\)"):
        KerasWeights().check_all_used([kernel])


def test_a_parameter_used_in_half_or_twice_is_refused() -> None:
    kernel = variable(3, 6)
    half = KerasWeights()
    half.add_projection("half", [(parameter_of(kernel).select(lambda a: a[:, :3].T, share=2), 1)], [None])
    with pytest.raises(DescriptionMismatch, match="9 of 18"):
        half.check_all_used([kernel])
    twice = KerasWeights()
    twice.add_linear("a", dense(kernel))
    twice.add_linear("b", dense(kernel))
    with pytest.raises(DescriptionMismatch, match="36 of 18"):
        twice.check_all_used([kernel])


def test_states_of_random_generators_do_not_count() -> None:
    KerasWeights().check_all_used([np.zeros(2, np.uint32)])
