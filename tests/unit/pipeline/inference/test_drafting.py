from __future__ import annotations

import pytest

from pipeline.inference.drafting import CHANGE, COST, LOSS, SHORTEST, PromptLookupDrafter
from tests.fixtures import drafting_traces
from tests.fixtures.drafting_traces import MOST, Trace


def test_what_stood_behind_the_same_three_tokens_is_drafted() -> None:
    assert PromptLookupDrafter([1, 2, 3, 4, 9, 1, 2, 3]).draft(3) == [4, 9, 1]
    assert PromptLookupDrafter([1, 2, 3, 5, 1, 2, 3, 6, 1, 2, 3]).draft(2) == [6, 1], "the latest place counts"


def test_else_what_stood_behind_the_same_two() -> None:
    assert PromptLookupDrafter([1, 2, 3, 9, 1, 2]).draft(2) == [3, 9]
    assert PromptLookupDrafter([1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3]).draft(1) == [4], "three tokens say more than two"
    assert PromptLookupDrafter([1, 2, 9, 2]).draft(2) == [], "one token says too little"


def test_a_text_without_repetition_gives_no_draft() -> None:
    assert PromptLookupDrafter([1, 2, 3, 4]).draft(7) == []
    assert PromptLookupDrafter([1]).draft(7) == []
    assert PromptLookupDrafter([]).draft(7) == []


def test_what_repeats_goes_on_repeating() -> None:
    assert PromptLookupDrafter([7, 7, 7, 7]).draft(5) == [7] * 5
    assert PromptLookupDrafter([1, 2, 3, 1, 2]).draft(7) == [3, 1, 2, 3, 1, 2, 3]
    assert PromptLookupDrafter([7, 7, 7, 7]).draft(0) == []


def test_drafts_end_where_they_seldom_hold_and_begin_again_where_they_do() -> None:
    text = [token for place in range(20) for token in (1, 2, 100 + place)]  # another one behind the pair each time
    drafter = PromptLookupDrafter([*text, 1, 2])
    assert drafter.draft(3) == []
    for _ in range(8):
        for token in (5, 6):
            drafter.append(token)
    assert drafter.draft(3) == [5, 6, 5]


def test_the_two_kinds_of_drafts_are_judged_apart() -> None:
    drafter = PromptLookupDrafter([])
    fresh = iter(range(100, 1000))
    for _ in range(12):
        # Behind 1, 2, 3 always comes 4; behind 2, 3 alone mostly something else.
        for token in (1, 2, 3, 4, *(token for _ in range(8) for token in (next(fresh), 2, 3)), next(fresh)):
            drafter.append(token)
    for token in (1, 2, 3):
        drafter.append(token)
    assert drafter.draft(1) == [4]
    for token in (99, 2, 3):
        drafter.append(token)
    assert drafter.draft(1) == []


class _Careless(PromptLookupDrafter):
    """Believes in its drafts, whatever becomes of them."""

    def append(self, token: int) -> None:
        super().append(token)
        self._held = dict.fromkeys(self._held, 1.0)


def failing(drafter: PromptLookupDrafter, places: int) -> list[bool]:
    """Whether there were drafts in each call of a text in which the pair 1, 2 has another token behind it each time."""
    drafted = []
    for place in range(places):
        drafted.append(bool(drafter.draft(MOST)))
        drafter.append((1, 2, 100 + place)[place % 3])
    return drafted


def test_drafts_that_fail_never_cost_more_than_their_share_of_the_calls() -> None:
    drafted = failing(_Careless([1, 2, 99]), 900)
    for calls in range(1, len(drafted) + 1):
        changes = sum(now and not before for before, now in zip([False, *drafted], drafted[:calls], strict=False))
        assert COST * sum(drafted[:calls]) + CHANGE * changes <= LOSS * max(calls, SHORTEST)
    assert sum(drafted) > 30, "the share is there to be used"


def test_what_drafts_saved_may_be_spent() -> None:
    drafter = _Careless([1, 2, 3] * 4)
    for token in (1, 2, 3, 1, 2, 3, 1, 2, 3):
        assert drafter.draft(1) == [token]
        drafter.append(token)
    assert sum(failing(drafter, 30)) >= 10, "where the share alone would allow one"


@pytest.mark.parametrize("trace", drafting_traces.load(), ids=lambda trace: trace.name)
def test_the_drafts_are_those_of_the_traces(trace: Trace) -> None:
    assert drafting_traces.replay(trace.tokens, trace.prompt) == trace.drafts


def test_the_traces_tell_good_drafters_from_bad_ones() -> None:
    assert sum(len(trace.drafts) for trace in drafting_traces.load()) > 200
