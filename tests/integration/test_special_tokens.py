"""Special tokens that the tokenizer in the graph reads, beside the tokenizers package."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tokenizers import Tokenizer

from examples.random_gpt2 import vocabulary_of_sources
from farm.tokenizer_kinds import PreTokenizer
from pipeline.conversion import graph
from pipeline.conversion.byte_bpe import encoder, splitting
from pipeline.conversion.byte_bpe.special_tokens import read_spellings
from pipeline.conversion.byte_bpe.tables import read_tables
from pipeline.inference.mixed_texts import mixed_texts
from pipeline.tokenizers.byte_level import byte_letters
from tests.fixtures.text_modes import END, broken_texts, read_broken
from tests.fixtures.tokenizers import byte_level_bpe

CAPACITY = 160
TEXT = "text"
# Overlapping, one the beginning of another, not of ASCII, with a blank, like a contraction, and many that differ late.
SPECIALS = [
    END, "<|a|>", "<|a|><|b|>", "<|b|>", "<|a|><|b|><|c|>", "<\uff5cbegin\u2581of\uff5c>", "<think>", "</think>",
    " <x>", "'s!", "\u00e9\u00e9", "1a2", *(f"<|reserved_special_token_{number}|>" for number in range(250)),
]  # fmt: skip
PARTS = (
    *SPECIALS[:12] * 5, *SPECIALS[12:18], "<|reserved_special_token_24", "<|a|", "|><|b|>", "<|<|a|>", "<|a|><|b|><|c",
    "<\uff5cbegin\u2581", "\u00e9", "don<|b|>'t", "1<|a|>2", " <|a|> ", "  <think>\n\n", "\n</think> \n",
)  # fmt: skip


@pytest.fixture(scope="module")
def tokenizers() -> dict[PreTokenizer, Tokenizer]:
    """A tokenizer with these special tokens by split pattern."""
    bpe = vocabulary_of_sources(1500)
    vocabulary = dict(bpe.vocabulary)
    for special in SPECIALS:
        vocabulary.setdefault(special, len(vocabulary))
    return {name: byte_level_bpe(vocabulary, bpe.merges, SPECIALS, name) for name in splitting.PATTERNS}


@pytest.fixture(scope="module")
def read(tokenizers: dict[PreTokenizer, Tokenizer]) -> Iterator[Callable[[str, bytes], list[int]]]:
    """Reads bytes by the converted graph of a split pattern, and as TEXT by GPT-2's without special tokens."""
    specs = [tf.TensorSpec([CAPACITY], tf.uint8, name="text"), tf.TensorSpec([1], tf.int32, name="size")]

    def reader(name: PreTokenizer, special: bool) -> tf.function:
        content = tokenizers[name].to_str().encode()
        tables = read_tables(content, tokenizers[name].get_vocab_size())
        spellings = read_spellings(content, special=special)

        def call(text: tf.Tensor, size: tf.Tensor) -> dict[str, tf.Tensor]:
            pattern = splitting.find_pattern(name)
            tokens, count = encoder.encode(tables, pattern, tf.cast(text, tf.int32), size[0], spellings)
            return {"tokens": tokens, "count": count[None]}

        return tf.function(call, input_signature=specs, autograph=False)

    signatures = {name.value: reader(name, special=True) for name in splitting.PATTERNS}
    signatures[TEXT] = reader(PreTokenizer.GPT2, special=False)
    # Operators beyond TFLite's own would be refused here.
    interpreter = Interpreter(model_content=graph.convert_signatures(signatures))
    runners = {name: interpreter.get_signature_runner(name) for name in signatures}

    def run(name: str, content: bytes) -> list[int]:
        text = np.zeros(CAPACITY, np.uint8)
        text[: len(content)] = np.frombuffer(content, np.uint8)
        found = runners[name](text=text, size=np.array([len(content)], np.int32))
        return found["tokens"][: int(found["count"][0])].tolist()

    yield run
    del interpreter


@pytest.mark.parametrize("name", splitting.PATTERNS)
def test_they_are_read_as_the_tokenizers_package_reads_them(
    name: PreTokenizer, read: Callable[[str, bytes], list[int]], tokenizers: dict[PreTokenizer, Tokenizer]
) -> None:
    tokenizer = tokenizers[name]
    ids = {tokenizer.token_to_id(special) for special in SPECIALS}
    # How a text is split does not touch the special tokens in it: the other patterns get fewer texts.
    number = 2000 if name is PreTokenizer.GPT2 else 500
    texts = [*SPECIALS[:12], *mixed_texts(number, CAPACITY, seed=7, further=PARTS)]
    wanted = [tokenizer.encode(text).ids for text in texts]
    assert sum(bool(ids.intersection(tokens)) for tokens in wanted) > 0.4 * number
    wrong = [text for text, tokens in zip(texts, wanted, strict=True) if read(name, text.encode()) != tokens]
    assert wrong == []


def test_one_at_the_end_of_what_a_prompt_may_have_is_read_and_half_of_one_is_not(
    read: Callable[[str, bytes], list[int]], tokenizers: dict[PreTokenizer, Tokenizer]
) -> None:
    tokenizer = tokenizers[PreTokenizer.GPT2]
    for text in ("x" * (CAPACITY - len(END)) + END, "x" * (CAPACITY - 4) + END[:4], "1a2" * (CAPACITY // 3)):
        assert read(PreTokenizer.GPT2, text.encode()) == tokenizer.encode(text).ids


@pytest.mark.parametrize("name", splitting.PATTERNS)
def test_they_are_read_among_broken_utf8(
    name: PreTokenizer, read: Callable[[str, bytes], list[int]], tokenizers: dict[PreTokenizer, Tokenizer]
) -> None:
    tokenizer = tokenizers[name]
    specials: dict[str, int] = {special: tokenizer.token_to_id(special) for special in SPECIALS}
    found = 0
    for number, content in enumerate(broken_texts(100, CAPACITY - 40)):
        special = SPECIALS[number % 12].encode()
        mixed = special + content[: number % 40] + special + content[number % 40 :]
        tokens = read(name, mixed)
        assert tokens == read_broken(tokenizer, mixed, specials), mixed
        found += tokens.count(specials[special.decode()])
    assert found > 200


def test_without_being_asked_for_they_stay_text(
    read: Callable[[str, bytes], list[int]], tokenizers: dict[PreTokenizer, Tokenizer]
) -> None:
    tokenizer = tokenizers[PreTokenizer.GPT2]
    specials = {tokenizer.token_to_id(special) for special in SPECIALS}
    for text in mixed_texts(500, CAPACITY, seed=8, further=PARTS):
        tokenizer.encode_special_tokens = True
        wanted = tokenizer.encode(text).ids
        tokenizer.encode_special_tokens = False
        tokens = read(TEXT, text.encode())
        assert tokens == wanted
        assert specials.isdisjoint(tokens)


def test_a_tokenizer_without_special_tokens_has_no_spellings(tokenizers: dict[PreTokenizer, Tokenizer]) -> None:
    content = json.loads(tokenizers[PreTokenizer.GPT2].to_str())
    spellings = read_spellings(json.dumps(content).encode(), special=True)
    assert spellings is not None
    assert spellings.longest == max(len(special.encode()) for special in SPECIALS)
    assert len(set(spellings.tokens.tolist()) - {-1}) == len(SPECIALS)
    content["added_tokens"] = []
    assert read_spellings(json.dumps(content).encode(), special=True) is None


def test_bytes_that_the_vocabulary_lacks_and_ordinary_added_tokens(tokenizers: dict[PreTokenizer, Tokenizer]) -> None:
    """As in SmolLM2's vocabulary and in Qwen 3's: the neighbours of a byte that is left out may merge."""
    content = json.loads(tokenizers[PreTokenizer.GPT2].to_str())
    vocabulary = content["model"]["vocab"]
    left, right = next((a, b) for a, b in content["model"]["merges"] if len(a) == len(b) == 1 and a.isascii())
    lacking = byte_letters()[0x04]
    vocabulary["<|spare|>"] = vocabulary.pop(lacking)
    for token in content["added_tokens"]:
        token["special"] = token["content"] not in ("<think>", " <x>")
    written = json.dumps(content).encode()
    reference = Tokenizer.from_buffer(written)
    reference.encode_special_tokens = True
    tables = read_tables(written, reference.get_vocab_size())
    spellings = read_spellings(written, special=False)
    assert spellings is not None
    specs = [tf.TensorSpec([CAPACITY], tf.uint8, name="text"), tf.TensorSpec([1], tf.int32, name="size")]

    def call(text: tf.Tensor, size: tf.Tensor) -> dict[str, tf.Tensor]:
        pattern = splitting.find_pattern(PreTokenizer.GPT2)
        tokens, count = encoder.encode(tables, pattern, tf.cast(text, tf.int32), size[0], spellings)
        return {"tokens": tokens, "count": count[None]}

    function = tf.function(call, input_signature=specs, autograph=False)
    runner = Interpreter(model_content=graph.convert_signatures({"read": function})).get_signature_runner("read")
    merged = f"{left}\x04{right}"
    for text in (
        merged,
        f"<think>{merged} <x>\x04",
        "\x04",
        "a\x04\x04b<think",
        *mixed_texts(200, CAPACITY, further=[merged]),
    ):
        given, padded = text.encode(), np.zeros(CAPACITY, np.uint8)
        padded[: len(given)] = np.frombuffer(given, np.uint8)
        found = runner(text=padded, size=np.array([len(given)], np.int32))
        assert found["tokens"][: int(found["count"][0])].tolist() == reference.encode(text).ids
