from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from farm import recipes
from farm.recipes import Preparation
from farm.runtimes import APP_RUNTIME
from pipeline.conversion import preparation
from pipeline.conversion.description import ROW_SCALES
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


def prepared(description, arrays: dict[str, np.ndarray], steps=STEPS, tokens=TOKENS) -> preparation.Prepared:
    formats = choose_formats(description, recipes.find("full-int8"), APP_RUNTIME)
    return preparation.prepare(description, viewed(arrays), steps, formats.products, tokens, quiet)


def test_rounds_as_tflite_s_int8_does() -> None:
    values = np.array([-1.0, 0.0, 0.004, 0.006, 1.55, 9.0], np.float32)
    # 255 steps of 0.01 from -1 on: zero is a step of its own, and what lies outside is cut off.
    np.testing.assert_allclose(round_by(values, (-1.0, 1.55)), [-1.0, 0.0, 0.0, 0.01, 1.55, 1.55], atol=1e-6)


@pytest.mark.parametrize("description", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_ranges_hold_what_was_seen_and_outputs_are_divided_by_their_largest(
    description, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_ranges, "BUDGET", 1.0)
    monkeypatch.setattr(static_ranges, "CUT", (0.0,))
    arrays = random_weights(description)
    made = prepared(description, arrays)
    assert set(made.ranges) == {name for name in arrays if name.startswith("layer") and arrays[name].ndim == 2}
    seen = next(iter(NumpyForward(description, viewed(arrays)).inputs_by_layer(TOKENS)))
    name = "layer_0_qkv_weight"
    np.testing.assert_allclose(made.ranges[name].into, (seen["qkv"].min(), seen["qkv"].max()), rtol=1e-5)
    stored = made.weights.rows(name, 0, len(arrays[name]))
    given = np.abs(seen["qkv"] @ stored.T).max(0)
    np.testing.assert_allclose(given, 1, rtol=1e-4)
    assert made.ranges[name].out == (-1, 1)
    scales = made.weights.rows(f"{name}{ROW_SCALES}", 0, len(stored))
    np.testing.assert_allclose(stored * scales[:, None], arrays[name], rtol=1e-5)


def test_few_large_inputs_are_cut_off_where_the_product_gains_by_it() -> None:
    random = np.random.default_rng(3)
    inputs = random.normal(size=(400, 64)).astype(np.float32)
    inputs[7, 5], inputs[300, 9] = 40, -60
    spans = static_ranges._spans(inputs)
    assert spans[0] == (-60, 40)
    assert all(-6 < low < -2.5 and 2.5 < high < 6 for low, high in spans[2:])
    assert static_ranges._spans(np.ones((40, 8), np.float32)) == [(0, 1)] * 4


def test_the_largest_tokens_are_among_those_that_the_error_is_measured_on() -> None:
    inputs = np.random.default_rng(3).normal(size=(2000, 8)).astype(np.float32)
    inputs[1234] *= 1000
    sample = static_ranges._sample(inputs)
    assert 200 < len(sample) < 600
    assert (sample == inputs[1234]).all(1).any()


def test_the_products_that_lose_least_are_static(monkeypatch: pytest.MonkeyPatch) -> None:
    description = replace(LLAMA, intermediate_size=64)
    arrays = random_weights(description)
    monkeypatch.setattr(static_ranges, "BUDGET", 1.0)
    every = prepared(description, arrays).ranges
    monkeypatch.setattr(static_ranges, "BUDGET", 0.5 * np.mean([one.error for one in every.values()]))
    some = prepared(description, arrays).ranges
    assert 0 < len(some) < len(every)
    left = [every[name].error for name in every if name not in some]
    assert max(one.error for one in some.values()) <= min(left)
    assert sum(one.error for one in some.values()) <= static_ranges.BUDGET * len(every)
    # The token that begins one text alone sends two hundred times as much into the product as any other.
    arrays["token_embedding"][95] *= 0
    arrays["token_embedding"][95, 0] = 30
    arrays["layer_0_up_weight"][:, 0] *= 200
    rows = [[token % 95 for token in row] for row in TOKENS]
    rows[3][1] = 95
    spoilt = prepared(description, arrays, tokens=rows)
    assert "layer_0_down_weight" not in spoilt.ranges
    layers = len(description.layers)
    assert spoilt.notes[-1].startswith(f"{len(spoilt.ranges)} of the layers' {5 * layers} matrix products take static")
    assert f"qkv {layers} of {layers}" in spoilt.notes[-1]


def test_the_logits_and_the_other_recipes_have_none() -> None:
    arrays = random_weights(LLAMA)
    assert "token_embedding" not in prepared(LLAMA, arrays).ranges
    assert prepared(LLAMA, arrays, recipes.find("int8").preparation).ranges == {}
