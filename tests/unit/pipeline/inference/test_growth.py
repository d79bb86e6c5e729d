from __future__ import annotations

import numpy as np
import pytest

from pipeline.inference import growth
from tests.fixtures import length_traces


def test_the_kept_traces_are_what_is_decided() -> None:
    assert length_traces.PATH.read_text() == length_traces.content()


def test_rows_are_doubled_up_to_the_limit() -> None:
    assert [growth.rows_for(count, 700) for count in (1, 256, 257, 512, 513, 700)] == [256, 256, 512, 512, 700, 700]
    assert growth.rows_for(1, 40) == 40


def test_a_prompt_is_cut_without_padding() -> None:
    assert growth.cut(300, 0, (None,)) == [128, 128, 44]
    assert growth.cut(0, 0, (None,)) == []
    assert growth.cut(20, 100, (2,)) == [20]


def test_no_call_goes_on_behind_the_end_of_a_ring() -> None:
    ring = growth.ring_size(100)
    position = 0
    for length in growth.cut(1000, position, (None, 100)):
        assert position % ring + length <= ring
        position += length
    assert position == 1000


@pytest.mark.parametrize("position", [0, 3, 40])
def test_a_mask_shows_what_lies_behind(position: int) -> None:
    seen = growth.mask(position, 3, 64, None) == 0
    np.testing.assert_array_equal(seen.sum(1), np.arange(position + 1, position + 4))
    assert seen[:, 0].all()


@pytest.mark.parametrize("position", [0, 3, 130, 2000])
def test_a_ring_shows_the_window_alone_in_whatever_order(position: int) -> None:
    window, count = 7, 4
    ring = growth.ring_size(window)
    last = position + count - 1
    for token, row in enumerate(growth.mask(position, count, ring, window)):
        at = position + token
        wanted = {place % ring for place in range(max(0, at - window + 1), at + 1)}
        assert set(np.flatnonzero(row == 0)) == wanted
    assert last - ring + 1 <= max(0, position - window + 1) or last < ring


def test_a_ring_forgets_what_was_written_over() -> None:
    ring = growth.ring_size(10)
    assert growth.can_rewind(5, ring, 1024, (None, 10))
    assert not growth.can_rewind(5, ring + 1, 1024, (None, 10))
    assert growth.can_rewind(ring + 1 - growth.LONGEST_CALL, ring + 1, 1024, (None, 10))
    assert growth.can_rewind(5, 1000, 1024, (None,))
    assert growth.can_rewind(0, 1000, 1024, (10,))
