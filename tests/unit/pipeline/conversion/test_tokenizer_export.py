from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from farm.errors import ModelDamaged
from farm.jobspec import IoMode
from farm.prompting import Prompting
from pipeline.conversion.description import Activation, DecoderDescription, Layer, Norm
from pipeline.conversion.reference_plan import FORCED_TOKENS, plan_reference
from pipeline.conversion.tokenizer import (
    BYTE_LEVEL_BPE,
    PreTokenizer,
    TokenizerExport,
    byte_level_bpe,
    export_tokenizer,
)

END = "<|endoftext|>"
LETTERS = sorted(ByteLevel.alphabet())
MERGES = ["#version: 0.2", "t h", "th e", "Ġ the", "1 2"]
VOCABULARY = {token: index for index, token in enumerate([*LETTERS, "th", "the", "Ġthe", "12", END])}


class BytePairTokenizer:
    """Stands in for KerasHub's, which is known by this name."""

    def __init__(self, **changes: object) -> None:
        self.vocabulary = VOCABULARY
        self.merges = MERGES
        self.special_tokens = [END]
        self.start_token_id = self.end_token_id = VOCABULARY[END]
        self.add_prefix_space = False
        vars(self).update(changes)

    def vocabulary_size(self) -> int:
        return len(self.vocabulary)


class GPT2Tokenizer(BytePairTokenizer):
    """A family's own."""


class LlamaTokenizer:
    """A SentencePiece tokenizer."""

    start_token_id, end_token_id = 1, 2

    def vocabulary_size(self) -> int:
        return 32000


def export(tokenizer: object, add_start_token: bool = True) -> TokenizerExport:
    return export_tokenizer(SimpleNamespace(tokenizer=tokenizer, add_start_token=add_start_token), "Test")


def test_gpt2_becomes_a_tokenizer_of_the_tokenizers_package() -> None:
    made = export(GPT2Tokenizer())
    assert made.kind == BYTE_LEVEL_BPE
    assert made.reason is None
    read = Tokenizer.from_str(made.content.decode())
    assert read.encode("the the 12").tokens == ["the", "Ġthe", "Ġ", "12"]
    assert read.decode(read.encode("naïve\n\n  日本 12's").ids) == "naïve\n\n  日本 12's"


def test_splitting_is_gpt2s() -> None:
    """Digits and letters apart, a run of spaces leaves one to the next word, newlines stay whitespace."""
    pieces = byte_level_bpe(VOCABULARY, MERGES, [END]).pre_tokenizer.pre_tokenize_str("a1234  the\n\nx's")
    assert [piece for piece, _ in pieces] == ["a", "1234", "Ġ", "Ġthe", "Ċ", "Ċ", "x", "'s"]


def test_a_models_own_files_say_how_it_splits() -> None:
    """SmolLM takes digits one by one, and not the blank before them."""
    preprocessor = SimpleNamespace(tokenizer=GPT2Tokenizer(), add_start_token=False)
    made = export_tokenizer(preprocessor, "Llama3", PreTokenizer.SMOLLM)
    assert (made.split, made.kind) == (PreTokenizer.SMOLLM, None)
    assert made.tokenizer is not None
    assert made.tokenizer.encode("the 12  the").tokens == ["the", "Ġ", "1", "2", "Ġ", "Ġthe"]


def test_special_tokens_stay_whole() -> None:
    made = export(GPT2Tokenizer())
    assert made.tokenizer is not None
    assert made.tokenizer.encode(f"the{END}the").ids == [VOCABULARY["the"], VOCABULARY[END], VOCABULARY["the"]]


def test_the_start_token_comes_first_where_the_preprocessor_adds_one() -> None:
    assert export(GPT2Tokenizer()).encode("the") == [VOCABULARY[END], VOCABULARY["the"]]
    assert export(GPT2Tokenizer(), add_start_token=False).encode("the") == [VOCABULARY["the"]]


def test_the_same_tokenizer_gives_the_same_bytes() -> None:
    turned = dict(reversed(list(VOCABULARY.items())))
    assert export(GPT2Tokenizer()).content == export(GPT2Tokenizer(vocabulary=turned)).content


@pytest.mark.parametrize("tokenizer", [BytePairTokenizer(), GPT2Tokenizer(add_prefix_space=True)])
def test_other_byte_pair_tokenizers_are_written_but_not_for_the_app(tokenizer: object) -> None:
    made = export(tokenizer)
    assert made.kind is None
    assert made.reason is not None
    assert "no tokenizer for the family Test" in made.reason
    assert made.tokenizer is not None
    # The `strings` mode has the tokenizer in its graph.
    assert (made.why_no_app(IoMode.BYTES), made.why_no_app(IoMode.STRINGS)) == (made.reason, None)


def test_a_tokenizer_of_another_kind_is_named() -> None:
    made = export(LlamaTokenizer())
    assert made.kind is None
    assert json.loads(made.content)["keras_tokenizer"] == {"class": "LlamaTokenizer", "vocabulary_size": 32000}
    assert (made.start_token, made.end_token) == (1, 2)


def test_a_model_without_tokenizer_says_so() -> None:
    made = export_tokenizer(None, "GPT2")
    assert made.kind is None
    assert made.end_token is None
    assert made.reason is not None
    assert "without a tokenizer" in made.reason


def test_merges_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelDamaged, match="do not fit its vocabulary"):
        byte_level_bpe(VOCABULARY, ["q z"], [END])


def test_a_plan_fits_into_the_context() -> None:
    description = DecoderDescription(
        vocabulary_size=len(VOCABULARY),
        hidden_size=4,
        intermediate_size=8,
        query_heads=1,
        key_value_heads=1,
        head_size=4,
        layers=(Layer(),),
        norm=Norm.RMS,
        norm_epsilon=1e-5,
        final_norm_epsilon=1e-5,
        activation=Activation.SILU,
        query_scale=0.5,
    )
    for made in (export(GPT2Tokenizer()), export(LlamaTokenizer()), export_tokenizer(None, "GPT2")):
        for context in (16, 64, 1024):
            plan = plan_reference(description, context, made, Prompting(), made.encode)
            assert len(plan.prompts) == 4
            assert all(0 < len(p.tokens) <= context - plan.greedy_tokens for p in plan.prompts)
            assert len(plan.probe_tokens) == min(FORCED_TOKENS, context)
            assert 2 <= len(plan.held_out_tokens) <= context
            assert plan.passes >= 3
            assert plan.probe_tokens.max() < len(VOCABULARY)
            with_text = [p for p in plan.prompts if p.text]
            assert bool(with_text) == (made.tokenizer is not None and context > 16)
            assert all(tuple(made.encode(p.text)) == p.tokens for p in with_text)
