from __future__ import annotations

import pytest

from farm.chat import Chat, Thinking, Turn
from pipeline.inference.answer_parts import AnswerParts, Part
from tests.fixtures.chat_templates import codec

CODEC = codec("<think>", "</think>")
OPEN, CLOSE = CODEC.ids["<think>"], CODEC.ids["</think>"]


Said = tuple[str, str]


def thoughts(*, opened: bool = False, always: bool = False) -> Thinking:
    return Thinking(generation=("a:",), open_token=OPEN, close_token=CLOSE, opened=opened, always=always)


def said(parts: list[Part]) -> Said:
    """Thoughts and answer."""
    thought, answer = ("".join(part.text for part in parts if part.thought is kind) for kind in (True, False))
    return thought, answer


def read(
    text: str, *, thinking: Thinking | None = None, strips: bool = False, stops: tuple[str, ...] = ()
) -> tuple[str, str]:
    return said(list(AnswerParts(CODEC, thoughts=thinking, strips=strips, stops=stops).write(CODEC.encode(text))))


def test_an_answer_is_shown_as_it_is() -> None:
    assert read(" hello\n") == ("", " hello\n")
    assert read(" \n hello\n", strips=True) == ("", "hello\n")


def test_thoughts_are_apart() -> None:
    text = "\n<think>\nhm, hm\n</think>\n\n Yes.\n\nNo."
    assert read(text, thinking=thoughts()) == ("hm, hm\n", " Yes.\n\nNo.")
    assert read("hm</think>\nYes.", thinking=thoughts(opened=True)) == ("hm", "Yes.")


def test_an_answer_that_begins_without_a_thought_has_none() -> None:
    assert read("Yes, <think> no", thinking=thoughts()) == ("", "Yes, <think> no")


def test_an_answer_that_was_stopped_in_a_thought_is_empty() -> None:
    assert read("<think>hm", thinking=thoughts()) == ("hm", "")


def test_characters_are_shown_once_they_are_whole() -> None:
    parts = list(AnswerParts(CODEC).write(CODEC.encode("é日")))
    assert [part.text for part in parts] == ["é", "日"]
    assert read("é日"[:1]) == ("", "é")
    assert said(list(AnswerParts(CODEC).write(CODEC.encode("é")[:1]))) == ("", "\ufffd")


@pytest.mark.parametrize(
    ("text", "stops", "shown"),
    [
        ("one. two. three", ("two",), "one. "),
        ("one. tw", ("two",), "one. tw"),
        ("aab", ("ab",), "a"),
        ("aaab", ("aab", "b"), "a"),
        ("one", ("",), "one"),
    ],
)
def test_a_text_that_ends_the_answer_is_not_shown(text: str, stops: tuple[str, ...], shown: str) -> None:
    assert read(text, stops=stops) == ("", shown)
    parts = AnswerParts(CODEC, stops=stops)
    list(parts.write(CODEC.encode(text)))
    assert parts.stopped == any(stop and stop in text for stop in stops)


def test_a_stopped_answer_takes_no_further_token() -> None:
    taken: list[int] = []
    tokens = CODEC.encode("one. two. three")
    list(AnswerParts(CODEC, stops=("two",)).write(taken.append(token) or token for token in tokens))
    assert len(taken) < len(tokens)


@pytest.mark.parametrize(("thinking", "always", "parts"), [(False, False, 1), (True, False, 2), (False, True, 2)])
def test_a_chat_says_whether_there_are_thoughts(thinking: bool, always: bool, parts: int) -> None:
    chat = Chat(user=Turn(), assistant=Turn(), generation=("a:\n",), thinking=thoughts(always=always), source="tests")
    found = list(
        AnswerParts.of_chat(chat, CODEC, thinking=thinking).write([OPEN, *CODEC.encode("h"), CLOSE, *CODEC.encode("Y")])
    )
    assert len({part.thought for part in found}) == parts


def test_a_blank_behind_the_prompt_is_not_shown_twice() -> None:
    chat = Chat(user=Turn(), assistant=Turn(), generation=("a:\n",), source="tests")
    assert said(list(AnswerParts.of_chat(chat, CODEC, thinking=False).write(CODEC.encode(" Y")))) == ("", "Y")
    bare = chat.model_copy(update={"generation": ("a:",)})
    assert said(list(AnswerParts.of_chat(bare, CODEC, thinking=False).write(CODEC.encode(" Y")))) == ("", " Y")
