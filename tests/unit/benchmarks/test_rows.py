"""Rows of the pages of benchmarks: what counts as reached, and how it is said."""

from __future__ import annotations

from benchmarks.rows import Row, table


def test_a_goal_is_a_bound_from_above_unless_it_is_said_to_be_one_from_below() -> None:
    assert Row("size", 14, 14.0, "MB").cells() == ("size", "14 MB", "14", "reached", "")
    assert Row("size", 14, 14.01, "MB").cells()[3] == "**missed**"
    faster = Row("speed", 0.9, 0.95, "of Python's", "95 against 100", at_least=True)
    assert faster.cells() == ("speed", "at least 0.9 of Python's", "0.95", "reached", "95 against 100")
    assert not Row("speed", 0.9, 0.89, "of Python's", at_least=True).reached


def test_a_figure_without_a_goal_has_its_unit_and_no_verdict() -> None:
    assert table([Row("first token", None, 0.1234, "s", "median")])[-1] == "| first token |  | 0.123 s |  | median |"
