"""How many turns of a conversation are read, and how many times it is tokenized to find out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.inference.context_window import ContextWindow, fit_turns


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60), room=st.integers(1, 300))
def test_as_many_of_the_last_turns_as_there_is_room_for(lengths: list[int], room: int) -> None:
    found = fit_turns(len(lengths), room, lambda dropped: ContextWindow(dropped, [0] * sum(lengths[dropped:])))
    fitting = [dropped for dropped in range(len(lengths)) if sum(lengths[dropped:]) <= room]
    assert found.dropped == (fitting[0] if fitting else len(lengths) - 1)
    assert len(found.ids) == sum(lengths[found.dropped :])


def test_a_long_conversation_is_tokenized_a_few_times() -> None:
    tried: list[int] = []

    def window(dropped: int) -> ContextWindow:
        tried.append(dropped)
        return ContextWindow(dropped, [0] * (10_000 - dropped))

    assert fit_turns(10_000, 100, window).dropped == 9_900
    assert len(tried) < 20
