from __future__ import annotations

from typing import Any

import pytest

from farm.tokenizer_kinds import PreTokenizer
from pipeline.tokenizers import byte_level
from pipeline.tokenizers.byte_level import EXPRESSIONS, find_split
from tests.fixtures.tokenizers import Splitter

DIGITS = {"type": "Digits", "individual_digits": True}
GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BYTES = GPT2 | {"use_regex": False}
PUNCTUATION = {"type": "Punctuation", "behavior": "Contiguous"}
HUNDREDS = {"type": "Split", "pattern": {"Regex": "[0-9][0-9][0-9]"}, "behavior": "Isolated", "invert": False}
BLOOM_WITHIN = r" ?[^(\s|.,!?…。，、।۔،)]+"
BLOOM = {
    "type": "Split",
    "pattern": {"Regex": EXPRESSIONS[PreTokenizer.BLOOM]},
    "behavior": "Isolated",
    "invert": False,
}
LLAMA3 = {
    "type": "Split",
    "pattern": {"Regex": EXPRESSIONS[PreTokenizer.LLAMA3]},
    "behavior": "Isolated",
    "invert": False,
}


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


@pytest.mark.parametrize(
    ("stated", "split"),
    [
        (GPT2, PreTokenizer.GPT2),
        (GPT2 | {"trim_offsets": False}, PreTokenizer.GPT2),
        (sequence(LLAMA3, BYTES), PreTokenizer.LLAMA3),
        (sequence(LLAMA3 | {"behavior": "Removed", "invert": True}, BYTES), PreTokenizer.LLAMA3),
        (sequence(LLAMA3 | {"pattern": {"Regex": EXPRESSIONS[PreTokenizer.QWEN2]}}, BYTES), PreTokenizer.QWEN2),
        (sequence(DIGITS, GPT2), PreTokenizer.SMOLLM),
        (sequence(PUNCTUATION, GPT2, DIGITS | {"individual_digits": False}, HUNDREDS), PreTokenizer.FALCON),
        (sequence(BLOOM, BYTES), PreTokenizer.BLOOM),
        (sequence(BLOOM | {"pattern": {"Regex": BLOOM_WITHIN}}, BYTES), PreTokenizer.BLOOM),
        (sequence(BLOOM | {"behavior": "Removed", "invert": True}, BYTES), None),
        (sequence(DIGITS | {"individual_digits": False}, GPT2), None),
        (sequence(DIGITS, GPT2 | {"add_prefix_space": True}), None),
        (sequence(LLAMA3 | {"behavior": "Removed"}, BYTES), None),
        (sequence(LLAMA3 | {"pattern": {"String": "a"}}, BYTES), None),
        (sequence({"type": "Metaspace"}), None),
        (None, None),
        ("ByteLevel", None),
    ],
)
def test_patterns_are_known_by_what_they_do(stated: Any, split: PreTokenizer | None) -> None:
    assert find_split(stated) == (None if split is None else (split, False))


def test_a_blank_in_front_is_known_of_gpt2s_pattern_alone() -> None:
    assert find_split(GPT2 | {"add_prefix_space": True}) == (PreTokenizer.GPT2, True)


@pytest.mark.parametrize("split", PreTokenizer)
def test_every_way_is_found_as_it_is_written(split: PreTokenizer) -> None:
    assert find_split(byte_level.write_pre_tokenizer(split)) == (split, False)


@pytest.mark.parametrize(
    ("split", "pieces"),
    [
        (PreTokenizer.GPT2, ["a", "1234", ",", "Ġb", "Ġ", "ĠC", "."]),
        (PreTokenizer.LLAMA3, ["a", "123", "4", ",", "Ġb", "Ġ", "ĠC", "."]),
        (PreTokenizer.QWEN2, ["a", "1", "2", "3", "4", ",", "Ġb", "Ġ", "ĠC", "."]),
        (PreTokenizer.SMOLLM, ["a", "1", "2", "3", "4", ",", "Ġb", "Ġ", "ĠC", "."]),
        (PreTokenizer.BLOOM, ["a1234", ",", "Ġb", "Ġ", "ĠC", "."]),
        (PreTokenizer.FALCON, ["a", "123", "4", ",", "Ġb", "Ġ", "ĠC", "."]),
        (PreTokenizer.TEKKEN, ["a", "1", "2", "3", "4", ",", "Ġb", "Ġ", "ĠC", "."]),
        (PreTokenizer.O200K, ["a", "123", "4", ",", "Ġb", "Ġ", "ĠC", "."]),
        (PreTokenizer.DEEPSEEK, ["a", "123", "4", ",", "Ġb", "Ġ", "ĠC", "."]),
    ],
)
def test_texts_are_split(split: PreTokenizer, pieces: list[str]) -> None:
    assert [piece for piece, _ in Splitter(split).pre_tokenize_str("a1234, b  C.")] == pieces


def test_falcons_first_checkpoint_splits_as_gpt2() -> None:
    assert byte_level.split_of("FalconTokenizer", {"<|endoftext|>": 11}) is PreTokenizer.FALCON
    assert byte_level.split_of("FalconTokenizer", {"<|endoftext|>": 50256}) is PreTokenizer.GPT2
    assert byte_level.split_of("BloomTokenizer", {}) is PreTokenizer.BLOOM
    assert byte_level.split_of("OwnTokenizer", {}) is None


def test_tokens_print_as_their_bytes() -> None:
    assert byte_level.print_token("ĠÃ©") == " é".encode()
    # A letter that stands for no byte: the token is its own text.
    assert byte_level.print_token("你好") == "你好".encode()
    assert byte_level.print_token("Ġété raw▁") == "Ġété raw▁".encode()
