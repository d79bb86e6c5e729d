"""The steps that make values: derived weights, quantization, and the refusals of runtimes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.errors import BindingFailed, RecipeNotRunnable
from farm.recipes import RECIPES, Recipe, WeightFormat
from farm.runtimes import APP_RUNTIME, FLEX_APP_RUNTIME, Runtime
from pipeline.conversion.binding import derived
from pipeline.conversion.binding.derived import DerivedWeights, Weight, chunk_rows
from pipeline.conversion.quantization.formats import FORMATS, HOST_RUNTIME, check_runnable, format_for
from pipeline.conversion.quantization.rounding import largest_magnitude, store_rows
from tests.fixtures.bound_models import ArrayWeights

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(0, 1, (20, 64)).astype(np.float32)
SOURCE = DerivedWeights(
    ArrayWeights(
        {
            "w": MATRIX,
            "g": RNG.normal(1, 1, 64).astype(np.float32),
            "s": RNG.normal(0, 1, 64).astype(np.float32),
            "b": RNG.normal(0, 1, 20).astype(np.float32),
        }
    )
)
ARRAYS = SOURCE.source.arrays  # type: ignore[attr-defined]


def test_stored_weights_pass_through() -> None:
    np.testing.assert_array_equal(SOURCE.rows(Weight("w"), 3, 7), MATRIX[3:7])
    assert SOURCE.shape(Weight("w", norm_scale="g")) == (20, 64)


def test_a_gain_multiplies_columns() -> None:
    np.testing.assert_array_equal(SOURCE.rows(Weight("w", norm_scale="g"), 3, 7), MATRIX[3:7] * ARRAYS["g"])
    np.testing.assert_array_equal(ARRAYS["w"], MATRIX)


@pytest.mark.parametrize("elements", [64, 64 * 7, 1 << 20])
def test_a_shift_adds_a_product_however_it_is_cut(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derived, "CHUNK_ELEMENTS", elements)
    expected = ARRAYS["b"] + MATRIX.astype(np.float64) @ ARRAYS["s"]
    actual = SOURCE.rows(Weight("b", shift=("w", "s")), 2, 19)
    np.testing.assert_allclose(actual, expected[2:19], rtol=1e-6)
    assert actual.dtype == np.float32


def test_chunks_have_a_row_at_least() -> None:
    assert chunk_rows((5, 1 << 30)) == 1
    assert chunk_rows((50257, 768)) == (2 << 20) // 768
    assert chunk_rows((768,)) == 2 << 20


@given(st.integers(0, 2**32 - 1), st.floats(1e-20, 1e20))
def test_int8_is_the_nearest_value_of_its_row(seed: int, scale: float) -> None:
    rows = (np.random.default_rng(seed).normal(0, 1, (4, 32)) * scale).astype(np.float32)
    stored = store_rows(rows.copy(), WeightFormat.INT8_PER_ROW, "w")
    assert stored.scales is not None
    assert stored.data.dtype == np.int8
    assert np.abs(stored.data).max(-1).tolist() == [127] * 4
    error = np.abs(stored.data * stored.scales[:, None].astype(np.float64) - rows)
    assert (error <= stored.scales[:, None] * 0.5001).all()


def test_int8_keeps_the_sign_of_the_largest() -> None:
    stored = store_rows(np.array([[-2.0, 1.0]], np.float32), WeightFormat.INT8_PER_ROW, "w")
    assert stored.data.tolist() == [[-127, 64]]


def test_a_row_of_zeros_is_stored_as_zeros() -> None:
    for weight_format in WeightFormat:
        assert not np.asarray(store_rows(np.zeros((2, 32), np.float32), weight_format, "w").data).any()


def test_four_bits_are_packed_low_half_first() -> None:
    stored = store_rows(np.array([[7.0, -7.0, 1.0, 0.0]], np.float32), WeightFormat.INT4_PER_ROW, "w")
    assert stored.data.tolist() == [0x97, 0x01]
    assert stored.scales is not None
    assert stored.scales.tolist() == [1.0]


def test_blocks_have_scales_of_their_own() -> None:
    rows = np.concatenate([np.full((1, 32), 7.0), np.full((1, 32), -70.0)], 1).astype(np.float32)
    stored = store_rows(rows, WeightFormat.INT4_BLOCKS_OF_32, "w")
    assert stored.scales is not None
    assert stored.scales.dtype == np.float16
    assert stored.scales.tolist() == [[1.0, 10.0]]
    assert stored.data.tolist() == [0x77] * 16 + [0x99] * 16


@pytest.mark.parametrize("weight_format", WeightFormat)
def test_as_many_bytes_as_said(weight_format: WeightFormat) -> None:
    assert store_rows(MATRIX.copy(), weight_format, "w").data.nbytes == FORMATS[weight_format].stored_bytes(
        MATRIX.shape
    )


@pytest.mark.parametrize("weight_format", WeightFormat)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(weight_format: WeightFormat, value: float) -> None:
    rows = MATRIX.copy()
    rows[3, 5] = value
    with pytest.raises(BindingFailed, match=r"layer\.w holds values that are no finite numbers"):
        store_rows(rows, weight_format, "layer.w")


def test_values_too_large_for_float16_are_refused() -> None:
    with pytest.raises(BindingFailed, match=r"holds 7e\+04, too large for float16"):
        store_rows(np.array([7e4], np.float32), WeightFormat.FLOAT16, "w")


@pytest.mark.parametrize(
    ("weight_format", "runtime"),
    [
        (WeightFormat.INT8_PER_ROW, Runtime.TFLITE_2_16),
        (WeightFormat.INT4_PER_ROW, Runtime.TFLITE_2_17),
        (WeightFormat.INT4_BLOCKS_OF_32, Runtime.TFLITE_2_19),
        (WeightFormat.INT4_BLOCKS_OF_32, Runtime.TFLITE_2_20),
    ],
)
def test_runtimes_that_fail_are_refused_with_those_that_do_not(weight_format: WeightFormat, runtime: Runtime) -> None:
    with pytest.raises(RecipeNotRunnable, match=f"^{runtime} .*ai-edge-litert 2.3"):
        check_runnable(weight_format, runtime)


def test_every_recipe_runs_in_the_app_and_on_the_host() -> None:
    for recipe in RECIPES:
        check_runnable(recipe.weight_format, APP_RUNTIME)
        check_runnable(recipe.weight_format, HOST_RUNTIME)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_a_form_for_the_runtime_of_the_flex_aar(recipe: Recipe) -> None:
    if not recipe.four_bit:
        # The others are refused at submit.
        check_runnable(format_for(recipe.weight_format, FLEX_APP_RUNTIME), FLEX_APP_RUNTIME)
    assert format_for(recipe.weight_format, APP_RUNTIME) is recipe.weight_format


def test_int8_per_tensor_divides_every_row_by_the_scale_of_the_whole_matrix() -> None:
    whole = store_rows(MATRIX.copy(), WeightFormat.INT8_PER_TENSOR, "w")
    largest = largest_magnitude(MATRIX)
    parts = [store_rows(MATRIX[at : at + 2].copy(), WeightFormat.INT8_PER_TENSOR, "w", largest) for at in (0, 2)]
    assert whole.scales is not None
    np.testing.assert_array_equal(whole.scales, np.array([np.abs(MATRIX).max() / 127], np.float32))
    np.testing.assert_array_equal(np.concatenate([part.data for part in parts]), whole.data[:4])
    np.testing.assert_allclose(whole.data * whole.scales, MATRIX, atol=whole.scales[0] / 2 * 1.001)


def test_every_form_has_its_versions() -> None:
    assert set(FORMATS) == set(WeightFormat)
    assert (
        FORMATS[WeightFormat.INT8_PER_ROW].fully_connected,
        FORMATS[WeightFormat.INT8_PER_ROW].embedding_lookup,
    ) == (
        12,
        4,
    )


@pytest.mark.parametrize("runtime", Runtime)
@pytest.mark.parametrize("recipe", [one for one in RECIPES if one.older_limits], ids=lambda one: one.alias)
def test_limits_are_those_of_what_is_stored_for_the_runtime(recipe: Recipe, runtime: Runtime) -> None:
    coarser = format_for(recipe.weight_format, runtime) is not recipe.weight_format
    assert (recipe.limits_on(runtime) is recipe.older_limits) == coarser
