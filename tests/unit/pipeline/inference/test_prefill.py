from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.inference.prefill import Feed, plan_prefill


def test_longest_signature_first_and_a_padded_rest() -> None:
    assert plan_prefill(45, 0, (8, 32, 128), 256) == [Feed(32, 32), Feed(8, 8), Feed(8, 5)]


def test_one_padded_call_where_it_costs_less_than_several() -> None:
    assert plan_prefill(31, 0, (8, 32, 128), 256) == [Feed(32, 31)]
    assert plan_prefill(9, 0, (8, 32, 128), 256) == [Feed(8, 8), Feed(1, 1)]
    assert plan_prefill(300, 0, (8, 32, 128), 512) == [
        Feed(128, 128),
        Feed(128, 128),
        Feed(32, 32),
        Feed(8, 8),
        Feed(8, 4),
    ]
    assert plan_prefill(31, 230, (8, 32, 128), 261) == [*[Feed(8, 8)] * 3, *[Feed(1, 1)] * 7]


def test_a_rest_that_padding_would_carry_over_the_end_is_decoded() -> None:
    assert plan_prefill(3, 12, (8,), 16) == [Feed(1, 1)] * 3


def test_padding_may_reach_the_very_end() -> None:
    assert plan_prefill(7, 8, (8, 32), 16) == [Feed(8, 7)]


def test_nothing_to_read_is_no_call() -> None:
    assert plan_prefill(0, 0, (8,), 16) == []


def test_without_prefill_signatures_everything_is_decoded() -> None:
    assert plan_prefill(2, 0, (), 16) == [Feed(1, 1), Feed(1, 1)]


@given(
    context=st.integers(1, 300),
    start=st.integers(0, 300),
    count=st.integers(0, 300),
    lengths=st.lists(st.integers(2, 130), max_size=4, unique=True),
)
def test_every_token_once_and_no_call_past_the_context(
    context: int, start: int, count: int, lengths: list[int]
) -> None:
    start = min(start, context)
    count = min(count, context - start)
    position = start
    for feed in plan_prefill(count, start, lengths, context):
        assert 1 <= feed.count <= feed.length
        assert position + feed.length <= context
        position += feed.count
    assert position == start + count
