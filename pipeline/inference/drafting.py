"""Drafts what a text goes on with, from the text itself.

A call that reads several tokens takes little longer than one that reads a single one, where the memory's bandwidth
holds a model up. So the model is given drafts behind the last token, and those that turn out to be what it chooses
anyway have cost nothing. The draft is what stood behind the last two tokens when they came before, or else behind the
last one: known as prompt lookup (docs/decisions/0005-drafted-tokens.md).

Whether a draft is worth its cost the text says too: at each token it is known whether the draft would have held,
given or not.
"""

from __future__ import annotations

from collections.abc import Sequence

# By how many last tokens an earlier place is found, the likeliest first.
WIDTHS = (2, 1)
# The share of drafts that hold: taken for true at first, and the least that is worth a call, which takes 1.3 times as
# long with drafts as without; and how much the latest draft weighs in it.
FIRST_SHARE = 0.3
LEAST_SHARE = 0.25
WEIGHT = 0.1


class PromptLookupDrafter:
    """Knows a text's tokens so far."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._behind: dict[tuple[int, ...], int] = {}  # the place behind the latest such tokens
        self._held = dict.fromkeys(WIDTHS, FIRST_SHARE)
        self._match: int | None = None
        self._width = 0
        for token in tokens:
            self.append(token)

    def append(self, token: int) -> None:
        """The text goes on with this token."""
        if self._match is not None:
            self._held[self._width] += WEIGHT * ((self._tokens[self._match] == token) - self._held[self._width])
        self._tokens.append(token)
        self._match = None
        for width in WIDTHS:
            if len(self._tokens) < width:
                continue
            last = tuple(self._tokens[-width:])
            place = self._behind.get(last)
            self._behind[last] = len(self._tokens)
            if self._match is None and place is not None:
                self._match, self._width = place, width

    def draft(self, most: int) -> list[int]:
        """At most so many tokens that may come next; none where nothing speaks for any."""
        if self._match is None or self._held[self._width] < LEAST_SHARE:
            return []
        known = self._tokens[self._match :]
        # What repeats itself up to the text's end will go on repeating itself.
        return [known[place % len(known)] for place in range(max(0, most))]
