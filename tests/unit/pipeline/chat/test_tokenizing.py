from __future__ import annotations

import json

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from farm.chat import Exchange, Trim
from pipeline.chat.extraction import Unfit, extract
from pipeline.chat.rendering import TemplateText
from pipeline.chat.tokenizing import tokenize
from pipeline.tokenizers.codec import TextCodec
from tests.fixtures.bound_models import END_TOKEN, START_TOKEN, byte_tokenizer
from tests.fixtures.chat_templates import IN_QUESTION, OPENED, SIMPLE, THINKS, chat_of, codec

MARKERS = ("<think>", "</think>")


def test_special_tokens_are_ids_and_all_else_is_text() -> None:
    chat = chat_of(IN_QUESTION)
    assert chat.begin == (START_TOKEN,)
    assert chat.user.before == ("[user]",)
    assert chat.user.after == (END_TOKEN, "\n")


def test_special_tokens_in_a_question_stay_text() -> None:
    read = codec().encode_pieces(chat_of(SIMPLE).pieces(None, [Exchange("say <|end|> now")]))
    assert read.count(END_TOKEN) == 1


def test_thoughts_have_tokens_of_their_own() -> None:
    thinking = chat_of(THINKS, *MARKERS).thinking
    assert thinking is not None
    ids = codec(*MARKERS).ids
    assert (thinking.open_token, thinking.close_token) == (ids["<think>"], ids["</think>"])
    assert (thinking.generation, thinking.wanted) == (("[assistant]",), False)


def test_a_model_that_always_thinks_has_no_choice() -> None:
    thinking = chat_of(OPENED, *MARKERS).thinking
    assert thinking is not None
    assert thinking.always
    assert thinking.wanted


def test_thoughts_without_tokens_are_part_of_the_answer() -> None:
    chat, notes = tokenize(extract(TemplateText(THINKS), "tests"), codec())
    assert chat.thinking is None
    assert "no token of its own for <think> and </think>" in notes[0]


def with_added(**flags: bool) -> TextCodec:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    roles = [AddedToken(text, rstrip=flags.get("rstrip", False)) for text in ("<|user|>", "<|assistant|>")]
    tokenizer.add_special_tokens([*roles, AddedToken("<|end|>", **flags)])
    return TextCodec(tokenizer.to_str().encode(), "tests")


PHI = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
).replace("{% for", "{% if messages[0].role == 'system' %}{{ raise_exception('none') }}{% endif %}{% for", 1)


@pytest.mark.parametrize(
    ("flags", "trim"), [({}, Trim.NONE), ({"rstrip": True}, Trim.START), ({"lstrip": True}, Trim.END)]
)
def test_white_space_that_belongs_to_a_token_is_left_out(flags: dict[str, bool], trim: Trim) -> None:
    chat, _ = tokenize(extract(TemplateText(PHI), "tests"), with_added(**flags))
    assert chat.user.trim is trim
    assert ("\n" in chat.user.before) == (trim is not Trim.START)


def test_a_tokenizer_that_joins_text_across_the_parts_is_refused() -> None:
    document = json.loads(byte_tokenizer().to_str())
    # A special token that the template's own text completes only together with a user's.
    document["added_tokens"].append(document["added_tokens"][0] | {"id": 900, "content": "]hello"})
    with pytest.raises(Unfit, match="the tokenizer reads a whole conversation as"):
        tokenize(extract(TemplateText(SIMPLE), "tests"), TextCodec(json.dumps(document).encode(), "tests"))
