"""References come from the fixture's own logits, so that what differs is what a test changes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from farm.recipes import WeightFormat
from pipeline.inference import divergence, quality
from pipeline.inference.generation import generate
from pipeline.inference.interpreter import TokenModel, open_token_model
from pipeline.inference.reference import PromptReference, Reference, TextReference, centre
from pipeline.inference.static_model import StaticModel
from tests.fixtures import bound_models
from tests.fixtures.weightless_graphs import GPT2_LIKE

PROMPT = (5, 250, 17, 80)


def greedy_reference(model: TokenModel, steps: int = 10) -> PromptReference:
    tokens = tuple(generate(model, PROMPT, steps, ()))
    model.rewind()
    logits = [model.read(PROMPT), *(model.step(token) for token in tokens[:-1])]
    return PromptReference("text", PROMPT, tokens, tuple(quality.margin(row) for row in logits))


@pytest.fixture
def reference(model: TokenModel) -> Reference:
    forced = np.random.default_rng(1).integers(0, 300, 30).astype(np.int32)
    tokens = np.random.default_rng(2).integers(0, 300, 40).astype(np.int32)
    logits = model.logits_for(tokens.tolist())
    wide = logits.astype(np.float64)[:-1]
    nll = np.log(np.exp(wide).sum(-1)) - wide[np.arange(39), tokens[1:]]
    text = TextReference(tokens, *divergence.likeliest(logits), nll.astype(np.float32))
    return Reference((greedy_reference(model),), forced, model.logits_for(forced.tolist()), (text,))


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in int8."""
    return bound_models.bind_sizes(GPT2_LIKE, WeightFormat.INT8_PER_ROW, tmp_path_factory.mktemp("q") / "int8.tflite")


def test_a_model_agrees_with_itself(model: TokenModel, reference: Reference) -> None:
    outcome = quality.run_prompt(model, reference.prompts[0], (), near_tie=0.0)
    assert (outcome.compared, outcome.agreed, outcome.near_ties) == (10, 10, 0)
    assert outcome.identical
    assert outcome.margins == pytest.approx(reference.prompts[0].margins)
    assert quality.largest_logit_difference(model, reference) < 1e-6
    measured = divergence.measure(model, reference.texts)
    assert measured.ratio == pytest.approx(1.0, abs=1e-5)
    assert measured.mean < 1e-6
    assert (measured.positions, measured.top1_agreement) == (40, 1.0)
    assert quality.prefill_divergence(model, reference.texts[0]) < 1e-6
    assert quality.largest_cache_change(model, reference) == 0.0


def test_after_parting_keras_path_is_forced_and_the_own_path_is_written(
    model: TokenModel, reference: Reference
) -> None:
    keras = reference.prompts[0]
    path = list(keras.greedy)
    path[3] = (path[3] + 1) % 300
    logits = model.logits_for([*PROMPT, *path[:-1]])[len(PROMPT) - 1 :]
    outcome = quality.run_prompt(model, replace(keras, greedy=tuple(path)), (), near_tie=0.0)
    assert outcome.tokens == keras.greedy
    assert outcome.margins == pytest.approx(keras.margins, abs=1e-5)
    assert outcome.agreed == sum(int(row.argmax()) == token for row, token in zip(logits, path, strict=True))
    assert outcome.agreed < 10
    assert not outcome.identical


def test_close_steps_do_not_count(model: TokenModel, reference: Reference) -> None:
    prompt = reference.prompts[0]
    closest = min(prompt.margins)
    outcome = quality.run_prompt(model, prompt, (), near_tie=closest * 1.0001)
    assert (outcome.compared, outcome.near_ties) == (9, 1)


def test_the_own_path_ends_with_the_end_token(model: TokenModel, reference: Reference) -> None:
    keras = reference.prompts[0]
    path = ((keras.greedy[0] + 1) % 300, *keras.greedy[1:])
    end = keras.greedy[4]
    outcome = quality.run_prompt(model, replace(keras, greedy=path), (end,), near_tie=0.0)
    assert outcome.tokens == keras.greedy[: keras.greedy.index(end) + 1]


def test_quantization_shows_but_stays_small(other_model: Path, reference: Reference) -> None:
    model = open_token_model(other_model)
    assert 1e-4 < quality.largest_logit_difference(model, reference) < 0.15
    measured = divergence.measure(model, reference.texts)
    assert measured.ratio != 1.0
    assert 0.9 < measured.ratio < 1.1
    assert 1e-6 < measured.mean < 0.05


def test_what_all_logits_share_is_no_difference(model: TokenModel, reference: Reference) -> None:
    shifted = replace(reference, probe_logits=reference.probe_logits + np.float32(64))
    assert quality.largest_logit_difference(model, shifted) < 1e-5
    assert shifted.logit_scale == pytest.approx(reference.logit_scale, rel=1e-4)


def test_one_wrong_logit_is_found(model: TokenModel, reference: Reference) -> None:
    logits = reference.probe_logits.copy()
    logits[29, 7] += 0.5 * reference.logit_scale
    assert quality.largest_logit_difference(model, replace(reference, probe_logits=logits)) > 0.3


def test_a_prefill_that_reads_otherwise_is_found(model: TokenModel, reference: Reference) -> None:
    assert quality.largest_logit_difference(model, reference) < 1e-6
    # The last rows of what prefill_16 has written get lost, as if it wrote one row too few.
    assert isinstance(model, StaticModel)
    signature = model._prefill[16]
    run = signature.run

    def lossy() -> None:
        run()
        caches = model.caches()
        for cache in caches.values():
            cache[:, :, model.position + 10] = 0.0
        model.put_caches(caches)

    signature.run = lossy  # type: ignore[method-assign]
    assert quality.prefill_divergence(model, reference.texts[0]) > 1e-4
    assert quality.largest_logit_difference(model, reference) > 0.01


@pytest.mark.parametrize("name", ["_decode", "_prefill", "_verify"])
def test_a_scrambled_cache_is_found(model: TokenModel, reference: Reference, name: str) -> None:
    found = getattr(model, name)
    signature = found[4] if isinstance(found, dict) else found
    run = signature.run

    def scrambling() -> None:
        run()
        if model.position == 2:
            caches = model.caches()
            caches["kv_cache_k_1"][0, 0, 0, 0] += 1.0
            model.put_caches(caches)

    assert quality.largest_cache_change(model, reference) == 0.0
    signature.run = scrambling
    assert quality.largest_cache_change(model, reference) == pytest.approx(1.0, abs=1e-5)


def test_not_a_number_is_no_small_difference(model: TokenModel, reference: Reference) -> None:
    logits = reference.probe_logits.copy()
    broken = replace(reference, probe_logits=logits)
    assert broken.logit_scale > 0
    broken.centred_logits[3, 3] = np.nan
    assert math.isnan(quality.largest_logit_difference(model, broken))


def test_margin_is_the_lead_of_the_best() -> None:
    assert quality.margin(np.array([0.5, 3.0, -1.0, 2.25], np.float32)) == 0.75


def test_centring_takes_off_the_mean_of_each_step() -> None:
    np.testing.assert_array_equal(centre(np.array([[1, 3], [10, 20]], np.float32)), [[-1, 1], [-5, 5]])
