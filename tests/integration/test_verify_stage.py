"""The verification stage: on a fixture whose reference comes from plain numpy, and after a real conversion."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from farm import digests, recipes
from farm.artifacts import ArtifactName
from farm.errors import ArtifactDamaged, DescriptionMismatch, FileUnreadable, QualityMissed
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.recipes import WeightFormat
from farm.stages import StageName
from pipeline.conversion.binding import bind
from pipeline.conversion.binding.flatbuffer import load_model, pack_model
from pipeline.inference import divergence
from pipeline.request import StageRequest, StageResult
from pipeline.stages import verify
from tests import processors
from tests.fixtures import bound_models, numpy_decoder, weightless_graphs
from tests.fixtures.weightless_graphs import GPT2_LIKE

WEIGHTS = weightless_graphs.random_weights(GPT2_LIKE)


def say_nothing(_share: float, _activity: str) -> None:
    return


def numpy_reference(path: Path) -> None:
    """What Keras's full forward pass would have said, from numpy."""
    rng = np.random.default_rng(4)
    arrays: dict[str, np.ndarray] = {"prompt_texts": np.array(["the rain in", ""])}
    tokens = [bound_models.START_TOKEN, *bound_models.byte_tokenizer().encode("the rain in").ids]
    for index, prompt in enumerate((tokens, rng.integers(0, 298, 5).tolist())):
        written, margins = list[int](), list[float]()
        for _ in range(12):
            logits = numpy_decoder.logits(GPT2_LIKE, WEIGHTS, [*prompt, *written])[-1]
            second, best = np.sort(logits)[-2:]
            written.append(int(logits.argmax()))
            margins.append(best - second)
        arrays[f"prompt_{index}"] = np.array(prompt, np.int32)
        arrays[f"greedy_{index}"] = np.array(written, np.int32)
        arrays[f"margin_{index}"] = np.array(margins, np.float32)
    forced, text = rng.integers(0, 298, 30), rng.integers(0, 298, 40)
    logits = numpy_decoder.logits(GPT2_LIKE, WEIGHTS, text.tolist())
    likeliest, log_probabilities = divergence.likeliest(logits.astype(np.float32))
    nll = np.log(np.exp(logits).sum(-1))[:-1] - logits[np.arange(39), text[1:]]
    arrays["probe_tokens"] = forced.astype(np.int32)
    arrays["probe_logits"] = numpy_decoder.logits(GPT2_LIKE, WEIGHTS, forced.tolist()).astype(np.float32)
    arrays |= {"texts": np.array(1), "text_0": text.astype(np.int32), "nll_0": nll.astype(np.float32)}
    arrays |= {"likeliest_0": likeliest, "log_probabilities_0": log_probabilities}
    arrays |= {"questions": arrays["prompt_texts"], "start_token": np.array(bound_models.START_TOKEN)}
    arrays |= {"stop_tokens": np.array([bound_models.END_TOKEN]), "answer_end": np.array(-1)}
    arrays |= {"free_prompt": arrays["prompt_0"], "free": arrays["greedy_0"]}
    arrays |= {"conversation": np.zeros((0, 3), np.str_)}
    np.savez(path, **arrays)


@pytest.fixture
def converted(tmp_path: Path) -> Callable[[WeightFormat], StageRequest]:
    """Makes the order of a job whose model is the fixture in that form."""

    def make(weight_format: WeightFormat) -> StageRequest:
        workdir = tmp_path / weight_format
        for name in ("inputs", "outputs", "scratch"):
            (workdir / name).mkdir(parents=True)
        info = bound_models.write_model_folder(workdir / "inputs", weight_format)
        numpy_reference(workdir / "inputs" / "reference.npz")
        return request_in(workdir, StageName.VERIFY, info.recipe, "somewhere")

    return make


def request_in(workdir: Path, stage: StageName, recipe: str, model: str) -> StageRequest:
    spec = JobSpec(model_kind=ModelKind.FOLDER, model=model, recipe=recipe)
    return StageRequest(
        stage=stage,
        spec=spec,
        workdir=workdir,
        caches=workdir.parent / "caches",
        toolchain=workdir,
        keystore=None,
        threads=processors.threads(),
    )


def change_info(request: StageRequest, **change: object) -> None:
    path = request.input(ArtifactName.MODEL_INFO)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def replace_model(request: StageRequest, weights: dict[str, np.ndarray], weight_format: WeightFormat) -> None:
    """Put another model in the place of the right one, with its own hash: only its behaviour tells."""
    model = request.input(ArtifactName.MODEL)
    bind(GPT2_LIKE.path, bound_models.ArrayWeights(weights), weight_format, model)
    change_info(request, model_sha256=digests.of_file(model))


def figures_of(result: StageResult) -> dict[str, float]:
    return {metric.name: metric.value for metric in result.metrics}


@pytest.mark.parametrize("weight_format", [WeightFormat.FLOAT32, WeightFormat.FLOAT16, WeightFormat.INT8_PER_ROW])
def test_a_sound_model_passes_with_its_figures(
    weight_format: WeightFormat, converted: Callable[[WeightFormat], StageRequest]
) -> None:
    request = converted(weight_format)
    result = verify.run(request, say_nothing)
    figures = figures_of(result)
    limits = recipes.find(request.spec.recipe).limits
    assert figures["greedy_agreement"] >= limits.greedy_agreement
    assert figures["divergence"] <= limits.divergence
    assert figures["top1_agreement"] >= limits.top1_agreement
    assert figures["divergence_positions"] == 40
    assert ("logit_difference" in figures) == (weight_format is WeightFormat.FLOAT32)
    assert figures["perplexity"] == pytest.approx(figures["keras_perplexity"] * figures["perplexity_ratio"])
    assert figures["greedy_steps"] + figures["greedy_ties"] == 24
    assert figures["prefill_tokens"] == 32
    assert min(figures["prefill_seconds"], figures["decode_rate"], figures["load_seconds"]) > 0
    golden = json.loads(request.output(ArtifactName.GOLDEN).read_text())
    assert (golden["format"], golden["recipe"]) == (1, request.spec.recipe)
    assert golden["figures"] == figures
    assert [prompt["text"] for prompt in golden["prompts"]] == ["the rain in", None]
    for prompt in golden["prompts"]:
        assert len(prompt["tokens"]) == len(prompt["margins"]) <= len(prompt["keras_tokens"]) == 12
        assert prompt["completion"] == bound_models.byte_tokenizer().decode(prompt["tokens"])


def test_float32_goes_on_token_for_token(converted: Callable[[WeightFormat], StageRequest]) -> None:
    request = converted(WeightFormat.FLOAT32)
    result = verify.run(request, say_nothing)
    golden = json.loads(request.output(ArtifactName.GOLDEN).read_text())
    assert all(prompt["tokens"] == prompt["keras_tokens"] for prompt in golden["prompts"])
    assert result.notes[0] == "2 of 2 golden prompts are continued exactly as by Keras."


def scaled(name: str, factor: float) -> dict[str, np.ndarray]:
    return WEIGHTS | {name: WEIGHTS[name] * np.float32(factor)}


@pytest.mark.parametrize(
    ("weight_format", "weights"),
    [
        (WeightFormat.FLOAT32, scaled("0.down", 1.001)),
        (WeightFormat.FLOAT32, scaled("1.norm2.bias", 0.99)),
        (WeightFormat.FLOAT16, scaled("0.down", 1.1)),
        (WeightFormat.INT8_PER_ROW, scaled("0.down", 2.0)),
        (WeightFormat.INT8_PER_ROW, scaled("1.qkv.bias", 0.0)),
        (WeightFormat.INT8_PER_ROW, WEIGHTS | {"positions": np.roll(WEIGHTS["positions"], 1, 0)}),
    ],
)
def test_a_broken_model_fails_with_figures_and_limits(
    weight_format: WeightFormat, weights: dict[str, np.ndarray], converted: Callable[[WeightFormat], StageRequest]
) -> None:
    request = converted(weight_format)
    replace_model(request, weights, weight_format)
    with pytest.raises(QualityMissed) as caught:
        verify.run(request, say_nothing)
    assert re.search(r"too far from Keras: .* \((at most|at least) [\d.e-]+\)", caught.value.sentence)
    assert not request.output(ArtifactName.GOLDEN).exists()


def test_swapped_caches_fail(converted: Callable[[WeightFormat], StageRequest]) -> None:
    request = converted(WeightFormat.INT8_PER_ROW)
    model = load_model(request.input(ArtifactName.MODEL))
    for signature in model.signatureDefs:
        outputs = {item.name: item for item in signature.outputs}
        keys, values = outputs[b"kv_cache_k_1"], outputs[b"kv_cache_v_1"]
        keys.tensorIndex, values.tensorIndex = values.tensorIndex, keys.tensorIndex
    request.input(ArtifactName.MODEL).write_bytes(pack_model(model))
    change_info(request, model_sha256=digests.of_file(request.input(ArtifactName.MODEL)))
    with pytest.raises(QualityMissed, match="changes cache rows that it must only read"):
        verify.run(request, say_nothing)


def test_not_a_number_fails(converted: Callable[[WeightFormat], StageRequest]) -> None:
    """Gains so large that the arithmetic overflows, though every weight is a finite number."""
    request = converted(WeightFormat.FLOAT32)
    replace_model(request, scaled("1.norm1.scale", 1e30), WeightFormat.FLOAT32)
    with pytest.raises(QualityMissed):
        verify.run(request, say_nothing)


@pytest.mark.parametrize("name", [ArtifactName.MODEL, ArtifactName.TOKENIZER])
def test_one_flipped_bit_is_noticed(name: ArtifactName, converted: Callable[[WeightFormat], StageRequest]) -> None:
    request = converted(WeightFormat.INT8_PER_ROW)
    content = bytearray(request.input(name).read_bytes())
    content[-200] ^= 1
    request.input(name).write_bytes(content)
    with pytest.raises(ArtifactDamaged, match=f"{name} is not the file that model-info.json describes"):
        verify.run(request, say_nothing)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"context": 64}, "context 48 instead of 64"),
        ({"vocabulary_size": 299}, "vocabulary 300 instead of 299"),
        ({"layers": 3}, "layers 2 instead of 3"),
        ({"prefill": [4]}, r"prefill lengths \(4, 16\) instead of \(4,\)"),
        ({"end_token": 300, "stop_tokens": (300,)}, "stop tokens in the vocabulary False"),
        ({"recipe": "none"}, "was made with the recipe none, but the job asks for dynamic_wi8_afp32"),
    ],
)
def test_a_description_of_another_model_is_refused(
    change: dict[str, object], sentence: str, converted: Callable[[WeightFormat], StageRequest]
) -> None:
    request = converted(WeightFormat.INT8_PER_ROW)
    change_info(request, **change)
    with pytest.raises(DescriptionMismatch, match=sentence):
        verify.run(request, say_nothing)


def test_a_model_without_tokenizer_is_verified_by_tokens(converted: Callable[[WeightFormat], StageRequest]) -> None:
    request = converted(WeightFormat.FLOAT32)
    change_info(request, tokenizer=None, tokenizer_sha256=None)
    verify.run(request, say_nothing)
    golden = json.loads(request.output(ArtifactName.GOLDEN).read_text())
    assert {prompt["completion"] for prompt in golden["prompts"]} == {None}


def test_a_reference_that_is_missing_is_no_pass(converted: Callable[[WeightFormat], StageRequest]) -> None:
    request = converted(WeightFormat.FLOAT32)
    request.input(ArtifactName.REFERENCE).unlink()
    with pytest.raises(FileUnreadable, match=r"reference\.npz is no reference"):
        verify.run(request, say_nothing)
