"""The conversion stage on small models of every form of file, and what it refuses."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest
from keras_hub import models
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from farm import caches, digests, locations
from farm.appspec import AppSpec
from farm.artifacts import ArtifactName
from farm.errors import (
    ContextTooLong,
    ModelDamaged,
    NotCausalLM,
    UnsupportedArchitecture,
    UnsupportedFamily,
)
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.prompting import Mode
from farm.stages import StageName
from pipeline.conversion import graph, loading
from pipeline.conversion.description import from_json
from pipeline.conversion.evaluation_text import TEXTS
from pipeline.conversion.loading import load_causal_lm
from pipeline.inference.interpreter import open_token_model
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.reference import read_reference
from pipeline.request import StageRequest, StageResult
from pipeline.stages import convert
from tests.fixtures.machine_traces import of_this_machine, traces

END = "<|endoftext|>"
SHAPE: dict[str, Any] = {"num_layers": 2, "num_heads": 2, "hidden_dim": 32, "intermediate_dim": 64}
POSITIONS = 64
CONTEXT = 48

# What Keras's own code says while a model is made and saved.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]


def gpt2(preprocessor: bool = True) -> Any:
    """A lively GPT-2 with the 256 bytes, three merges and an end token of its own."""
    merges = ["t h", "th e", "Ġ the"]
    tokens = [*sorted(ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in merges), END]
    tokenizer = models.GPT2Tokenizer(vocabulary={token: i for i, token in enumerate(tokens)}, merges=merges)
    keras.utils.set_random_seed(3)
    causal_lm = models.GPT2CausalLM(
        backbone=models.GPT2Backbone(vocabulary_size=len(tokens), max_sequence_length=POSITIONS, **SHAPE),
        preprocessor=models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=POSITIONS) if preprocessor else None,
    )
    random = np.random.default_rng(4)
    for variable in causal_lm.backbone.trainable_weights:
        # Exact in bfloat16, so that a short copy of the model holds the same numbers.
        values = variable.numpy() + np.round(random.normal(size=tuple(variable.shape)) * 16) / 64
        variable.assign(np.round(values * 64) / 64)
    return causal_lm


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preset") / "tiny"
    gpt2().save_to_preset(folder)
    return folder


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras-file")
    gpt2().save(folder / "model.keras")
    return folder


@pytest.fixture
def make_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., StageRequest]:
    """A request for the model in a folder."""
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")

    def make(source: Path, **spec: Any) -> StageRequest:
        workdir = tmp_path / "work"
        for name in ("inputs", "outputs", "scratch"):
            (workdir / name).mkdir(parents=True)
        (workdir / "inputs" / "source").symlink_to(source)
        return StageRequest(
            stage=StageName.CONVERT,
            spec=JobSpec(model_kind=ModelKind.FOLDER, model="/models/tiny", **{"context": CONTEXT, **spec}),
            workdir=workdir,
            caches=tmp_path / "caches",
            toolchain=tmp_path,
            keystore=None,
            threads=1,
        )

    return make


@pytest.fixture(scope="module")
def parameters() -> list[np.ndarray[Any, Any]]:
    return [variable.numpy() for variable in gpt2().weights]


def run(request: StageRequest) -> StageResult:
    shares: list[float] = []
    result = convert.run(request, lambda share, _activity: shares.append(share))
    assert shares == sorted(shares)
    return result


def edit_json(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def same_parameters(source: Path, expected: list[np.ndarray[Any, Any]]) -> bool:
    loaded = load_causal_lm(source).weights
    return len(loaded) == len(expected) and all(
        np.array_equal(variable.numpy(), values) for variable, values in zip(loaded, expected, strict=True)
    )


def test_a_preset_becomes_a_model_with_its_metadata(preset: Path, make_request: Callable[..., StageRequest]) -> None:
    template = "{{ bos_token }}{% for each in messages %}{{ each.content }}\n{% endfor %}"
    app = AppSpec(mode=Mode.COMPLETE, chat_template=template)
    job = make_request(preset, recipe="int8", app=app)
    result = run(job)
    metrics = {metric.name: metric.value for metric in result.metrics}
    assert metrics["graph_cached"] == 0
    assert 0 < metrics["decoder_difference"] < 1e-4
    assert metrics["file_bytes"] == job.output(ArtifactName.MODEL).stat().st_size
    assert not result.skips
    assert result.attributes == {"family": "GPT2", "compared_with": "Keras's full forward pass"}

    files = [path for path in (job.workdir / "outputs").iterdir() if path.is_file()]
    assert len(files) == 5
    assert traces(files, of_this_machine(job.workdir.parent, preset.parent, locations.ROOT)) == []

    info = ModelInfo.read(job.output(ArtifactName.MODEL_INFO))
    assert (info.family, info.recipe, info.tokenizer) == ("GPT2", "dynamic_wi8_afp32_rotated", "byte-level-bpe")
    assert (info.context, info.prefill, info.vocabulary_size) == (CONTEXT, (), 260)
    assert (info.layers, info.kv_heads, info.head_dim) == (2, 2, 16)
    assert info.start_token == info.end_token == 259
    assert info.model_sha256 == digests.of_file(job.output(ArtifactName.MODEL))
    assert info.tokenizer_sha256 == digests.of_file(job.output(ArtifactName.TOKENIZER))

    description = from_json(json.loads(job.output(ArtifactName.DESCRIPTION).read_bytes()))
    assert description.position_count == POSITIONS
    tokenizer = Tokenizer.from_file(str(job.output(ArtifactName.TOKENIZER)))
    reference = read_reference(job.output(ArtifactName.REFERENCE))
    assert reference.probe_logits.shape == (40, 260)
    texts = [prompt.text for prompt in reference.prompts if prompt.text]
    assert len(texts) >= 3
    for prompt in reference.prompts:
        assert prompt.text is None or prompt.tokens == (259, *tokenizer.encode(prompt.text).ids)
    assert info.prompting.mode is Mode.COMPLETE
    assert info.chat is not None
    assert info.chat.begin == (259,)
    for turn, prompt in zip(reference.conversation, reference.prompts[-len(reference.conversation) :], strict=True):
        assert turn.rendered.endswith(f"{turn.question}\n")
        assert prompt.tokens == tuple(tokenizer.encode(turn.rendered).ids)
    contract = open_token_model(job.output(ArtifactName.MODEL), context=info.context).contract
    assert contract.dynamic
    assert contract.windows == (None, None)


def test_the_reference_is_keras_full_forward_pass(preset: Path, make_request: Callable[..., StageRequest]) -> None:
    job = make_request(preset)
    run(job)
    reference = read_reference(job.output(ArtifactName.REFERENCE))
    causal_lm = gpt2()

    def logits(tokens: list[int]) -> np.ndarray[Any, Any]:
        ids = np.array([tokens], np.int32)
        return np.asarray(causal_lm({"token_ids": ids, "padding_mask": np.ones_like(ids)}))[0]

    np.testing.assert_allclose(reference.probe_logits, logits(reference.probe_tokens.tolist()), atol=1e-4)
    for prompt in reference.prompts:
        tokens = list(prompt.tokens)
        for token, margin in zip(prompt.greedy, prompt.margins, strict=True):
            last = np.sort(logits(tokens)[-1])
            assert margin == pytest.approx(last[-1] - last[-2], abs=1e-3)
            assert token == int(logits(tokens)[-1].argmax()) or margin < 1e-3
            tokens.append(token)
    written = list(reference.free_prompt)
    for token in reference.free[:20]:
        last = np.sort(logits(written)[-1])
        assert token == int(logits(written)[-1].argmax()) or last[-1] - last[-2] < 1e-3
        written.append(token)
    assert len(reference.free) > 20
    # One of them is long, of all texts one after another.
    assert len(reference.texts) == 1 + len(TEXTS)
    for text in reference.texts[:3]:
        rows = logits(text.tokens.tolist()).astype(np.float64)
        log_shares = rows - np.log(np.exp(rows).sum(-1, keepdims=True))
        expected = -log_shares[np.arange(len(rows) - 1), text.tokens[1:]]
        np.testing.assert_allclose(text.nll, expected, atol=1e-3)
        kept = np.take_along_axis(log_shares, text.likeliest, 1)
        np.testing.assert_allclose(text.log_probabilities, kept, atol=1e-3)
        assert (np.diff(text.log_probabilities, axis=1) <= 0).all()


def test_a_second_model_of_the_architecture_needs_no_conversion(
    preset: Path, make_request: Callable[..., StageRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_request(preset)
    run(job)
    first = job.output(ArtifactName.MODEL).read_bytes()
    (cached,) = job.adopt("graphs").iterdir()
    (job.caches / "graphs").mkdir(parents=True)
    kept = job.caches / "graphs" / cached.name
    shutil.move(cached, kept)
    caches.record(kept, digests.of_file(kept))
    monkeypatch.setattr(graph, "convert", lambda *_: pytest.fail("converted again"))
    result = run(job)
    assert {metric.name: metric.value for metric in result.metrics}["graph_cached"] == 1
    assert job.output(ArtifactName.MODEL).read_bytes() == first
    # Neither does another context, nor a file with fixed lengths.
    shorter = run(job.model_copy(update={"spec": job.spec.model_copy(update={"context": 40})}))
    assert job.output(ArtifactName.MODEL).read_bytes() == first
    assert ModelInfo.read(job.output(ArtifactName.MODEL_INFO)).context == 40
    assert not shorter.skips
    changed = {"static_shapes": True, "prefill": (4, 16)}
    static = run(job.model_copy(update={"spec": job.spec.model_copy(update=changed)}))
    assert "lengths in this one are fixed" in static.skips[StageName.PACKAGE]
    assert ModelInfo.read(job.output(ArtifactName.MODEL_INFO)).prefill == (4, 16)
    model = job.output(ArtifactName.MODEL)
    fixed = open_token_model(model)
    assert (fixed.contract.context, fixed.contract.prefill, fixed.contract.verify) == (CONTEXT, (4, 16), 4)
    model.unlink()
    model.write_bytes(first)
    tokens = list(range(5, 40))
    np.testing.assert_array_equal(fixed.read(tokens), open_token_model(model, context=CONTEXT).read(tokens))


def test_a_model_without_tokenizer_ends_at_the_verified_model(
    tmp_path: Path, make_request: Callable[..., StageRequest]
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    gpt2(preprocessor=False).save(source / "model.keras")
    job = make_request(source)
    result = run(job)
    assert (
        set(result.skips)
        == set(convert.NEEDS_TOKENIZER)
        >= {StageName.PACKAGE, StageName.SCREENSHOTS, StageName.BUNDLE}
    )
    assert "without a tokenizer" in result.skips[StageName.PACKAGE]
    assert ModelInfo.read(job.output(ArtifactName.MODEL_INFO)).tokenizer is None
    assert all(prompt.text is None for prompt in read_reference(job.output(ArtifactName.REFERENCE)).prompts)


def test_a_keras_file_holds_the_same_model(keras_file: Path, parameters: list[np.ndarray[Any, Any]]) -> None:
    assert same_parameters(keras_file, parameters)


def test_a_preset_holds_the_same_model(preset: Path, parameters: list[np.ndarray[Any, Any]]) -> None:
    assert same_parameters(preset, parameters)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_short_floats_are_loaded_as_float32(
    precision: str, tmp_path: Path, parameters: list[np.ndarray[Any, Any]]
) -> None:
    causal_lm = gpt2()
    config = causal_lm.get_config()
    backbone = models.GPT2Backbone.from_config({**causal_lm.backbone.get_config(), "dtype": precision})
    backbone.set_weights(causal_lm.backbone.get_weights())
    short = models.GPT2CausalLM(backbone=backbone, preprocessor=causal_lm.preprocessor)
    assert config["name"]
    (tmp_path / "file").mkdir()
    short.save(tmp_path / "file" / "model.keras")
    short.save_to_preset(tmp_path / "preset")
    for source in ("file", "preset"):
        assert same_parameters(tmp_path / source, parameters)


def as_keras_nlp(text: str) -> str:
    """As KerasNLP wrote it."""
    return text.replace("keras_hub>", "keras_nlp>").replace("keras_hub.src.", "keras_nlp.src.")


def without_registered_names(text: str) -> str:
    """As files have it whose classes are found by their module only."""
    value = json.loads(as_keras_nlp(text))
    pending = [value["config"]]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if str(node.get("registered_name")).startswith("keras_nlp>"):
                node["registered_name"] = node["class_name"]
            pending += node.values()
    return json.dumps(value)


@pytest.mark.parametrize("rewrite", [as_keras_nlp, without_registered_names])
def test_a_preset_of_keras_nlp_is_read(
    rewrite: Callable[[str], str], preset: Path, tmp_path: Path, parameters: list[np.ndarray[Any, Any]]
) -> None:
    source = tmp_path / "preset"
    shutil.copytree(preset, source)
    for name in ("config.json", "task.json", "tokenizer.json", "preprocessor.json"):
        edit_json(source / name, rewrite)
    assert "keras_hub" not in (source / "task.json").read_text()
    assert same_parameters(source, parameters)


def test_a_preset_without_task_is_read(preset: Path, tmp_path: Path, parameters: list[np.ndarray[Any, Any]]) -> None:
    """As KerasNLP's first presets were: configuration, weights and tokenizer."""
    source = tmp_path / "preset"
    shutil.copytree(preset, source)
    for name in ("task.json", "preprocessor.json", "metadata.json"):
        (source / name).unlink()
    assert same_parameters(source, parameters)


@pytest.mark.parametrize("rewrite", [as_keras_nlp, without_registered_names])
def test_a_keras_file_of_keras_nlp_is_read(
    rewrite: Callable[[str], str], keras_file: Path, tmp_path: Path, parameters: list[np.ndarray[Any, Any]]
) -> None:
    with (
        zipfile.ZipFile(keras_file / "model.keras") as archive,
        zipfile.ZipFile(tmp_path / "model.keras", "w") as copy,
    ):
        for member in archive.namelist():
            content = archive.read(member)
            copy.writestr(member, rewrite(content.decode()) if member == "config.json" else content)
    assert same_parameters(tmp_path, parameters)


def test_a_context_beyond_the_positions_is_refused(preset: Path, make_request: Callable[..., StageRequest]) -> None:
    with pytest.raises(ContextTooLong, match=r"context of 65 tokens .* 64 positions; ask for .* at most 64"):
        run(make_request(preset, context=POSITIONS + 1))


def test_the_default_context_is_all_that_a_short_model_has(
    preset: Path, make_request: Callable[..., StageRequest]
) -> None:
    job = make_request(preset, context=None)
    result = run(job)
    assert ModelInfo.read(job.output(ArtifactName.MODEL_INFO)).context == POSITIONS
    found = {metric.name: metric.value for metric in result.metrics}
    # Keys and values of two layers, two heads of 16 numbers.
    assert (found["context"], found["cache_bytes"]) == (POSITIONS, POSITIONS * 2 * 2 * 2 * 16 * 4)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "task.json"])
def test_a_truncated_preset_is_refused(name: str, preset: Path, tmp_path: Path) -> None:
    source = tmp_path / "preset"
    shutil.copytree(preset, source)
    content = (source / name).read_bytes()
    (source / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelDamaged):
        load_causal_lm(source)


def test_a_truncated_keras_file_is_refused(keras_file: Path, tmp_path: Path) -> None:
    content = (keras_file / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelDamaged):
        load_causal_lm(tmp_path)


def test_weights_of_another_model_are_refused(preset: Path, tmp_path: Path) -> None:
    source = tmp_path / "preset"
    shutil.copytree(preset, source)
    for name in ("config.json", "task.json"):
        edit_json(source / name, lambda text: text.replace('"hidden_dim": 32', '"hidden_dim": 40'))
    with pytest.raises(ModelDamaged):
        load_causal_lm(source)


def test_weights_that_are_in_no_file_are_refused(preset: Path) -> None:
    model = load_causal_lm(preset)
    everything = {id(variable): variable for variable in model.weights}
    loading.require_weights(model, everything)
    kernel = next(variable for variable in model.weights if variable.path.endswith("kernel"))
    del everything[id(kernel)]
    with pytest.raises(ModelDamaged, match=r"hold no values for .*kernel"):
        loading.require_weights(model, everything)


def test_a_keras_model_that_writes_no_text_is_refused(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(NotCausalLM, match="Sequential and not a KerasHub CausalLM"):
        load_causal_lm(tmp_path)


def test_a_preset_that_writes_no_text_is_refused(tmp_path: Path) -> None:
    bert = models.BertBackbone(
        vocabulary_size=20, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=8, max_sequence_length=8
    )
    bert.save_to_preset(tmp_path / "bert")
    with pytest.raises(NotCausalLM, match="BertBackbone"):
        load_causal_lm(tmp_path / "bert")


def test_a_preset_of_another_family_is_refused_before_its_weights_are_read(preset: Path, tmp_path: Path) -> None:
    source = tmp_path / "preset"
    shutil.copytree(preset, source)
    edit_json(source / "config.json", lambda text: text.replace("GPT2Backbone", "MixtralBackbone"))
    (source / "model.weights.h5").unlink()
    with pytest.raises(UnsupportedFamily, match="family Mixtral"):
        load_causal_lm(source)


def test_a_preset_quantized_by_keras_is_refused(preset: Path, tmp_path: Path) -> None:
    source = tmp_path / "preset"
    shutil.copytree(preset, source)
    edit_json(source / "config.json", lambda text: text.replace('"DTypePolicy"', '"QuantizedDTypePolicy"'))
    with pytest.raises(UnsupportedArchitecture, match="quantized by Keras"):
        load_causal_lm(source)


def test_loading_leaves_keras_as_it_was(preset: Path) -> None:
    load_causal_lm(preset)
    normal = keras.initializers.RandomNormal(seed=1)((8, 8))
    assert float(keras.ops.std(normal)) > 0
    tokenizer = keras_hub.models.GPT2Tokenizer.from_preset(str(preset))
    assert np.asarray(tokenizer("the")).tolist() == [tokenizer.token_to_id("the")]
