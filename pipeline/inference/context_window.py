"""How much of a conversation a model reads: the window that `ContextWindow.kt` of the library finds, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ContextWindow:
    """The tokens of all turns but the first `dropped`."""

    dropped: int
    ids: list[int]


def fit_turns(turns: int, room: int, window: Callable[[int], ContextWindow]) -> ContextWindow:
    """The window with the most of `turns` turns whose tokens are at most `room`; with the last turn alone where not
    even that fits. window: makes the one without so many first turns, of which few are tried: each has to be tokenized.
    """
    whole = window(0)
    if len(whole.ids) <= room:
        return whole
    too_many, best = 0, window(turns - 1)
    if len(best.ids) > room:
        return best
    while best.dropped - too_many > 1:
        between = window((best.dropped + too_many) // 2)
        if len(between.ids) > room:
            too_many = between.dropped
        else:
            best = between
    return best
