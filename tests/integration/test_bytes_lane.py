"""The bytes lane: the tokenizer in the graph beside the tokenizers package, and the whole way from text to text."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras_hub import models
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from examples.random_gpt2 import vocabulary_of_sources
from farm import digests
from farm.artifacts import ArtifactName
from farm.errors import FileUnreadable, QualityMissed, SequenceTooLong, UnsupportedArchitecture, UnsupportedFamily
from farm.jobspec import JobSpec, Lane
from farm.modelref import ModelKind
from farm.stages import StageName
from worker.conversion import graph, sampling
from worker.conversion.byte_bpe import detokenizer, encoder, splitting
from worker.conversion.byte_bpe.tables import byte_letters, read_tables
from worker.conversion.tokenizer import byte_level_bpe
from worker.inference.generation import generate
from worker.inference.inspection import inspect
from worker.inference.interpreter import TokenModel
from worker.inference.mixed_texts import mixed_texts
from worker.inference.model_info import ModelInfo
from worker.inference.text_model import Sampling, TextModel
from worker.order import StageOrder
from worker.stages import convert, verify

END = "<|endoftext|>"
CAPACITY = 160
CONTEXT = 48
PROMPT_BYTES = 96

# What Keras's own code says while a model is made and saved.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]


def say_nothing(_share: float, _doing: str) -> None:
    return


@pytest.fixture(scope="module")
def reference() -> Tokenizer:
    """A byte-level BPE with real merges; special tokens in a text are text."""
    bpe = vocabulary_of_sources(1500)
    tokenizer = byte_level_bpe(bpe.vocabulary, list(bpe.merges), [END])
    tokenizer.encode_special_tokens = True
    return tokenizer


@pytest.fixture(scope="module")
def coder(reference: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A converted graph with the tokenizer alone: bytes to tokens and to bytes again."""
    tables = read_tables(reference.to_str().encode(), reference.get_vocab_size())
    specs = [tf.TensorSpec([CAPACITY], tf.uint8, name="text"), tf.TensorSpec([1], tf.int32, name="size")]

    def both_ways(text: tf.Tensor, size: tf.Tensor) -> dict[str, tf.Tensor]:
        pattern = splitting.find_pattern(splitting.GPT2)
        tokens, count = encoder.encode(tables, pattern, tf.cast(text, tf.int32), size[0])
        again, length = detokenizer.decode(tables, tokens, count, 2 * CAPACITY)
        return {"tokens": tokens, "count": count[None], "again": again, "length": length[None]}

    path = tmp_path_factory.mktemp("coder") / "coder.tflite"
    path.write_bytes(
        graph.convert_signatures({"both_ways": tf.function(both_ways, input_signature=specs, autograph=False)})
    )
    # Kept, since the runner does not keep its interpreter.
    interpreter = Interpreter(str(path))
    runner = interpreter.get_signature_runner("both_ways")

    def code(content: bytes) -> tuple[list[int], bytes]:
        text = np.zeros(CAPACITY, np.uint8)
        text[: len(content)] = np.frombuffer(content, np.uint8)
        found = runner(text=text, size=np.array([len(content)], np.int32))
        tokens = found["tokens"][: int(found["count"][0])].tolist()
        return tokens, bytes(found["again"][: int(found["length"][0])].tolist())

    yield code
    del interpreter


def test_five_thousand_texts_are_read_as_the_tokenizers_package_reads_them(coder: Any, reference: Tokenizer) -> None:
    texts = list(mixed_texts(5000, CAPACITY))
    assert len(texts) == 5000
    assert len(set(texts)) > 4500
    wrong = []
    for text in texts:
        tokens, again = coder(text.encode())
        assert again == text.encode()
        if tokens != reference.encode(text).ids:
            wrong.append(text)
    assert wrong == []


def broken_texts(count: int) -> Iterator[bytes]:
    """Bytes that are no UTF-8: classic cases, texts with bytes put in, and noise."""
    yield from (b"\x80", b"\xc2", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80")
    yield from (b"\xff", b"\xfe ", b" \xff", b"\xc3(", b"\xe2\x82(", b"\xf0(\x8c\xbc", b"a\xffb", b"'\xffs")
    chance = random.Random(2)  # noqa: S311
    for text in mixed_texts(count, CAPACITY - 8, seed=3):
        broken = bytearray(text.encode())
        for _ in range(chance.randrange(1, 8)):
            broken.insert(chance.randrange(len(broken) + 1), chance.randrange(0x80, 0x100))
        yield bytes(broken)
        yield bytes(chance.randrange(256) for _ in range(chance.randrange(1, 60)))


def read_broken(tokenizer: Tokenizer, content: bytes) -> list[int]:
    """What the package does where text is valid, each invalid byte being a sign: split, then merged by its model."""
    # Private characters are signs like an invalid byte, and none of the texts has those of this plane.
    text = "".join(
        chr(0x100000 + ord(letter) - 0xDC00) if 0xDC80 <= ord(letter) <= 0xDCFF else letter
        for letter in content.decode("utf-8", "surrogateescape")
    )
    letters = byte_letters()
    tokens = []
    for _, (start, stop) in ByteLevel(add_prefix_space=False, use_regex=True).pre_tokenize_str(text):
        piece = b"".join(
            bytes([ord(letter) - 0x100000]) if 0x100080 <= ord(letter) <= 0x1000FF else letter.encode()
            for letter in text[start:stop]
        )
        tokens += [token.id for token in tokenizer.model.tokenize("".join(letters[byte] for byte in piece))]
    return tokens


def test_broken_utf8_is_read_byte_by_byte_and_comes_back(coder: Any, reference: Tokenizer) -> None:
    texts = list(broken_texts(400))
    assert len(texts) > 800
    for content in texts:
        tokens, again = coder(content)
        assert again == content
        assert tokens == read_broken(reference, content), content


def test_an_unknown_pattern_is_refused() -> None:
    with pytest.raises(UnsupportedArchitecture, match="pattern llama3"):
        splitting.find_pattern("llama3")


def test_the_generator_is_the_minimal_standard() -> None:
    state = tf.constant(1)
    for _ in range(10_000):
        state = sampling.next_random(state)
    # Park and Miller give this number for checking.
    assert int(state) == 1043618065
    for seed in (-(2**31), -1, 0, 1, 2**31 - 1):
        assert 0 < int(sampling.start_random(tf.constant(seed))) < sampling.MODULUS


def test_sampling_follows_the_softmax_of_the_candidates() -> None:
    logits = np.random.default_rng(5).permutation(np.arange(100, dtype=np.float32) / 10)
    asked = sampling.Sampling(tf.constant(0.5), tf.constant(3))
    state, counts = sampling.start_random(tf.constant(7)), dict.fromkeys(np.argsort(-logits)[:3].tolist(), 0)
    draw = tf.function(lambda state: sampling.choose_token(tf.constant(logits), asked, state), autograph=False)
    for _ in range(3000):
        state = sampling.next_random(state)
        counts[int(draw(state))] += 1
    shares = np.exp(np.array([0, -0.1, -0.2]) / 0.5)
    np.testing.assert_allclose(np.array(list(counts.values())) / 3000, shares / shares.sum(), atol=0.03)
    greedy = sampling.Sampling(tf.constant(0.0), tf.constant(3))
    assert int(sampling.choose_token(tf.constant(logits), greedy, state)) == int(logits.argmax())


def gpt2(tokenizer: Tokenizer) -> Any:
    """A lively GPT-2 of two layers with that tokenizer."""
    content = json.loads(tokenizer.to_str())["model"]
    merges = [" ".join(merge) for merge in content["merges"]]
    size = len(content["vocab"])
    keras.utils.set_random_seed(3)
    causal_lm = models.GPT2CausalLM(
        backbone=models.GPT2Backbone(
            vocabulary_size=size, max_sequence_length=64, num_layers=2, num_heads=2, hidden_dim=32, intermediate_dim=64
        ),
        preprocessor=models.GPT2CausalLMPreprocessor(
            models.GPT2Tokenizer(vocabulary=content["vocab"], merges=merges), sequence_length=64
        ),
    )
    generator = np.random.default_rng(4)
    for variable in causal_lm.backbone.trainable_weights:
        variable.assign(variable.numpy() + 0.25 * generator.normal(size=tuple(variable.shape)))
    return causal_lm


@pytest.fixture(scope="module")
def preset(reference: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bytes") / "preset"
    gpt2(reference).save_to_preset(folder)
    return folder


def make_order(workdir: Path, stage: StageName, **spec: Any) -> StageOrder:
    for name in ("inputs", "outputs", "scratch"):
        (workdir / name).mkdir(parents=True, exist_ok=True)
    settings = {"lane": Lane.BYTES, "context": CONTEXT, "prompt_bytes": PROMPT_BYTES, **spec}
    return StageOrder(
        stage=stage,
        spec=JobSpec(model_kind=ModelKind.FOLDER, model="/models/small", **settings),
        workdir=workdir,
        caches=workdir / "caches",
        toolchain=workdir,
        keystore=None,
        threads=1,
    )


@pytest.fixture(scope="module")
def converted(preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], StageOrder]:
    """The finished conversion in a recipe, as the order of its verification."""
    made: dict[str, StageOrder] = {}
    graphs = tmp_path_factory.mktemp("graphs")

    def make(recipe: str) -> StageOrder:
        if recipe not in made:
            workdir = tmp_path_factory.mktemp(recipe)
            order = make_order(workdir, StageName.CONVERT, recipe=recipe).model_copy(update={"caches": graphs})
            (workdir / "inputs" / "source").symlink_to(preset)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("TF_NUM_INTRAOP_THREADS", "1")
                result = convert.run(order, say_nothing)
            cached = next(metric.value for metric in result.metrics if metric.name == "graph_cached")
            assert cached == float(bool(made))
            if not cached:
                order.adopt("graphs").rename(graphs / "graphs")
            (workdir / "outputs").rename(workdir / "made")
            (workdir / "inputs" / "source").unlink()
            (workdir / "inputs").rmdir()
            (workdir / "made").rename(workdir / "inputs")
            made[recipe] = make_order(workdir, StageName.VERIFY, recipe=recipe)
        return made[recipe]

    return make


@pytest.mark.parametrize("recipe", ["none", "int8", "fp16"])
def test_text_to_text_is_verified_against_keras(recipe: str, converted: Callable[[str], StageOrder]) -> None:
    order = converted(recipe)
    result = verify.run(order, say_nothing)
    figures = {metric.name: metric.value for metric in result.metrics}
    golden = json.loads(order.output(ArtifactName.GOLDEN).read_text())["prompts"]
    assert figures["tokenizer_texts"] == 400
    assert figures["text_prompts"] > 3
    if recipe == "none":
        assert figures["text_prompts_equal_to_keras"] == sum(bool(prompt["text"]) for prompt in golden) > 0
    path = order.input(ArtifactName.MODEL)
    assert all(operator.builtin for operator in inspect(path).operators)
    info = ModelInfo.read(order.input(ArtifactName.MODEL_INFO))
    assert (info.lane, info.prompt_bytes, info.output_tokens) == ("bytes", PROMPT_BYTES, CONTEXT)


@pytest.fixture(scope="module")
def texts(converted: Callable[[str], StageOrder]) -> TextModel:
    return TextModel(converted("none").input(ArtifactName.MODEL))


def test_it_writes_what_the_tokens_signatures_write(
    texts: TextModel, converted: Callable[[str], StageOrder], reference: Tokenizer
) -> None:
    order = converted("none")
    info = ModelInfo.read(order.input(ArtifactName.MODEL_INFO))
    tokens = TokenModel(order.input(ArtifactName.MODEL))
    start = [] if info.start_token is None else [info.start_token]
    for prompt in ("", "def run(self):", f"{END} is text", "caf\u00e9 \U0001f642", "import os, sys\n" * 3):
        given = start + reference.encode(prompt).ids
        wanted = list(generate(tokens, given, CONTEXT - len(given), info.end_token))
        found = texts.complete(prompt.encode(), CONTEXT)
        assert found.prompt_tokens == tuple(given)
        assert list(found.tokens) == wanted
        assert found.text.startswith(prompt.encode())
        assert found.text[len(prompt.encode()) :].decode(errors="replace") == reference.decode(wanted)


def test_the_limit_on_new_tokens_holds(texts: TextModel) -> None:
    whole = texts.complete(b"def run", 12).tokens
    assert [len(texts.complete(b"def run", limit).tokens) for limit in (-1, 0, 1, 5)] == [0, 0, 1, 5]
    assert texts.complete(b"def run", 5).tokens == whole[:5]
    assert texts.complete(b"def run", 0).text == b"def run"


def test_broken_utf8_is_written_on(texts: TextModel) -> None:
    answer = texts.complete(b"\xff\xfe def\xc3", 4)
    assert answer.text.startswith(b"\xff\xfe def\xc3")
    assert len(answer.tokens) == 4


def test_a_seed_gives_the_same_answer_again_and_others_differ(texts: TextModel) -> None:
    def write(temperature: float, top_k: int, seed: int) -> tuple[int, ...]:
        return texts.complete(b"def run", 16, Sampling(temperature, top_k, seed)).tokens

    answers = {write(2.0, 40, seed) for seed in range(8)}
    assert len(answers) > 5
    assert write(2.0, 40, 3) == write(2.0, 40, 3)
    greedy = texts.complete(b"def run", 16).tokens
    assert write(2.0, 1, 5) == greedy
    assert write(0.0, 40, 5) == greedy


def test_prompts_that_do_not_fit_are_refused(texts: TextModel) -> None:
    with pytest.raises(SequenceTooLong, match=f"longer than the {PROMPT_BYTES}"):
        texts.complete(b"x" * (PROMPT_BYTES + 1), 1)
    with pytest.raises(SequenceTooLong, match=f"context of {CONTEXT}"):
        texts.complete("\U00020000".encode() * (PROMPT_BYTES // 4), 1)


def test_a_file_of_another_lane_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="serving_default"):
        TextModel(Path(__file__).parents[1] / "fixtures" / "gpt2_like.tflite")
    with pytest.raises(FileUnreadable, match="no file"):
        TextModel(tmp_path / "none.tflite")


def test_a_tokenizer_that_reads_otherwise_is_caught(converted: Callable[[str], StageOrder], tmp_path: Path) -> None:
    """The graph's tables are of one tokenizer, the file beside it is another."""
    order = make_order(tmp_path, StageName.VERIFY)
    source = converted("none")
    for name in (ArtifactName.MODEL, ArtifactName.REFERENCE):
        order.input(name).symlink_to(source.input(name))
    content = json.loads(source.input(ArtifactName.TOKENIZER).read_text())
    content["model"]["merges"] = content["model"]["merges"][:5]
    order.input(ArtifactName.TOKENIZER).write_text(json.dumps(content))
    info = json.loads(source.input(ArtifactName.MODEL_INFO).read_text())
    info["tokenizer_sha256"] = digests.of_file(order.input(ArtifactName.TOKENIZER))
    order.input(ArtifactName.MODEL_INFO).write_text(json.dumps(info))
    with pytest.raises(QualityMissed, match="tokenizer in the graph reads"):
        verify.run(order, say_nothing)


def test_a_model_without_a_tokenizer_of_the_kind_is_refused(reference: Tokenizer, tmp_path: Path) -> None:
    causal_lm = gpt2(reference)
    causal_lm.preprocessor = None
    (tmp_path / "inputs" / "source").mkdir(parents=True)
    causal_lm.save(tmp_path / "inputs" / "source" / "model.keras")
    order = make_order(tmp_path, StageName.CONVERT)
    with pytest.raises(UnsupportedFamily, match="lane bytes needs a byte-level BPE"):
        convert.run(order, say_nothing)
