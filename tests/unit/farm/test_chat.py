from __future__ import annotations

import pytest
from pydantic import ValidationError

from farm.chat import Chat, Exchange, SystemPlace, SystemTurn, Thinking, Trim, Turn, join_pieces

USER, ASSISTANT = Turn(before=(1, "u:"), after=(2,)), Turn(before=(1, "a:"), after=(2, "\n"), trim=Trim.BOTH)
CHAT = Chat(
    begin=(9,), no_system=("kind",), user=USER, assistant=ASSISTANT, generation=(1, "a:"), source="tests",
    system=SystemTurn(before=(1, "s:"), after=(2,)),
)  # fmt: skip
TWO = [Exchange("q", " one "), Exchange("r")]


def test_a_conversation_is_its_turns_and_what_asks_for_an_answer() -> None:
    assert CHAT.pieces(None, TWO) == (
        9, "kind", 1, "u:", "q", 2, 1, "a:", "one", 2, "\n", 1, "u:", "r", 2, 1, "a:",
    )  # fmt: skip


def test_an_answered_conversation_asks_for_nothing() -> None:
    assert CHAT.pieces(None, TWO[:1])[-1] == "\n"


@pytest.mark.parametrize("blank", [None, "", " \n"])
def test_a_blank_system_text_is_none(blank: str | None) -> None:
    assert CHAT.pieces(blank, TWO)[1] == "kind"


def test_a_system_text_replaces_the_default() -> None:
    assert CHAT.pieces("brief", TWO)[:5] == (9, 1, "s:", "brief", 2)


def test_a_system_text_before_the_first_question_changes_that_ones_trim_alone() -> None:
    system = SystemTurn(after=("\n\n",), place=SystemPlace.QUESTION, question_trim=Trim.END)
    chat = CHAT.model_copy(update={"system": system, "user": Turn(before=("u:",), trim=Trim.BOTH)})
    first = chat.pieces("brief", [Exchange(" q ", "a"), Exchange(" r ")])
    assert first[1:5] == ("u:", "brief", "\n\n", " q")
    assert "r" in first


def test_a_model_that_takes_no_system_text_is_given_none() -> None:
    assert CHAT.model_copy(update={"system": None}).pieces("brief", TWO) == CHAT.pieces(None, TWO)


@pytest.mark.parametrize(
    ("always", "thinking", "asks"), [(False, False, "a:"), (False, True, "t:"), (True, False, "t:")]
)
def test_thinking_changes_what_asks_for_an_answer(always: bool, thinking: bool, asks: str) -> None:
    thoughts = Thinking(generation=(1, "t:"), open_token=5, close_token=6, always=always)
    assert CHAT.model_copy(update={"thinking": thoughts}).pieces(None, TWO, thinking=thinking)[-1] == asks


@pytest.mark.parametrize(
    ("trim", "expected"),
    [(Trim.NONE, " \x1c\u0085x\n "), (Trim.START, "x\n "), (Trim.END, " \x1c\u0085x"), (Trim.BOTH, "x")],
)
def test_white_space_is_taken_off_where_it_is_said(trim: Trim, expected: str) -> None:
    assert trim.apply(" \x1c\u0085x\n ") == expected


def test_neighbouring_texts_are_one() -> None:
    assert join_pieces(["", "a", "b", 1, "", 2, "c", ""]) == ("ab", 1, 2, "c")


def test_a_chat_is_read_as_it_was_written() -> None:
    assert Chat.model_validate_json(CHAT.model_dump_json()) == CHAT


@pytest.mark.parametrize("wrong", [True, 1.5, None])
def test_a_piece_is_an_id_or_a_text(wrong: object) -> None:
    with pytest.raises(ValidationError):
        Turn.model_validate({"before": [wrong]})
