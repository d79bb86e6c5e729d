from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from farm import recipes
from farm.errors import OutOfMemory
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.recipes import WeightFormat
from farm.runtimes import APP_RUNTIME
from farm.stages import StageName
from pipeline.conversion import decoder_check, preparation
from pipeline.conversion.numpy_forward import NumpyForward
from pipeline.conversion.preparation import rounding_step
from pipeline.conversion.preparation.matrix_formats import choose_formats
from pipeline.conversion.quantization import gptq
from pipeline.conversion.quantization.rounding import round_weights
from pipeline.conversion.weights import Float32
from pipeline.request import StageRequest
from pipeline.stages.__main__ import translate
from tests.fixtures.decoders import LLAMA, random_weights, viewed

DESCRIPTION = replace(LLAMA, intermediate_size=64)
TOKENS = np.random.default_rng(5).integers(0, 96, (16, 40)).tolist()
PROBE = np.array(TOKENS[0], np.int32)


def quiet(_progress: float, _activity: str) -> None:
    return


def prepared(alias: str, arrays: dict[str, np.ndarray], finer_share: float = 0.0) -> preparation.Prepared:
    recipe = recipes.find(alias)
    formats = choose_formats(DESCRIPTION, recipe, APP_RUNTIME)
    return preparation.prepare(
        DESCRIPTION, viewed(arrays), recipe.preparation, formats.products, TOKENS, quiet, finer_share=finer_share
    )


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


def test_what_loses_the_most_stays_finer_within_its_share_and_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = random_weights(DESCRIPTION)
    every = prepared("int4", arrays)
    seen: dict[str, float] = {}
    choose = rounding_step.keep_finer

    def spy(weights, losses, share):
        seen.update(losses)
        return choose(weights, losses, share)

    monkeypatch.setattr(rounding_step, "keep_finer", spy)
    made = prepared("int4", arrays, 0.3)
    sizes = {name: arrays[name].size for name in every.scales}
    assert set(seen) == set(sizes)
    assert all(1e-4 < loss < 0.1 for loss in seen.values()), seen
    assert set(made.scales) == set(every.scales) - set(made.finer)
    assert 0 < sum(sizes[name] for name in made.finer) <= 0.3 * sum(sizes.values())
    assert max(seen, key=seen.__getitem__) in made.finer
    # What stays coarse lost less, or has no room.
    left = 0.3 * sum(sizes.values()) - sum(sizes[name] for name in made.finer)
    least = min(seen[name] for name in made.finer)
    assert all(seen[name] <= least or sizes[name] > left for name in made.scales)
    (note,) = made.notes
    assert note.startswith("Stored as int8-per-row, because they lose the most of the layers' 10 matrices by int4")
    for name, stored in made.finer.items():
        assert name.removesuffix("_weight") in note
        assert stored is WeightFormat.INT8_PER_ROW
        height = len(arrays[name])
        unrounded = every.unrounded.rows(name, 0, height)
        np.testing.assert_array_equal(made.weights.rows(name, 0, height), unrounded)
        assert np.abs(every.weights.rows(name, 0, height) - unrounded).max() > 0


def test_out_of_memory_ends_with_a_sentence_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(inputs: Float32) -> Float32:
        # As NumPy does where the moments of a wide product find no room.
        return np.empty((1 << 40, len(inputs)), np.float64)

    monkeypatch.setattr(gptq, "hessian", full)
    with pytest.raises(MemoryError) as raised:
        prepared("int4", random_weights(DESCRIPTION))
    job = StageRequest(
        stage=StageName.CONVERT, workdir=tmp_path, caches=tmp_path, toolchain=tmp_path, keystore=None, threads=1,
        spec=JobSpec(model_kind=ModelKind.PRESET, model="gpt2"),
    )  # fmt: skip
    found = translate(raised.value, job)
    assert isinstance(found, OutOfMemory)
    assert str(found) == "The stage convert ran out of memory; raise FARM_MEMORY_LIMIT or free memory."
