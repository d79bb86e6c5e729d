"""The `bytes` mode: the tokenizer in the graph beside the tokenizers package, and the whole way from text to text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tokenizers import Tokenizer

from farm import digests
from farm.artifacts import ArtifactName
from farm.errors import (
    DescriptionMismatch,
    FarmError,
    FileUnreadable,
    QualityMissed,
    SequenceTooLong,
    UnsupportedArchitecture,
    UnsupportedFamily,
)
from farm.jobspec import IoMode, SpecialTokens
from farm.stages import StageName
from farm.tokenizer_kinds import PreTokenizer
from pipeline.conversion import graph, sampling
from pipeline.conversion.byte_bpe import detokenizer, encoder, splitting
from pipeline.conversion.byte_bpe.characters import as_int, read_characters
from pipeline.conversion.byte_bpe.tables import read_tables
from pipeline.inference.archive import open_language_model
from pipeline.inference.generation import generate
from pipeline.inference.inspection import inspect
from pipeline.inference.interpreter import open_token_model
from pipeline.inference.mixed_texts import mixed_texts
from pipeline.inference.model_info import ModelInfo
from pipeline.inference.reference import read_reference
from pipeline.inference.text_model import Sampling, TextModel
from pipeline.stages import convert, verify
from tests.fixtures.text_modes import (
    CONTEXT,
    END,
    FIRST_ROWS,
    KERAS_WARNINGS,
    PROMPT_BYTES,
    Conversions,
    broken_texts,
    gpt2,
    make_request,
    read_broken,
    reference_tokenizer,
    say_nothing,
)
from tests.fixtures.tokenizers import Splitter

CAPACITY = 160

pytestmark = KERAS_WARNINGS


@pytest.fixture(scope="module")
def reference() -> Tokenizer:
    return reference_tokenizer()


@pytest.fixture(scope="module")
def coder(reference: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A converted graph with the tokenizer alone: bytes to tokens and to bytes again."""
    tables = read_tables(reference.to_str().encode(), reference.get_vocab_size())
    specs = [tf.TensorSpec([CAPACITY], tf.uint8, name="text"), tf.TensorSpec([1], tf.int32, name="size")]

    def both_ways(text: tf.Tensor, size: tf.Tensor) -> dict[str, tf.Tensor]:
        pattern = splitting.find_pattern(PreTokenizer.GPT2)
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


def test_broken_utf8_is_read_byte_by_byte_and_comes_back(coder: Any, reference: Tokenizer) -> None:
    texts = list(broken_texts(400, CAPACITY))
    assert len(texts) > 800
    for content in texts:
        tokens, again = coder(content)
        assert again == content
        assert tokens == read_broken(reference, content), content


def test_an_unknown_pattern_is_refused() -> None:
    with pytest.raises(UnsupportedArchitecture, match="pattern other"):
        splitting.find_pattern("other")


# Where rules meet: contractions in capitals and with a long s, signs before letters and line breaks, runs of blanks,
# digits with these around, and digits of scripts that Unicode got late.
EDGES = (
    "\u017f'\u017f a'\u017fx 'ST 'rE'LLx don'T 12'34 !'s", "a!\n\n b  \n  c\t d\t\td", "!!a !a  !a \n!a",
    "1234567 12 \u0663\u0663\u0663\u0663", "\r\n\r\n x", "?\r\n\n  \n", " \u3000a \u3000!",
    "1's 2'll  3 \n4\n 5!6 !7\t8", "a1b 22  3c", "\U00011de0\U00011de9a \U00011de3 \U00016ff4\U00016ff6\U00016ff7",
)  # fmt: skip


def test_every_pattern_splits_as_the_tokenizers_package_does() -> None:
    specs = [tf.TensorSpec([CAPACITY], tf.uint8, name="text"), tf.TensorSpec([1], tf.int32, name="size")]

    def splitter(name: PreTokenizer) -> Any:
        def find(text: tf.Tensor, size: tf.Tensor) -> dict[str, tf.Tensor]:
            characters = read_characters(tf.cast(text, tf.int32), np.arange(CAPACITY) < size[0])
            return {"begins": as_int(splitting.find_pattern(name).find_beginnings(characters))}

        return tf.function(find, input_signature=specs, autograph=False)

    # GPT-2's is above, with its merges.
    names = (PreTokenizer.LLAMA3, PreTokenizer.QWEN2, PreTokenizer.SMOLLM, PreTokenizer.BLOOM)
    interpreter = Interpreter(model_content=graph.convert_signatures({name.value: splitter(name) for name in names}))
    texts = (*EDGES, *mixed_texts(1500, CAPACITY))
    for name in names:
        reference, runner = Splitter(name), interpreter.get_signature_runner(name.value)
        for text in texts:
            given, padded = text.encode(), np.zeros(CAPACITY, np.uint8)
            padded[: len(given)] = np.frombuffer(given, np.uint8)
            begins = runner(text=padded, size=np.array([len(given)], np.int32))["begins"]
            wanted = [len(text[:start].encode()) for _, (start, _) in reference.pre_tokenize_str(text)]
            assert np.flatnonzero(begins).tolist() == wanted, (name, text)


def test_the_generator_is_the_minimal_standard() -> None:
    def draw(count: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return count + 1, sampling.next_random(state)

    def goes_on(count: tf.Tensor, _state: tf.Tensor) -> tf.Tensor:
        return count < 10_000

    _, state = tf.function(lambda: tf.while_loop(goes_on, draw, [tf.constant(0), tf.constant(1)]), autograph=False)()
    # Park and Miller give this number for checking.
    assert int(state) == 1043618065
    for seed in (-(2**31), -1, 0, 1, 2**31 - 1):
        assert 0 < int(sampling.start_random(tf.constant(seed))) < sampling.MODULUS


def test_sampling_follows_the_softmax_of_the_candidates() -> None:
    logits = np.random.default_rng(5).permutation(np.arange(100, dtype=np.float32) / 10)
    asked = sampling.Sampling(tf.constant(0.5), tf.constant(3))
    state = sampling.start_random(tf.constant(7))
    states = []
    for _ in range(3000):
        states.append(int(state))
        state = sampling.MULTIPLIER * int(state) % sampling.MODULUS

    def draw(state: tf.Tensor) -> tf.Tensor:
        return sampling.choose_token(tf.constant(logits), asked, state)

    drawn = tf.function(lambda: tf.map_fn(draw, tf.constant(states, tf.int32)), autograph=False)().numpy()
    counts = [int((drawn == token).sum()) for token in np.argsort(-logits)[:3]]
    assert sum(counts) == 3000
    shares = np.exp(np.array([0, -0.1, -0.2]) / 0.5)
    np.testing.assert_allclose(np.array(counts) / 3000, shares / shares.sum(), atol=0.03)
    greedy = sampling.Sampling(tf.constant(0.0), tf.constant(3))
    assert int(sampling.choose_token(tf.constant(logits), greedy, states[0])) == int(logits.argmax())


@pytest.fixture(scope="module")
def converted(reference: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Conversions:
    return Conversions(tmp_path_factory, reference, IoMode.BYTES)


@pytest.mark.parametrize(
    ("recipe", "special_tokens", "first_rows", "cached"),
    [
        ("none", SpecialTokens.TEXT, FIRST_ROWS, 0.0),
        ("int8", SpecialTokens.TEXT, FIRST_ROWS, 0.0),
        ("int4", SpecialTokens.TEXT, FIRST_ROWS, 1.0),
        ("fp16", SpecialTokens.READ, 256, 0.0),
    ],
)
def test_text_to_text_is_verified_against_keras(
    recipe: str,
    special_tokens: SpecialTokens,
    first_rows: int,
    cached: float,
    converted: Conversions,
    reference: Tokenizer,
) -> None:
    request, conversion = converted.make(recipe, first_rows, special_tokens=special_tokens)
    assert next(metric.value for metric in conversion.metrics if metric.name == "graph_cached") == cached
    result = verify.run(request, say_nothing)
    figures = {metric.name: metric.value for metric in result.metrics}
    golden = json.loads(request.output(ArtifactName.GOLDEN).read_text())["prompts"]
    assert figures["tokenizer_texts"] == 400
    assert figures["text_prompts"] > 3
    if recipe == "none":
        assert figures["text_prompts_equal_to_keras"] == sum(bool(prompt["text"]) for prompt in golden) > 0
    path = request.input(ArtifactName.MODEL)
    assert all(operator.builtin for operator in inspect(path).operators)
    info = ModelInfo.read(request.input(ArtifactName.MODEL_INFO))
    assert (info.io_mode, info.prompt_bytes, info.output_tokens) == ("bytes", PROMPT_BYTES, CONTEXT)
    assert info.special_tokens == special_tokens
    read = list(TextModel(path).complete(f"{END}def".encode(), 1).prompt_tokens)
    start = [] if info.start_token is None else [info.start_token]
    assert (read == [*start, info.end_token, *reference.encode("def").ids]) == (special_tokens is SpecialTokens.READ)
    # The program beside the file reads a prompt as the file does.
    assert open_language_model(path).prompt_tokens(f"{END}def") == read


@pytest.fixture(scope="module")
def texts(converted: Conversions) -> TextModel:
    return TextModel(converted.make("none", special_tokens=SpecialTokens.TEXT)[0].input(ArtifactName.MODEL))


def test_it_writes_what_the_tokens_signatures_write(
    texts: TextModel, converted: Conversions, reference: Tokenizer
) -> None:
    request, _ = converted.make("none", special_tokens=SpecialTokens.TEXT)
    info = ModelInfo.read(request.input(ArtifactName.MODEL_INFO))
    tokens = open_token_model(request.input(ArtifactName.MODEL))
    start = [] if info.start_token is None else [info.start_token]
    for prompt in ("", "def run(self):", f"{END} is text", "caf\u00e9 \U0001f642", "import os, sys\n" * 3):
        given = start + reference.encode(prompt).ids
        wanted = list(generate(tokens, given, CONTEXT - len(given), info.stop_tokens))
        found = texts.complete(prompt.encode(), CONTEXT)
        assert found.prompt_tokens == tuple(given)
        assert list(found.tokens) == wanted
        assert found.text.startswith(prompt.encode())
        assert found.text[len(prompt.encode()) :].decode(errors="replace") == reference.decode(wanted)


def test_the_caches_are_as_long_as_the_text_asks_for(converted: Conversions) -> None:
    path = converted.make("none", special_tokens=SpecialTokens.TEXT)[0].input(ArtifactName.MODEL)
    interpreter = Interpreter(str(path))
    write = interpreter.get_signature_runner("serving_default")
    sampling = {"temperature": np.zeros(1, np.float32), "top_k": np.zeros(1, np.int32), "seed": np.ones(1, np.int32)}
    prompt = np.frombuffer(b"def".ljust(PROMPT_BYTES), np.uint8)[None]
    for limit, rows in ((4, 12), (28, 24), (CONTEXT, 48), (4, 12)):
        length, most = np.array([3], np.int32), np.array([limit], np.int32)
        found = write(prompt=prompt, prompt_length=length, max_new_tokens=most, **sampling)
        assert int(found["new_tokens"][0]) == min(limit, CONTEXT - int(found["prompt_tokens"][0]))
        assert longest_cache(interpreter) == rows


def longest_cache(interpreter: Interpreter) -> int:
    """The rows of the largest cache [1, 2 heads, rows, 16] in any loop of the last run."""
    details = (interpreter.get_tensor_details(subgraph_index=index) for index in range(interpreter.num_subgraphs()))
    shapes = [tuple(tensor["shape"]) for graph in details for tensor in graph]
    return max(int(shape[2]) for shape in shapes if len(shape) == 4 and (shape[1], shape[3]) == (2, 16))


def test_the_limit_on_new_tokens_holds(texts: TextModel) -> None:
    repeated = b"import os\n" * 4  # what is drafted may not get past the limit
    whole = texts.complete(repeated, 12).tokens
    assert all(texts.complete(repeated, limit).tokens == whole[:limit] for limit in range(12))
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


def test_a_file_of_another_io_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="serving_default"):
        TextModel(Path(__file__).parents[1] / "fixtures" / "gpt2_like.tflite")
    with pytest.raises(FileUnreadable, match="no file"):
        TextModel(tmp_path / "none.tflite")


@pytest.mark.parametrize(
    ("spared", "error", "sentence"),
    [
        (False, DescriptionMismatch, "written tokenizer reads the prompt"),
        # The prompts read the same, and only the texts that both tokenizers are given tell them apart.
        (True, QualityMissed, "tokenizer in the graph reads"),
    ],
)
def test_a_tokenizer_that_reads_otherwise_is_caught(
    converted: Conversions, tmp_path: Path, spared: bool, error: type[FarmError], sentence: str
) -> None:
    """The graph's tables are of one tokenizer, the file beside it is another."""
    request = make_request(tmp_path, StageName.VERIFY)
    source, _ = converted.make("none", special_tokens=SpecialTokens.TEXT)
    for name in (ArtifactName.MODEL, ArtifactName.REFERENCE):
        request.input(name).symlink_to(source.input(name))
    content = json.loads(source.input(ArtifactName.TOKENIZER).read_text())
    prompts = read_reference(source.input(ArtifactName.REFERENCE)).prompts
    said = " ".join(prompt.text or "" for prompt in prompts) if spared else ""
    merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in content["model"]["merges"]]
    kept = [pair for pair in merges if "".join(pair).translate({0x120: " ", 0x10A: "\n"}) in said]
    assert len(kept) < len(merges)
    content["model"]["merges"] = kept
    request.input(ArtifactName.TOKENIZER).write_text(json.dumps(content))
    info = json.loads(source.input(ArtifactName.MODEL_INFO).read_text())
    info["tokenizer_sha256"] = digests.of_file(request.input(ArtifactName.TOKENIZER))
    request.input(ArtifactName.MODEL_INFO).write_text(json.dumps(info))
    with pytest.raises(error, match=sentence):
        verify.run(request, say_nothing)


def test_a_model_without_a_tokenizer_of_the_kind_is_refused(reference: Tokenizer, tmp_path: Path) -> None:
    causal_lm = gpt2(reference)
    causal_lm.preprocessor = None
    (tmp_path / "inputs" / "source").mkdir(parents=True)
    causal_lm.save(tmp_path / "inputs" / "source" / "model.keras")
    request = make_request(tmp_path, StageName.CONVERT)
    with pytest.raises(UnsupportedFamily, match="not in the farm's table"):
        convert.run(request, say_nothing)
