"""A model of the I/O mode `tokens` in LiteRT, with its KV caches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from farm.errors import SequenceTooLong
from pipeline.inference.contract import Contract
from pipeline.inference.prefill import Feed

Float32 = NDArray[np.float32]


class TokenModel(ABC):
    """A model that reads tokens and gives logits; `position` counts the tokens read so far."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.position = 0

    def reset(self) -> None:
        """Forget the text, and give back the memory that its length has taken."""
        self.rewind()

    def rewind(self, position: int = 0) -> None:
        """Forget every token from `position` on."""
        if not (0 <= position <= self.position and self.keeps(position)):
            raise ValueError(f"can't rewind from {self.position} to {position}")
        self.position = position

    def keeps(self, position: int) -> bool:
        """Whether the text can go on behind its first `position` tokens as they were read."""
        return position <= self.position

    def prefill(self, tokens: Sequence[int], feeds: Sequence[Feed] | None = None) -> None:
        """Read tokens without asking for logits; `feeds` replaces the usual cut into calls. SequenceTooLong."""
        self._require_room(len(tokens))
        read = 0
        for feed in self._cut(len(tokens)) if feeds is None else feeds:
            self._feed(tokens[read : read + feed.count], feed)
            read += feed.count

    @abstractmethod
    def step(self, token: int) -> Float32:
        """Read one token; the logits [V] of what comes next, the caller's own copy. SequenceTooLong."""

    @abstractmethod
    def room_to_score(self) -> int:
        """How many tokens `score` can read in one call at this position; 1 where that would be a step."""

    @abstractmethod
    def score(self, tokens: Sequence[int]) -> Float32:
        """Read 1 to `room_to_score` tokens in one call; the logits [N,V] after each. SequenceTooLong."""

    def read(self, tokens: Sequence[int]) -> Float32:
        """Read a prompt of one or more tokens; the logits [V] of what comes next. SequenceTooLong."""
        self.prefill(tokens[:-1])
        return self.step(tokens[-1])

    def logits_for(self, tokens: Sequence[int]) -> Float32:
        """The logits [N,V] after each of N tokens, one step each, from position 0."""
        self.rewind()
        return np.stack([self.step(token) for token in tokens])

    @abstractmethod
    def feeds_of_every_kind(self, most: int) -> Iterator[Feed]:
        """Calls that read at most so many tokens: one through each path that reading a prompt can take."""

    @abstractmethod
    def caches(self) -> dict[str, Float32]:
        """Copies [1,H,T,D] of the caches as the next call would read them."""

    @abstractmethod
    def put_caches(self, values: Mapping[str, Float32]) -> None:
        """Let the next call read these [1,H,T,D] as the caches of those names."""

    @abstractmethod
    def _cut(self, count: int) -> Sequence[Feed]:
        """The calls that read so many tokens from here on."""

    @abstractmethod
    def _feed(self, tokens: Sequence[int], feed: Feed) -> None:
        """Make one call."""

    def _require_room(self, count: int) -> None:
        needed = self.position + count
        if needed > self.contract.context:
            raise SequenceTooLong(
                f"{needed} tokens do not fit into the model's context of {self.contract.context}; shorten the prompt or"
                " ask for fewer tokens."
            )
