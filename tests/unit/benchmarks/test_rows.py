"""Pages of benchmarks: what counts as reached, how it is said, and the parts that are renewed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.rows import Row, renew_part, table

END = "<!-- end -->"


def test_a_goal_is_a_bound_from_above_unless_it_is_said_to_be_one_from_below() -> None:
    assert Row("size", 14, 14.0, "MB").cells() == ("size", "14 MB", "14", "reached", "")
    assert Row("size", 14, 14.01, "MB").cells()[3] == "**missed**"
    faster = Row("speed", 0.9, 0.95, "of Python's", "95 against 100", at_least=True)
    assert faster.cells() == ("speed", "at least 0.9 of Python's", "0.95", "reached", "95 against 100")
    assert not Row("speed", 0.9, 0.89, "of Python's", at_least=True).reached


def test_a_figure_without_a_goal_has_its_unit_and_no_verdict() -> None:
    assert table([Row("first token", None, 0.1234, "s", "median")])[-1] == "| first token |  | 0.123 s |  | median |"


def test_one_part_is_renewed_and_all_else_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"a\n<!-- one -->old{END}\nb\n<!-- two -->kept{END}\nc\n")
    renew_part(page, "<!-- one -->", END, "new")
    assert page.read_text() == f"a\n<!-- one -->new{END}\nb\n<!-- two -->kept{END}\nc\n"


def test_a_page_without_the_mark_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing to renew\n")
    with pytest.raises(ValueError, match="unpack"):
        renew_part(page, "<!-- one -->", END, "new")
    assert page.read_text() == "nothing to renew\n"
