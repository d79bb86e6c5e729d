"""How a prompt is cut into calls of the prefill signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# What a call costs beside its tokens' arithmetic, in tokens: it reads all weights once.
CALL_COST = 12


@dataclass(frozen=True)
class Feed:
    """One call: `count` tokens through the signature of `length`, padded at the end; length 1 is `decode`."""

    length: int
    count: int


def plan_prefill(count: int, start: int, lengths: Sequence[int], context: int) -> list[Feed]:
    """Cut `count` tokens, the first at position `start`, into calls that never write past the context.

    The longest signature as often as it is filled, then the calls that cost least; the last one is padded where that
    is cheaper than more calls and the padding still fits into the context (the caches' update would else be moved).
    `start + count <= context` is the caller's duty.
    """
    longest = max(lengths, default=1)
    full = count // longest
    rest = count - full * longest
    return [Feed(longest, longest)] * full + _cheapest(rest, start + count - rest, lengths, context)


def _cheapest(count: int, start: int, lengths: Sequence[int], context: int) -> list[Feed]:
    """The calls for a rest shorter than the longest signature: what is best for the last n tokens, for n from 1 on."""
    costs, feeds = [0], list[Feed]()
    for left in range(1, count + 1):
        room = context - (start + count - left)
        fitting = [1, *(length for length in lengths if length <= room)]
        length = min(fitting, key=lambda one: (CALL_COST + one + costs[max(0, left - one)], -one))
        costs.append(CALL_COST + length + costs[max(0, left - length)])
        feeds.append(Feed(length, min(length, left)))
    plan = []
    while count > 0:
        plan.append(feeds[count - 1])
        count -= plan[-1].count
    return plan
