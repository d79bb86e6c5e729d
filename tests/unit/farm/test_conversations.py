from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farm.conversations import MOST_TURNS, SavedConversation, SavedTurn
from farm.errors import FileUnreadable

WHOLE = SavedConversation(
    turns=(SavedTurn("q", "a", thought="hm"), SavedTurn("r", "b", model="other"), SavedTurn("s")),
    system="brief", thinking=True, title="q", created="2026-11-30T12:00:00Z", model="M", model_sha256="0" * 64,
)  # fmt: skip


def test_what_is_written_is_read(tmp_path: Path) -> None:
    WHOLE.write(tmp_path / "talk.json")
    assert SavedConversation.read(tmp_path / "talk.json") == WHOLE
    assert [path.name for path in tmp_path.iterdir()] == ["talk.json"]


def test_further_keys_and_a_byte_order_mark_do_no_harm() -> None:
    value = json.loads(WHOLE.to_json()) | {"later": 1}
    assert SavedConversation.parse(b"\xef\xbb\xbf" + json.dumps(value).encode(), "f") == WHOLE


def changed(**values: Any) -> bytes:
    return json.dumps(json.loads(WHOLE.to_json()) | values).encode()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (WHOLE.to_json().encode()[:40], "is cut short or no JSON"),
        (b"\xff\xfe", "is cut short or no JSON"),
        (b"[" * 100_000, "is cut short or no JSON"),
        (b"[]", "is no conversation"),
        (changed(format="other"), "is no conversation"),
        (changed(version=2), "has the version 2 of the format, and this farm reads 1"),
        (changed(turns=None), "has no list of turns"),
        (changed(turns=[{"question": "q", "answer": "a"}] * 100_000), "has 100000 turns"),
        (changed(turns=[{"answer": "a"}]), "has no question in turn 1"),
        (changed(turns=[{"question": "q"}, {"question": "r"}]), "has no answer in turn 1"),
        (changed(turns=[{"question": "q", "answer": 3}]), "has no text in answer"),
        (changed(model="M"), "has a model that is none"),
        (changed(system=[]), "has no text in system"),
        (b" " * ((16 << 20) + 1), "a conversation has at most 16777216"),
    ],
)
def test_a_faulty_file_is_refused_in_a_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(FileUnreadable) as refused:
        SavedConversation.parse(content, "talk.json")
    assert sentence in refused.value.sentence
    assert refused.value.sentence.startswith("talk.json ")


def test_as_many_turns_as_a_conversation_may_have_are_read() -> None:
    turns = [{"question": "q", "answer": "a"}] * MOST_TURNS
    assert len(SavedConversation.parse(changed(turns=turns), "f").turns) == MOST_TURNS


def test_halves_of_characters_become_whole() -> None:
    turns = [{"question": "q\ud800", "answer": "\udfff\x07"}]
    (turn,) = SavedConversation.parse(changed(turns=turns), "f").turns
    assert (turn.question, turn.answer) == ("q\ufffd", "\ufffd\x07")


def test_a_path_that_leads_nowhere_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="can't be read"):
        SavedConversation.read(tmp_path / "none.json")
    with pytest.raises(FileUnreadable, match="can't be written"):
        WHOLE.write(tmp_path / "none" / "talk.json")
