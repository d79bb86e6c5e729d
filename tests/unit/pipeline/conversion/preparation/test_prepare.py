from __future__ import annotations

import json

import numpy as np
import pytest

from farm import recipes
from farm.errors import PreparationFailed
from farm.recipes import Preparation, WeightFormat
from farm.runtimes import Runtime
from pipeline.conversion import decoder_check, preparation
from pipeline.conversion.description import DecoderDescription, from_json
from pipeline.conversion.numpy_forward import NumpyForward
from pipeline.conversion.preparation.layer_work import even_out
from pipeline.conversion.preparation.products import ProductName
from pipeline.conversion.quantization.rounding import round_activations, round_weights
from pipeline.conversion.weights import Float32
from tests.fixtures.decoders import DECODERS, GEMMA, GPT2, LLAMA, random_weights, viewed

BOTH = (Preparation.SCALE_MIGRATION, Preparation.ROTATION)
ALL = (*BOTH, Preparation.ROW_SCALES)
STATIC = (*BOTH, Preparation.STATIC_RANGES)
INT8 = dict.fromkeys(ProductName, WeightFormat.INT8_PER_ROW)
TOKENS = np.random.default_rng(5).integers(0, 96, (6, 20)).tolist()
PROBE = np.array(TOKENS[0], np.int32)


def quiet(_progress: float, _activity: str) -> None:
    return


def make(description: DecoderDescription, steps: tuple[Preparation, ...]) -> preparation.Prepared:
    return preparation.prepare(description, viewed(random_weights(description)), steps, INT8, TOKENS, quiet)


@pytest.mark.parametrize(
    "steps",
    [BOTH, BOTH[:1], BOTH[1:], ALL, ALL[2:], STATIC],
    ids=["both", "migrated", "rotated", "all", "row scales", "static ranges"],
)
@pytest.mark.parametrize("description", DECODERS.values(), ids=DECODERS)
def test_a_prepared_model_computes_what_the_plain_one_does(
    description: DecoderDescription, steps: tuple[Preparation, ...]
) -> None:
    weights = viewed(random_weights(description))
    expected = NumpyForward(description, weights).logits_after(PROBE)
    prepared = make(description, steps)
    prepared.description.check(prepared.weights)
    assert prepared.description == preparation.describe(description, steps)
    assert prepared.description != description or steps == BOTH[:1]
    found = decoder_check.run_decoder(prepared.description, prepared.weights, PROBE)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def per_tensor_logits(prepared: preparation.Prepared) -> Float32:
    """With every matrix rounded to int8 by one scale."""
    arrays = {}
    for name in prepared.weights.names():
        rows = prepared.weights.rows(name, 0, prepared.weights.shape(name)[0])
        scale = np.abs(rows).max() / 127
        arrays[name] = np.rint(rows / scale) * scale if rows.ndim == 2 else rows
    return decoder_check.run_decoder(prepared.description, viewed(arrays), PROBE)


@pytest.mark.parametrize("description", [GPT2, GEMMA], ids=["gpt2", "gemma"])
def test_row_scales_give_one_scale_the_quality_of_many(description: DecoderDescription) -> None:
    arrays = random_weights(description)
    for array in arrays.values():
        if array.ndim == 2:
            # Rows as different as those of trained models.
            array *= np.geomspace(1 / 32, 1, len(array), dtype=np.float32)[:, None]
    exact = NumpyForward(description, viewed(arrays)).logits_after(PROBE)
    weights = viewed(arrays)
    made = [preparation.prepare(description, weights, steps, INT8, [], quiet) for steps in ((), ALL[2:])]
    errors = [float(np.square(per_tensor_logits(prepared) - exact).mean()) for prepared in made]
    assert errors[1] < 0.7 * errors[0], errors


def test_only_old_runtimes_get_row_scales() -> None:
    plain, rotated = recipes.find("int8-plain"), recipes.find("int8")
    assert preparation.steps_of(plain, Runtime.TFLITE_2_14) == (Preparation.ROW_SCALES,)
    assert preparation.steps_of(rotated, Runtime.TFLITE_2_16) == (*BOTH, Preparation.ROW_SCALES)
    assert preparation.steps_of(rotated, Runtime.TFLITE_2_21) == BOTH
    assert preparation.steps_of(recipes.find("none"), Runtime.TFLITE_2_14) == ()


def test_no_step_leaves_everything() -> None:
    prepared = make(GPT2, ())
    assert prepared.description == GPT2
    assert not prepared.weights.changes


def test_a_prepared_description_is_read_back_from_its_json() -> None:

    described = preparation.describe(GEMMA, BOTH)
    assert described.rotations.down == 16
    assert described.rotations.attention_output == 0
    assert described.lookup_scale
    assert from_json(json.loads(described.canonical_json())) == described


def rounded_logits(description: DecoderDescription, prepared: preparation.Prepared) -> Float32:
    """With every matrix rounded to int4 by row, and activations as they are."""
    arrays = {}
    for name in prepared.weights.names():
        rows = prepared.weights.rows(name, 0, prepared.weights.shape(name)[0])
        arrays[name] = round_weights(rows, WeightFormat.INT4_PER_ROW, name) if rows.ndim == 2 else rows
    return decoder_check.run_decoder(prepared.description, viewed(arrays), PROBE)


@pytest.mark.parametrize("description", [LLAMA, GEMMA], ids=["llama", "gemma"])
def test_rounding_costs_less_behind_the_steps(description: DecoderDescription) -> None:
    exact = NumpyForward(description, viewed(random_weights(description))).logits_after(PROBE)
    errors = [
        float(np.square(rounded_logits(description, make(description, steps)) - exact).mean()) for steps in ((), BOTH)
    ]
    assert errors[1] < 0.7 * errors[0]


def test_activations_that_are_not_finite_are_refused() -> None:
    arrays = random_weights(LLAMA)
    arrays["layer_1_up_weight"][:] = 3e38
    with (
        pytest.raises(PreparationFailed, match=r"not finite \(layer 1 down\); choose a recipe without preparation"),
        np.errstate(all="ignore"),
    ):
        preparation.prepare(LLAMA, viewed(arrays), BOTH, INT8, TOKENS, quiet)


def test_a_changed_model_is_refused() -> None:
    expected = np.ones((3, 4), np.float32)
    decoder_check.require_unchanged(expected, expected)
    for wrong in (expected * 1.01, expected * np.nan):
        with pytest.raises(PreparationFailed, match="choose a recipe without preparation"):
            decoder_check.require_unchanged(wrong, expected)


def test_rounded_weights_and_activations_are_on_their_grids() -> None:
    rows = np.random.default_rng(2).normal(size=(5, 64)).astype(np.float32)
    for weight_format, codes, parts in (
        (WeightFormat.INT8_PER_ROW, 255, 1),
        (WeightFormat.INT4_PER_ROW, 15, 1),
        (WeightFormat.INT4_BLOCKS_OF_32, 15, 2),
    ):
        blocks = round_weights(rows, weight_format, "w").reshape(5 * parts, -1)
        scales = np.abs(rows.reshape(blocks.shape)).max(1, keepdims=True) / (codes // 2)
        np.testing.assert_allclose(blocks / scales, np.rint(blocks / scales), atol=1e-3)
        assert np.abs(blocks - rows.reshape(blocks.shape)).max() <= 0.501 * scales.max()
    read = round_activations(rows + 3)
    step = ((rows + 3).max(1) - np.minimum((rows + 3).min(1), 0)) / 255
    assert (np.abs(read - rows - 3).max(1) <= 0.51 * step).all()
    np.testing.assert_array_equal(round_activations(np.zeros((2, 8), np.float32)), 0)


def test_a_token_that_is_far_larger_than_the_others_does_not_decide_alone() -> None:
    rows = np.ones((9, 4), np.float32)
    rows[2] *= 1000
    rows[3] *= 0
    even = even_out(rows)
    np.testing.assert_allclose(np.linalg.norm(even, axis=1), [2, 2, 4, 0, 2, 2, 2, 2, 2], rtol=1e-5)
    np.testing.assert_array_equal(even_out(np.zeros((3, 4), np.float32)), 0)
