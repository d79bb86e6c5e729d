"""Drafts what a text goes on with, from the text itself: speculative decoding by prompt lookup.

A call that reads several tokens takes little longer than one that reads a single one, where the memory's bandwidth
holds a model up. So the model is given drafts behind the last token, and those that turn out to be what it chooses
anyway have cost nothing. The draft is what stood behind the last three tokens when they came before, or else behind
the last two (docs/decisions/0005-speculative-decoding.md). A suffix's latest place is found by an index, so that a
token costs the same in a text of any length.

Whether drafts are worth their cost is learnt while the text is written, in two ways. At each token it is known whether
a draft would have held, given or not; where too few have held lately none is given. And what drafts saved is kept
against what they cost, so that they never take more than 2 % of a text's time.

The app has the same drafter in Kotlin, and both are held to the same drafts (tests/fixtures/drafting_traces.json).
"""

from __future__ import annotations

from collections.abc import Sequence

# By how many last tokens an earlier place is found, the likeliest first.
WIDTHS = (3, 2)
# What a call with drafts takes beyond one without, and what it takes to go from calls of one length to those of another
# and back, in calls without drafts (docs/decisions/0005-speculative-decoding.md).
COST = 0.15
CHANGE = 0.35
# The share of drafts that hold: taken for true at first, and the least that is worth a call. A draft whose first token
# holds saves more than one call on average, so the least is less than the cost.
FIRST_SHARE = 0.4
LEAST_SHARE = 0.2
# How much the latest draft weighs in the share.
WEIGHT = 0.1
# At most this share of a text's calls may be lost to drafts that fail; a text counts as this long at least, else there
# would be no first draft.
LOSS = 0.02
SHORTEST = 25


class PromptLookupDrafter:
    """Knows a text's tokens so far, those of its prompt first."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._behind: dict[tuple[int, ...], int] = {}  # the place behind the latest such tokens
        self._held = dict.fromkeys(WIDTHS, FIRST_SHARE)
        self._match: int | None = None
        self._width = 0
        self._given: list[int] = []  # the latest draft, as far as it may still hold
        self._drafting = False  # whether the latest call had drafts
        self._won = 0.0  # what drafts saved beyond their cost, in calls
        for token in prompt:
            self.append(token)
        self._prompt = len(self._tokens)

    def append(self, token: int) -> None:
        """The text goes on with this token."""
        if self._given and self._given[0] == token:
            self._won += 1.0
            del self._given[0]
        else:
            self._given = []
        if self._match is not None:
            held = 1.0 if self._tokens[self._match] == token else 0.0
            self._held[self._width] += WEIGHT * (held - self._held[self._width])
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
        """At most so many tokens that may come next, for a call that reads them; none where they are not worth it.

        To be asked once for each call.
        """
        cost = COST if self._drafting else COST + CHANGE
        affordable = self._won - cost >= -LOSS * max(len(self._tokens) - self._prompt, SHORTEST)
        self._drafting = most > 0 and affordable and self._match is not None and self._held[self._width] >= LEAST_SHARE
        if not self._drafting or self._match is None:
            return []
        # What repeats itself up to the text's end will go on repeating itself.
        length = len(self._tokens) - self._match
        self._given = [self._tokens[self._match + place % length] for place in range(most)]
        self._won -= cost
        return list(self._given)
