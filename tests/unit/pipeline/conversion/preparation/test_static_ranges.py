from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from farm import recipes
from farm.recipes import Preparation
from farm.runtimes import APP_RUNTIME
from pipeline.conversion import preparation
from pipeline.conversion.numpy_forward import NumpyForward
from pipeline.conversion.preparation import static_ranges
from pipeline.conversion.preparation.matrix_formats import choose_formats
from pipeline.conversion.preparation.static_ranges import round_by
from tests.fixtures.decoders import GPT2, LLAMA, random_weights, viewed

TOKENS = np.random.default_rng(5).integers(0, 96, (8, 20)).tolist()
# Ranges alone, so that the inputs are those of the plain model.
STEPS = (Preparation.STATIC_RANGES,)


def quiet(_progress: float, _activity: str) -> None:
    return


def prepared(description, arrays: dict[str, np.ndarray], steps=STEPS) -> preparation.Prepared:
    formats = choose_formats(description, recipes.find("full-int8"), APP_RUNTIME)
    return preparation.prepare(description, viewed(arrays), steps, formats.products, TOKENS, quiet)


def test_rounds_as_tflite_s_int8_does() -> None:
    values = np.array([-1.0, 0.0, 0.004, 0.006, 1.55, 9.0], np.float32)
    # 255 steps of 0.01 from -1 on: zero is a step of its own, and what lies outside is cut off.
    np.testing.assert_allclose(round_by(values, (-1.0, 1.55)), [-1.0, 0.0, 0.0, 0.01, 1.55, 1.55], atol=1e-6)


@pytest.mark.parametrize("description", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_ranges_hold_all_that_was_seen(description, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_ranges, "LARGEST_ERROR", 1.0)
    arrays = random_weights(description)
    made = prepared(description, arrays)
    assert set(made.ranges) == {name for name in arrays if name.startswith("layer") and arrays[name].ndim == 2}
    seen = next(iter(NumpyForward(description, viewed(arrays)).inputs_by_layer(TOKENS)))
    found = made.ranges["layer_0_qkv_weight"]
    given = seen["qkv"] @ arrays["layer_0_qkv_weight"].T
    for span, values in ((found.into, seen["qkv"]), (found.out, given)):
        np.testing.assert_allclose(span, (values.min(), values.max()), rtol=1e-5)
    biased = given + arrays.get("layer_0_qkv_bias", 0)
    np.testing.assert_allclose(found.biased, (biased.min(), biased.max()), rtol=1e-5)


def test_what_one_range_would_spoil_keeps_a_range_for_each_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_ranges, "LARGEST_ERROR", 0.02)
    description = replace(LLAMA, intermediate_size=64)
    arrays = random_weights(description)
    sound = prepared(description, arrays)
    assert "layer_0_down_weight" in sound.ranges
    # The token that begins every text sends two hundred times as much into the product as any other.
    arrays["token_embedding"][TOKENS[0][0]] *= 0
    arrays["token_embedding"][TOKENS[0][0], 0] = 30
    arrays["layer_0_up_weight"][:, 0] *= 200
    for row in TOKENS:
        row[0] = TOKENS[0][0]
    spoilt = prepared(description, arrays)
    assert "layer_0_down_weight" not in spoilt.ranges
    layers = len(description.layers)
    assert spoilt.notes[-1].startswith(f"{len(spoilt.ranges)} of the layers' {5 * layers} matrix products take static")


def test_the_logits_and_the_other_recipes_have_none() -> None:
    arrays = random_weights(LLAMA)
    assert "token_embedding" not in prepared(LLAMA, arrays).ranges
    assert prepared(LLAMA, arrays, recipes.find("int8").preparation).ranges == {}
