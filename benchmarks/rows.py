"""What pages of benchmarks are made of: rows with a goal and what was measured, and the parts between marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure: `measured` must not be above `goal`, or not below it where the goal is `at_least`; None: there is
    none. baseline: what it is measured against."""

    what: str
    goal: float | None
    measured: float
    unit: str
    baseline: str = ""
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the goal is kept, where there is one."""
        if self.goal is None:
            return True
        return self.measured >= self.goal if self.at_least else self.measured <= self.goal

    def cells(self) -> tuple[str, ...]:
        """As text."""
        goal = "" if self.goal is None else f"{'at least ' if self.at_least else ''}{self.goal:g} {self.unit}"
        verdict = "" if self.goal is None else "reached" if self.reached else "**missed**"
        unit = self.unit if self.goal is None else ""
        return self.what, goal, f"{self.measured:.3g} {unit}".strip(), verdict, self.baseline


def table(rows: Sequence[Row]) -> list[str]:
    """In Markdown."""
    lines = ["| what | goal: at most | measured | | |", "|---|---|---|---|---|"]
    return lines + [f"| {' | '.join(row.cells())} |" for row in rows]


def renew_part(page: Path, begin: str, end: str, part: str) -> None:
    """Put a part between its marks, of which several may end alike; ValueError where the page has none."""
    before, rest = page.read_text().split(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}{part}{end}{after}")
