"""From tokens to an answer as it is shown: thoughts apart, blanks before it left out, cut at a text that ends it."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from farm.chat import Chat, Thinking, Trim
from pipeline.tokenizers.codec import TextCodec


class _Place(StrEnum):
    """Where in an answer a token stands."""

    BEFORE_THOUGHT = "before a thought"
    THOUGHT = "thought"
    ANSWER = "answer"


@dataclass(frozen=True)
class Part:
    """A piece of what a model writes."""

    text: str
    thought: bool = False


class AnswerParts:
    """Takes one answer's tokens in order."""

    def __init__(
        self, codec: TextCodec, *, thoughts: Thinking | None = None, strips: bool = False, stops: Sequence[str] = ()
    ):
        """thoughts: how they are marked, None for an answer without; strips: whether white space at the beginning is
        left out; stops: texts that end the answer and are not shown."""
        self._thoughts = thoughts
        self._codec = codec
        self._place = _Place.ANSWER
        # What is left out at the beginning of the present part, until something else came.
        self._left_out: str | None = _WHITE if strips else None
        if thoughts is not None:
            self._place = _Place.THOUGHT if thoughts.opened else _Place.BEFORE_THOUGHT
            self._left_out = "\n"
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = _StopTexts(stops)

    @classmethod
    def of_chat(cls, chat: Chat, codec: TextCodec, *, thinking: bool, stops: Sequence[str] = ()) -> AnswerParts:
        """Those of an answer in a conversation; thinking: whether thoughts were asked for."""
        thoughts = chat.thinking if chat.thinking is not None and (thinking or chat.thinking.always) else None
        asks = chat.asks(thinking=thinking)
        behind_blank = bool(asks) and isinstance(asks[-1], str) and asks[-1][-1:].isspace()
        strips = behind_blank or chat.assistant.trim in (Trim.BOTH, Trim.START)
        return cls(codec, thoughts=thoughts, strips=strips, stops=stops)

    @property
    def stopped(self) -> bool:
        """Whether one of the texts that end an answer was written."""
        return self._stops.found

    def write(self, tokens: Iterable[int]) -> Iterator[Part]:
        """The parts, as soon as their characters are whole, up to the end or the first text that ends the answer."""
        for token in tokens:
            yield from self._push(token)
            if self.stopped:
                return
        yield from self._show(self._bytes.decode(b"", final=True))
        if rest := self._stops.rest():
            yield Part(rest)

    def _push(self, token: int) -> Iterator[Part]:
        if self._thoughts is not None:
            if self._place is _Place.BEFORE_THOUGHT and token == self._thoughts.open_token:
                self._place = _Place.THOUGHT
                return
            if self._place is _Place.THOUGHT and token == self._thoughts.close_token:
                yield from self._show(self._bytes.decode(b"", final=True))
                self._bytes.reset()
                self._place, self._left_out = _Place.ANSWER, "\n"
                return
        yield from self._show(self._bytes.decode(self._codec.token_bytes(token)))

    def _show(self, text: str) -> Iterator[Part]:
        if self._place is _Place.BEFORE_THOUGHT:
            if not text.strip():
                return
            self._place = _Place.ANSWER
        if self._left_out is not None:
            text = text.lstrip(None if self._left_out is _WHITE else self._left_out)
            if not text:
                return
            self._left_out = None
        if self._place is _Place.THOUGHT:
            yield Part(text, thought=True)
        elif shown := self._stops.push(text):
            yield Part(shown)


_WHITE = " "


class _StopTexts:
    """Holds back what may be the beginning of a text that ends the answer."""

    def __init__(self, stops: Sequence[str]):
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """What is surely part of the answer."""
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.found = True
            shown, self._held = self._held[: min(places)], ""
            return shown
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        cut = len(self._held) - keep
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def rest(self) -> str:
        """What was held back, once nothing more comes."""
        shown, self._held = self._held, ""
        return shown


def _overlap(text: str, stop: str) -> int:
    """How many characters at the text's end begin the stop text."""
    return next((count for count in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-count:])), 0)
