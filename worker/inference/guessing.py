"""Guesses what a text goes on with, from the text itself.

A call that reads several tokens takes little longer than one that reads a single one, where the memory's bandwidth
holds a model up. So the model is given guesses behind the last token, and those that turn out to be what it chooses
anyway have cost nothing. The guess is what stood behind the last two tokens when they came before: known as prompt
lookup (docs/decisions/0005-guessed-tokens.md).
"""

from __future__ import annotations

from collections.abc import Sequence

# After a call none of whose guesses held, so many tokens go by without a guess; twice as many after the next one.
FIRST_PAUSE = 2
LONGEST_PAUSE = 32


class Guesser:
    """Knows a text's tokens so far."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._behind: dict[tuple[int, int], int] = {}  # the place behind the latest such pair
        self._match: int | None = None
        self._pause = FIRST_PAUSE
        self._waiting = 0
        for token in tokens:
            self.append(token)

    def append(self, token: int) -> None:
        """The text goes on with this token."""
        self._tokens.append(token)
        self._waiting = max(0, self._waiting - 1)
        if len(self._tokens) > 1:
            pair = (self._tokens[-2], token)
            self._match = self._behind.get(pair)
            self._behind[pair] = len(self._tokens)

    def guess(self, most: int) -> list[int]:
        """At most so many tokens that may come next; none where nothing speaks for any."""
        if self._match is None or self._waiting:
            return []
        known = self._tokens[self._match :]
        # What repeats itself up to the text's end will go on repeating itself.
        return [known[place % len(known)] for place in range(max(0, most))]

    def judge(self, guessed: int, held: int) -> None:
        """How many tokens were guessed, and how many of them held."""
        if held:
            self._pause = FIRST_PAUSE
        elif guessed:
            self._waiting = self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
