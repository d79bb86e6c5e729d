from __future__ import annotations

from dataclasses import replace

import numpy as np

from farm import recipes
from farm.recipes import WeightFormat
from farm.runtimes import APP_RUNTIME
from pipeline.conversion import decoder_check, preparation
from pipeline.conversion.numpy_forward import NumpyForward
from pipeline.conversion.preparation.matrix_formats import choose_formats
from pipeline.conversion.quantization.rounding import round_weights
from pipeline.conversion.weights import Float32
from tests.fixtures.decoders import LLAMA, random_weights, viewed

DESCRIPTION = replace(LLAMA, intermediate_size=64)
TOKENS = np.random.default_rng(5).integers(0, 96, (16, 40)).tolist()
PROBE = np.array(TOKENS[0], np.int32)


def quiet(_progress: float, _activity: str) -> None:
    return


def prepared(alias: str, arrays: dict[str, np.ndarray]) -> preparation.Prepared:
    recipe = recipes.find(alias)
    formats = choose_formats(DESCRIPTION, recipe, APP_RUNTIME)
    return preparation.prepare(DESCRIPTION, viewed(arrays), recipe.preparation, formats.products, TOKENS, quiet)


def test_few_bits_cost_less_than_when_rounded() -> None:
    arrays = random_weights(DESCRIPTION)
    exact = NumpyForward(DESCRIPTION, viewed(arrays)).logits_after(PROBE)
    made = prepared("int4", arrays)
    plain = {
        name: round_weights(values.copy(), WeightFormat.INT4_BLOCKS_OF_32, name) if "layer" in name and values.ndim == 2
        else values
        for name, values in arrays.items()
    }  # fmt: skip

    def error(logits: Float32) -> float:
        return float(np.square(logits - exact).mean())

    rounded = error(decoder_check.run_decoder(made.description, made.weights, PROBE))
    assert 0 < rounded < 0.7 * error(NumpyForward(DESCRIPTION, viewed(plain)).logits_after(PROBE))
    # Before the last step it is the same model.
    assert error(decoder_check.run_decoder(made.description, made.unrounded, PROBE)) < 1e-8
    assert set(made.scales) == {name for name in arrays if "layer" in name and name.endswith("weight")}
    assert made.notes == ()


def test_the_same_every_time() -> None:
    first, second = (prepared("int4", random_weights(DESCRIPTION)).weights.rounded for _ in range(2))
    assert all(np.array_equal(first[name].codes, second[name].codes) for name in first)


def test_what_nothing_went_into_is_rounded_plainly_and_said_to_be() -> None:
    arrays = random_weights(DESCRIPTION)
    arrays["layer_1_up_weight"][:] = 0
    made = prepared("int4", arrays)
    assert made.notes == ("The matrices of layer 1 down were rounded one by one: nothing went into them in the text.",)
    assert "layer_1_down_weight" not in made.scales


def test_int8_keeps_its_matrices_as_they_are() -> None:
    assert prepared("int8", random_weights(DESCRIPTION)).scales == {}
