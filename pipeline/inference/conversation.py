"""A conversation with a model on this machine: only new tokens are read, and old turns make room for new ones."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from farm.chat import Chat, Exchange
from farm.errors import ChatTemplateUnusable, FileUnreadable, SequenceTooLong, UsageError
from pipeline.inference.answer_parts import AnswerParts, Part
from pipeline.inference.archive import LanguageModel
from pipeline.inference.context_window import ContextWindow, fit_turns
from pipeline.inference.generation import Sampler, generate
from pipeline.inference.interpreter import Float32
from pipeline.inference.kept_text import KeptText
from pipeline.inference.sampling import GREEDY, Sampling
from pipeline.tokenizers.codec import TextCodec

# So much of the context at most is kept free for an answer before old turns are dropped: a quarter.
LEAST_ROOM, ROOM_SHARE = 16, 4


@dataclass(frozen=True)
class Turn:
    """A question with its answer and the thoughts before it. first_token: with which the answer began; model: who
    answered, where that was another one."""

    question: str
    answer: str | None = None
    thought: str | None = None
    first_token: int | None = None
    model: str | None = None

    @property
    def exchange(self) -> Exchange:
        """What the model reads of it."""
        return Exchange(self.question, self.answer)


@dataclass(frozen=True)
class AnswerOptions:
    """How an answer is written: at most so many tokens, drawn by `sampling`, up to one of the texts `stops`."""

    most_tokens: int = 512
    sampling: Sampling = GREEDY
    stops: tuple[str, ...] = ()


@dataclass
class AnswerStats:
    """What an answer took. prompt_tokens of which read_tokens were new to the model; dropped: turns that it does not
    read any more; first_seconds until the first token, seconds in all."""

    prompt_tokens: int = 0
    read_tokens: int = 0
    new_tokens: int = 0
    dropped: int = 0
    first_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def rate(self) -> float | None:
        """Tokens a second behind the first."""
        behind = self.seconds - self.first_seconds
        return (self.new_tokens - 1) / behind if self.new_tokens > 1 and behind > 0 else None


@dataclass
class Conversation:
    """Turns, and the model that answers. system: None for the template's default."""

    model: LanguageModel
    system: str | None = None
    thinking: bool = False
    turns: list[Turn] = field(default_factory=list)
    stats: AnswerStats = field(default_factory=AnswerStats)

    def __post_init__(self) -> None:
        """Find the template; ChatTemplateUnusable, FileUnreadable without one or a tokenizer."""
        info = self.model.info
        if info.chat is None:
            raise ChatTemplateUnusable(
                f"The model {info.name} has no chat template; ask it one prompt with farm run, or convert it with"
                " --chat-template FILE."
            )
        if self.model.text is None:
            raise FileUnreadable(f"The model {info.name} comes without a tokenizer; it can only be fed tokens.")
        self.chat: Chat = info.chat
        self.codec: TextCodec = self.model.text
        self._kept = KeptText(self.model.tokens)
        self._rejected: set[int] = set()
        self._tries = 0

    @property
    def context(self) -> int:
        """The longest conversation that the model reads, in tokens."""
        return self.model.tokens.contract.context

    def ask(self, question: str, options: AnswerOptions) -> Iterator[Part]:
        """Write the answer; what came of it is kept when the caller stops as well. UsageError for a blank question,
        SequenceTooLong for one that does not fit."""
        if not question.strip():
            raise UsageError("A question needs at least one word.")
        window = self._fit([*self.turns, Turn(question)], options)
        self._rejected, self._tries = set(), 0
        return self._answer(Turn(question), window, options)

    def regenerate(self, options: AnswerOptions) -> Iterator[Part]:
        """Answer the last question in another way; UsageError without one."""
        if not self.turns:
            raise UsageError("There is no answer to write again; ask a question first.")
        last = self.turns[-1]
        window = self._fit([*self.turns[:-1], replace(last, answer=None)], options)
        if last.first_token is not None:
            self._rejected.add(last.first_token)
        self._tries += 1
        self.turns.pop()
        return self._answer(Turn(last.question), window, options, former=last)

    def tokens(self) -> int:
        """How many tokens the conversation has, dropped turns included."""
        return len(self._ids(self.turns))

    def _fit(self, turns: Sequence[Turn], options: AnswerOptions) -> ContextWindow:
        """The last turns that the model can read."""
        room = min(options.most_tokens, max(LEAST_ROOM, self.context // ROOM_SHARE))
        window = fit_turns(
            len(turns), self.context - room, lambda dropped: ContextWindow(dropped, self._ids(turns[dropped:]))
        )
        if len(window.ids) >= self.context:
            raise SequenceTooLong(
                f"The question has {len(window.ids)} tokens with what the template puts around it, and the model reads"
                f" {self.context}; shorten it."
            )
        return window

    def _ids(self, turns: Sequence[Turn]) -> list[int]:
        pieces = self.chat.pieces(self.system, [turn.exchange for turn in turns], thinking=self.thinking)
        return self.codec.encode_pieces(pieces)

    def _answer(
        self, turn: Turn, window: ContextWindow, options: AnswerOptions, former: Turn | None = None
    ) -> Iterator[Part]:
        """Write, and put the turn behind the others; former: what stays where nothing is written."""
        ids = window.ids
        kept = self._kept.shared(ids)
        stats = AnswerStats(prompt_tokens=len(ids), read_tokens=len(ids) - kept, dropped=window.dropped)
        self.stats = stats
        started = time.perf_counter()
        written: list[int] = []
        answer: list[str] = []
        thought: list[str] = []
        sampler = options.sampling.sampler(ids, attempt=self._tries)
        if self._rejected:
            sampler = _Other(sampler, self._rejected, self.model.info.stop_tokens)
        most = min(options.most_tokens, self.context - len(ids))
        tokens = generate(self._kept, ids, most, self.model.info.stop_tokens, sampler, kept=kept)
        parts = AnswerParts.of_chat(self.chat, self.codec, thinking=self.thinking, stops=options.stops)

        def counted() -> Iterator[int]:
            for token in tokens:
                stats.seconds = time.perf_counter() - started
                stats.first_seconds = stats.first_seconds or stats.seconds
                stats.new_tokens += 1
                written.append(token)
                yield token

        try:
            for part in parts.write(counted()):
                (thought if part.thought else answer).append(part.text)
                yield part
        finally:
            if written:
                whole = "".join(thought).strip("\n") or None
                self.turns.append(replace(turn, answer="".join(answer), thought=whole, first_token=written[0]))
            elif former is not None:
                self.turns.append(former)


class _Other:
    """Begins with none of the tokens that earlier answers began with, and not with the end."""

    def __init__(self, next_sampler: Sampler, rejected: Collection[int], stop_tokens: Collection[int]):
        self._next = next_sampler
        self._forbidden = sorted({*rejected, *stop_tokens})
        self._begun = False

    def __call__(self, logits: Float32) -> int:
        """The next token."""
        if not self._begun:
            logits = np.array(logits, np.float32)
            logits[self._forbidden] = -np.inf
            self._begun = True
        return self._next(logits)
