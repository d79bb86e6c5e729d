"""How a prompt is cut into calls of the prefill signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Feed:
    """One call: `count` tokens through the signature of `length`, padded at the end; length 1 is `decode`."""

    length: int
    count: int


def plan_prefill(count: int, start: int, lengths: Sequence[int], context: int) -> list[Feed]:
    """Cut `count` tokens, the first at position `start`, into calls that never write past the context.

    The longest signature that the rest fills comes first; a rest shorter than the shortest signature is padded if the
    padding still fits into the context (the caches' update would else be moved), and goes through `decode` otherwise.
    `start + count <= context` is the caller's duty.
    """
    feeds = []
    while count > 0:
        filled = [length for length in lengths if length <= count]
        if filled:
            feed = Feed(max(filled), max(filled))
        elif lengths and start + min(lengths) <= context:
            feed = Feed(min(lengths), count)
        else:
            feed = Feed(1, 1)
        feeds.append(feed)
        start += feed.count
        count -= feed.count
    return feeds
