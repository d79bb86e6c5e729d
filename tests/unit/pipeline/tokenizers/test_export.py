from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from farm.errors import EvaluationUnusable, ModelDamaged
from farm.jobspec import IoMode
from farm.prompting import Mode, Prompting
from farm.tokenizer_kinds import ABILITIES, Feature, PreTokenizer, Reader
from pipeline.conversion.reference_plan import FORCED_TOKENS, plan_reference
from pipeline.tokenizers.export import TokenizerExport, export_tokenizer
from tests.fixtures.decoders import TINY

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


class GPT2Tokenizer(BytePairTokenizer):
    """A family's own."""


class RwkvTokenizer:
    """A tokenizer of a kind of its own."""

    start_token_id, end_token_id = 1, 2


class Llama3Tokenizer(BytePairTokenizer):
    """A family with two end tokens."""

    end_token2_id = VOCABULARY["the"]


def export(tokenizer: object, add_start_token: bool = True, **given: Any) -> TokenizerExport:
    return export_tokenizer(SimpleNamespace(tokenizer=tokenizer, add_start_token=add_start_token), "Test", **given)


def tokens(made: TokenizerExport, text: str) -> list[str]:
    assert made.tokenizer is not None
    return Tokenizer.from_str(made.content.decode()).encode(text).tokens


def test_gpt2_becomes_a_tokenizer_of_the_tokenizers_package() -> None:
    made = export(GPT2Tokenizer())
    assert (made.kind, made.reason, made.split) == ("byte-level-bpe", None, PreTokenizer.GPT2)
    assert tokens(made, "the the 12") == ["the", "Ġthe", "Ġ", "12"]
    assert made.tokenizer is not None
    text = "naïve\n\n  日本 12's"
    assert made.tokenizer.decode(made.tokenizer.encode(text)) == text


def test_tokens_that_were_added_are_not_split() -> None:
    """KerasHub calls them unsplittable; its own special tokens are only the family's."""
    vocabulary = VOCABULARY | {"<|user|>": len(VOCABULARY)}
    made = export(GPT2Tokenizer(vocabulary=vocabulary, unsplittable_tokens=[END, "<|user|>"]))
    assert made.encode("<|user|>the") == [VOCABULARY[END], vocabulary["<|user|>"], VOCABULARY["the"]]


def test_special_tokens_stay_whole_unless_read_as_text() -> None:
    made = export(GPT2Tokenizer(), add_start_token=False)
    assert made.encode(f"the{END}the") == [VOCABULARY["the"], VOCABULARY[END], VOCABULARY["the"]]
    assert VOCABULARY[END] not in made.encode_literally(f"the{END}the")


def test_the_start_token_comes_first_where_the_preprocessor_adds_one() -> None:
    assert export(GPT2Tokenizer()).encode("the") == [VOCABULARY[END], VOCABULARY["the"]]
    assert export(GPT2Tokenizer(), add_start_token=False).encode("the") == [VOCABULARY["the"]]


def test_an_answer_stops_where_keras_stops() -> None:
    made = export(Llama3Tokenizer())
    assert made.stop_tokens == (VOCABULARY["the"], VOCABULARY[END])
    assert made.end_token == VOCABULARY[END]


def test_an_answer_stops_at_the_end_of_a_turn() -> None:
    vocabulary = VOCABULARY | {"<|end|>": len(VOCABULARY)}
    keras = GPT2Tokenizer(vocabulary=vocabulary, unsplittable_tokens=[END, "<|end|>"])
    template = Prompting(mode=Mode.INSTRUCT, prompt_template="Q: {prompt}<|end|>\nA:")
    assert export(keras, prompting=template).stop_tokens == (VOCABULARY[END], vocabulary["<|end|>"])
    plain = Prompting(mode=Mode.INSTRUCT, prompt_template="Q: {prompt} A:<|end|>")
    assert export(keras, prompting=plain).stop_tokens == (VOCABULARY[END],)


def test_a_model_without_an_end_is_refused() -> None:
    with pytest.raises(ModelDamaged, match="names a token that ends a text"):
        export(GPT2Tokenizer(end_token_id=None))


def test_a_vocabulary_beyond_the_model_is_refused_with_both_numbers() -> None:
    last = VOCABULARY[END]
    with pytest.raises(ModelDamaged, match=f"the token {last}, but the model only {last} tokens"):
        export(GPT2Tokenizer(), tokens=last)


def test_two_tokens_with_one_id_are_refused() -> None:
    twice = VOCABULARY | {"<|user|>": VOCABULARY[END]}
    with pytest.raises(ModelDamaged, match="the same id"):
        export(GPT2Tokenizer(vocabulary=twice))


def test_the_same_tokenizer_gives_the_same_bytes() -> None:
    turned = dict(reversed(list(VOCABULARY.items())))
    assert export(GPT2Tokenizer()).content == export(GPT2Tokenizer(vocabulary=turned)).content


def test_what_the_app_lacks_is_named_and_still_read_in_python() -> None:
    made = export(GPT2Tokenizer(add_prefix_space=True))
    assert tokens(made, "the") == ["Ġthe"]
    assert made.missing(Reader.PYTHON) is None
    if Reader.APP not in ABILITIES[Feature.PREFIX_SPACE]:
        assert made.kind is None
        assert made.reason is not None
        assert "add_prefix_space" in made.reason
        # The `strings` mode has the tokenizer in its graph.
        assert (made.why_no_app(IoMode.BYTES), made.why_no_app(IoMode.STRINGS)) == (made.reason, None)


@pytest.mark.parametrize(("tokenizer", "named"), [(BytePairTokenizer(), "BytePair"), (RwkvTokenizer(), "Rwkv")])
def test_a_class_that_is_not_in_the_table_is_named_and_never_given_a_default(tokenizer: object, named: str) -> None:
    made = export(tokenizer)
    assert (made.kind, made.tokenizer) == (None, None)
    assert made.reason is not None
    assert named in made.reason
    assert made.end_token in made.stop_tokens


def test_a_model_without_tokenizer_says_so() -> None:
    made = export_tokenizer(None, "GPT2")
    assert (made.kind, made.end_token, made.stop_tokens) == (None, None, ())
    assert made.reason is not None
    assert "without a tokenizer" in made.reason


def test_merges_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelDamaged, match="do not fit its vocabulary"):
        export(GPT2Tokenizer(merges=["q z"]))
    with pytest.raises(ModelDamaged, match="no pair"):
        export(GPT2Tokenizer(merges=["q z x"]))


DESCRIPTION = replace(TINY, vocabulary_size=len(VOCABULARY))


def test_a_plan_fits_into_the_context() -> None:
    for made in (export(GPT2Tokenizer()), export(RwkvTokenizer()), export_tokenizer(None, "GPT2")):
        for context in (16, 64, 1024):
            plan = plan_reference(DESCRIPTION, context, made, Prompting(), made.encode)
            assert len(plan.prompts) == 4
            assert all(0 < len(p.tokens) <= context - plan.greedy_tokens for p in plan.prompts)
            assert len(plan.probe_tokens) == min(FORCED_TOKENS, context)
            assert plan.texts
            assert all(2 <= len(tokens) <= context for tokens in plan.texts)
            assert plan.passes >= 3
            assert plan.probe_tokens.max() < len(VOCABULARY)
            with_text = [p for p in plan.prompts if p.text]
            assert bool(with_text) == (made.tokenizer is not None and context > 16)
            assert all(tuple(made.encode(p.text)) == p.tokens for p in with_text)


def test_a_text_of_the_users_own_takes_the_place_of_the_farms() -> None:
    made = export(GPT2Tokenizer())
    own = "the 12 the " * 80
    plan = plan_reference(DESCRIPTION, 64, made, Prompting(), made.encode, own)
    read = [token for window in plan.texts for token in window.tolist()[1:]]
    assert read == made.encode(own)[1:]
    assert all(window[0] == VOCABULARY[END] and len(window) <= 64 for window in plan.texts)
    template = Prompting(mode=Mode.INSTRUCT, prompt_template="Q: {prompt}\nA:")
    chat = plan_reference(DESCRIPTION, 1024, made, template, made.encode, own)
    assert chat.answer_end == len(chat.texts[0]) - 1, "the model's own form is measured all the same"


@pytest.mark.parametrize("made", [export(GPT2Tokenizer()), export(RwkvTokenizer())])
def test_a_text_that_the_model_does_not_read_is_refused(made: TokenizerExport) -> None:
    with pytest.raises(EvaluationUnusable, match="32 are needed"):
        plan_reference(DESCRIPTION, 64, made, Prompting(), made.encode, "the the the")
