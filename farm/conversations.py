"""A conversation as a file: the same in the terminal, in the app and in the library (docs/chat.md)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.errors import FileUnreadable
from farm.plain_text import replace_surrogates

FORMAT, VERSION = "keras-android-farm/conversation", 1
MOST_BYTES, MOST_TURNS = 16 << 20, 10_000


@dataclass(frozen=True)
class SavedTurn:
    """A question; its answer, None where one is still wanted; the thoughts before it; the model that answered, None for
    the conversation's own."""

    question: str
    answer: str | None = None
    thought: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class SavedConversation:
    """The whole file. created as ISO 8601; model and model_sha256: who answers, unless a turn says otherwise."""

    turns: tuple[SavedTurn, ...] = ()
    system: str | None = None
    thinking: bool = False
    title: str | None = None
    created: str | None = None
    model: str | None = None
    model_sha256: str | None = None

    def to_value(self) -> dict[str, Any]:
        """The file's content as JSON has it."""
        model = None if self.model is None else {"name": self.model, "sha256": self.model_sha256}
        return {
            "format": FORMAT, "version": VERSION, "title": self.title, "created": self.created, "model": model,
            "system": self.system, "thinking": self.thinking, "turns": [vars(turn) for turn in self.turns],
        }  # fmt: skip

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(self.to_value(), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def parse(cls, content: bytes, where: str) -> SavedConversation:
        """Read the file's content; FileUnreadable names `where` it came from."""
        if len(content) > MOST_BYTES:
            raise FileUnreadable(f"{where} has {len(content)} bytes; a conversation has at most {MOST_BYTES}.")
        try:
            value = json.loads(content.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise FileUnreadable(
                f"{where} is cut short or no JSON; give a file that /save or the app wrote."
            ) from error
        return _Reader(where).conversation(value)

    @classmethod
    def read(cls, path: Path) -> SavedConversation:
        """Read a file; FileUnreadable."""
        try:
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise FileUnreadable(f"{path} can't be read ({error.strerror}); give a conversation's file.") from error
        return cls.parse(content, str(path))

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all; FileUnreadable where the folder does not let in a file."""
        try:
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            draft.write_text(self.to_json(), encoding="utf-8")
            draft.replace(path)
        except OSError as error:
            raise FileUnreadable(f"{path} can't be written ({error.strerror}); give another path.") from error


class _Reader:
    """Reads the values of one file, and names what is wrong in it."""

    def __init__(self, where: str):
        self._where = where

    def conversation(self, value: Any) -> SavedConversation:
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise self._wrong(f"is no conversation (its format is not {FORMAT!r})")
        if value.get("version") != VERSION:
            found = str(value.get("version"))[:20]
            raise self._wrong(f"has the version {found} of the format, and this farm reads {VERSION}")
        turns = value.get("turns")
        if not isinstance(turns, list):
            raise self._wrong("has no list of turns")
        if len(turns) > MOST_TURNS:
            raise self._wrong(f"has {len(turns)} turns, and a conversation at most {MOST_TURNS}")
        model = value.get("model") or {}
        if not isinstance(model, dict):
            raise self._wrong("has a model that is none")
        read = tuple(self._turn(turn, number) for number, turn in enumerate(turns, 1))
        for number, turn in enumerate(read[:-1], 1):
            if turn.answer is None:
                raise self._wrong(f"has no answer in turn {number}, which only the last may lack")
        return SavedConversation(
            turns=read,
            system=self._text(value, "system"),
            thinking=value.get("thinking") is True,
            title=self._text(value, "title"),
            created=self._text(value, "created"),
            model=self._text(model, "name"),
            model_sha256=self._text(model, "sha256"),
        )

    def _turn(self, value: Any, number: int) -> SavedTurn:
        if not isinstance(value, dict) or not isinstance(value.get("question"), str):
            raise self._wrong(f"has no question in turn {number}")
        return SavedTurn(
            question=replace_surrogates(value["question"]),
            answer=self._text(value, "answer"),
            thought=self._text(value, "thought"),
            model=self._text(value, "model"),
        )

    def _text(self, value: dict[str, Any], key: str) -> str | None:
        text = value.get(key)
        if text is None:
            return None
        if not isinstance(text, str):
            raise self._wrong(f"has no text in {key}")
        return replace_surrogates(text)

    def _wrong(self, reason: str) -> FileUnreadable:
        return FileUnreadable(f"{self._where} {reason}; give a file that /save or the app wrote.")
