"""How a conversation is put into words for a model: the pieces before and behind each text, made from its template.

docs/chat.md describes the JSON below the key `chat` of `model-info.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, StrictInt, StrictStr

# A token's id, or text in which no special token is looked for.
Piece = StrictInt | StrictStr
Pieces = tuple[Piece, ...]


class Trim(StrEnum):
    """Where white space is taken off a text before it is put in; white space is what Python's `str.strip` takes."""

    NONE = "none"
    BOTH = "both"
    START = "start"
    END = "end"

    def apply(self, text: str) -> str:
        """The text as it is put in."""
        if self in (Trim.BOTH, Trim.START):
            text = text.lstrip()
        return text.rstrip() if self in (Trim.BOTH, Trim.END) else text


class SystemPlace(StrEnum):
    """Where a system text goes: a turn of its own, or before the first question."""

    TURN = "turn"
    QUESTION = "question"


@dataclass(frozen=True)
class Exchange:
    """A question and its answer without thoughts; None where an answer is wanted."""

    question: str
    answer: str | None = None


class Turn(BaseModel):
    """What stands around a role's text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: Pieces = ()
    after: Pieces = ()
    trim: Trim = Trim.NONE

    def around(self, text: str) -> Pieces:
        """The whole turn."""
        return (*self.before, self.trim.apply(text), *self.after)


class SystemTurn(Turn):
    """The same for a system text. question_trim: of the first question behind one, in place of the user's own."""

    place: SystemPlace = SystemPlace.TURN
    question_trim: Trim = Trim.NONE


class Thinking(BaseModel):
    """How a model is asked to think before it answers.

    generation: what asks for an answer with thoughts. open_token and close_token stand around them; opened: the
    generation prompt ends inside of a thought. always: the template has no way to leave thoughts out. wanted: whether
    a conversation begins with thinking on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    generation: Pieces
    open_token: int
    close_token: int
    opened: bool = False
    always: bool = False
    wanted: bool = False


class Chat(BaseModel):
    """A chat template as pieces.

    begin: once, before everything. no_system: behind it where there is no system text; default_system: the text of the
    turn that the template puts there. system: None for a template that takes no system text. generation: behind the
    last question. source: where the template came from, for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    begin: Pieces = ()
    no_system: Pieces = ()
    default_system: str | None = None
    system: SystemTurn | None = None
    user: Turn
    assistant: Turn
    generation: Pieces = ()
    thinking: Thinking | None = None
    source: str

    def pieces(self, system: str | None, exchanges: Sequence[Exchange], *, thinking: bool = False) -> Pieces:
        """What the model reads; a blank system text counts as none. The last exchange may lack its answer, which is
        then asked for."""
        return tuple(self._pieces(system if system and system.strip() else None, exchanges, thinking=thinking))

    def asks(self, *, thinking: bool) -> Pieces:
        """What asks for an answer."""
        thinks = self.thinking is not None and (thinking or self.thinking.always)
        return self.thinking.generation if self.thinking is not None and thinks else self.generation

    def _pieces(self, system: str | None, exchanges: Sequence[Exchange], *, thinking: bool) -> Iterator[Piece]:
        yield from self.begin
        turn = None if system is None else self.system
        if turn is None:
            yield from self.no_system
        elif turn.place is SystemPlace.TURN:
            yield from turn.around(system or "")
        for number, exchange in enumerate(exchanges):
            yield from self.user.before
            trim = self.user.trim
            if number == 0 and turn is not None and turn.place is SystemPlace.QUESTION:
                yield from turn.around(system or "")
                trim = turn.question_trim
            yield trim.apply(exchange.question)
            yield from self.user.after
            if exchange.answer is not None:
                yield from self.assistant.around(exchange.answer)
        if exchanges and exchanges[-1].answer is None:
            yield from self.asks(thinking=thinking)


def join_pieces(pieces: Sequence[Piece]) -> Pieces:
    """The same with neighbouring texts as one, and without empty ones: the form in which pieces are read."""
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    return tuple(joined)
