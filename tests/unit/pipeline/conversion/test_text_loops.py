"""How many rows the caches of a graph with text begin with."""

from __future__ import annotations

import pytest

from pipeline.conversion.text_loops import growth_of


@pytest.mark.parametrize(
    ("rows", "first", "expected"),
    [
        (64, 256, (64, 0)),
        (256, 256, (256, 0)),
        (288, 256, (144, 1)),
        (512, 256, (256, 1)),
        (1000, 256, (250, 2)),
        (4096, 256, (256, 4)),
        (8200, 256, (130, 6)),
    ],
)
def test_rows_and_doublings(rows: int, first: int, expected: tuple[int, int]) -> None:
    assert growth_of(rows, first) == expected


def test_the_last_doubling_holds_the_whole_context_and_no_more_than_it_needs() -> None:
    for rows in range(32, 5000, 32):
        begin, doublings = growth_of(rows, 256)
        held = begin << doublings
        assert rows <= held < rows + (2 << doublings)
        assert begin <= 256
        assert doublings == 0 or begin % 2 == 0
