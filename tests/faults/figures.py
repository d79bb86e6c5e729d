"""Runs the goals of reliability at their full size and prints goal against measured; `scripts/faults` starts it.

Each goal is tests that are marked with it, run by a pytest of its own; a printed seed and scale run it again. With
`--write` the table in docs/reliability.md gets the rows that were measured, and keeps those that were not. With
`--keep` each goal's rows and output are saved when it ends; a run that was stopped goes on behind what held.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.trial import GOALS, NOTHING

ROOT = Path(__file__).parents[2]
# Where the figures go, by the farm's surroundings that --write names: its page, and the name in its marks.
PAGES = {
    "machine": (ROOT / "docs" / "reliability.md", ""),
    "root": (ROOT / "docs" / "security.md", " root"),
    "user": (ROOT / "docs" / "security.md", " user"),
    "container": (ROOT / "docs" / "security.md", " container"),
}
BEGIN, END = (f"<!-- measured by scripts/faults --write{{}}: {end} -->" for end in ("begin", "end"))
# Where the tests of goals stand.
PLACES = (
    "tests/faults", "tests/security", "tests/integration/test_api_fuzz.py", "tests/integration/test_api_streams.py",
    "tests/integration/test_real_models.py", "tests/integration/test_long_texts.py",
    "tests/integration/test_api_webhooks.py", "tests/integration/test_farm_check.py", "tests/compose",
    "tests/unit/server", "tests/unit/cli/test_command_line.py", "tests/unit/farm/test_jobspec.py",
    "tests/unit/db/test_garbage_collection.py", "tests/unit/pipeline/ops/test_allowlist.py",
)  # fmt: skip
# The longest first, so that none of them is what everybody waits for at the end.
LONGEST = ("R2", "R3", "R1", "R4", "R8", "R13", "R6", "S4", "R7")
# What stands behind it in a measured text is long, and is put below the table.
ONE_BY_ONE = "; one by one: "
HEADINGS = ("goal", "on", "measured", "", "time", "scale, seed")


@dataclass(frozen=True)
class Figure:
    """What a test of a goal measured. held: None for one that can't run here, whose reason is what was measured."""

    goal: str
    engine: str
    measured: str
    held: bool | None
    seconds: float
    seed: int
    scale: float

    def cells(self) -> tuple[str, ...]:
        """A row of the table."""
        return (
            f"{self.goal}: {GOALS[self.goal]}",
            self.engine,
            self.measured,
            self.verdict(),
            f"{self.seconds:.0f} s",
            f"{self.scale:g}, {self.seed}",
        )

    def verdict(self) -> str:
        """One word, or few."""
        if self.held is None:
            return "not run here"
        return "**missed**" if not self.held else "held" if self.scale >= 1 else "held at this size"


def main() -> int:
    """Run, print, write; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="goals, joined by commas; `security` is A1-A10 and S1-S12")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full size; 0 is the short form")
    parser.add_argument("--seed", type=int, default=20261)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many goals at a time")
    parser.add_argument(
        "--keep", type=Path, help="a folder for rows and output; goals that held there are not run again"
    )
    parser.add_argument(
        "--write", nargs="?", const="machine", choices=PAGES,
        help="put the figures into docs/reliability.md, or those of the named surroundings into docs/security.md",
    )  # fmt: skip
    arguments = parser.parse_args()
    chosen = goals_of(arguments.only)
    if unknown := set(chosen) - set(GOALS):
        parser.error(f"there is no goal {', '.join(sorted(unknown))}; choose of {', '.join(GOALS)}")
    chosen.sort(key=lambda goal: LONGEST.index(goal) if goal in LONGEST else len(LONGEST))
    with tempfile.TemporaryDirectory(prefix="farm-figures-") as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        kept = arguments.keep or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        found = list(pool.map(lambda goal: run(goal, arguments.scale, arguments.seed, kept), chosen))
    figures = sorted((figure for each in found for figure in each), key=lambda one: list(GOALS).index(one.goal))
    sys.stdout.write("\n".join([*table([figure.cells() for figure in figures]), ""]))
    if arguments.write:
        write([figure.cells() for figure in figures], *PAGES[arguments.write])
    return 1 if any(figure.held is False for figure in figures) else 0


def goals_of(words: str) -> list[str]:
    """The goals that these words name, all when there is none."""
    security = [goal for goal in GOALS if goal[0] in "AS"]
    named = [goal for word in words.split(",") if word for goal in (security if word == "security" else [word])]
    return list(dict.fromkeys(named)) or list(GOALS)


def run(goal: str, scale: float, seed: int, kept: Path) -> list[Figure]:
    """All tests of a goal, unless they held before; what they print is kept, and told once they have missed."""
    place, said = kept / f"{goal}.json", kept / f"{goal}.txt"
    if place.exists():
        before = [Figure(**row) for row in json.loads(place.read_text())]
        if all(one.held is not False and (one.scale, one.seed) == (scale, seed) for one in before):
            sys.stderr.write(f"==> {goal}: held before\n")
            return before
        place.unlink()
    started = time.monotonic()
    begun = kept / f"{goal}.rows"
    begun.unlink(missing_ok=True)
    environment = os.environ | {
        "FARM_FAULTS_GOAL": goal, "FARM_FAULTS_SCALE": str(scale), "FARM_FAULTS_SEED": str(seed),
        "FARM_FAULTS_FIGURES": str(begun),
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-m", f'goal(id="{goal}")', *map(str, files_of(goal))]
    with said.open("w") as output:
        code = subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=output, check=False).returncode
    sys.stderr.write(f"==> {goal}: {time.monotonic() - started:.0f} s, exit code {code}\n")
    figures = [Figure(**json.loads(line)) for line in begun.read_text().splitlines()] if begun.exists() else []
    printed = said.read_text(errors="replace")
    skipped = re.findall(r"^SKIPPED \[\d+\] \S+: (.+)$", printed, re.MULTILINE)
    # A test that skips itself has measured nothing; its reason stands in the table.
    figures = [figure for figure in figures if figure.measured != NOTHING or not figure.held or not skipped]
    figures += [Figure(goal, "", reason, None, 0.0, seed, scale) for reason in skipped]
    if code != 0:
        sys.stderr.write(printed[-20_000:])
        if not any(figure.held is False for figure in figures):
            figures.append(Figure(goal, "", "the tests did not come to their end", False, 0.0, seed, scale))
    place.write_text(json.dumps([asdict(figure) for figure in figures]))
    return figures


def kept_figures(kept: Path) -> list[Figure]:
    """What a run has saved there, in the order of the goals."""
    files = [kept / f"{goal}.json" for goal in GOALS]
    return [Figure(**row) for path in files if path.exists() for row in json.loads(path.read_text())]


def files_of(goal: str) -> list[Path]:
    """The files with tests of it: to collect all of them costs more than most goals take."""
    places = [ROOT / place for place in PLACES]
    files = [path for place in places for path in (place.rglob("*.py") if place.is_dir() else [place])]
    return sorted(path.relative_to(ROOT) for path in files if f'goal(id="{goal}")' in path.read_text())


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """In Markdown."""
    return ["| " + " | ".join(cells) + " |" for cells in (HEADINGS, ["---"] * len(HEADINGS), *rows)]


def write(rows: Sequence[Sequence[str]], page: Path, name: str) -> None:
    """Into the page, between its marks; goals that were not run keep their rows."""
    begin, end = BEGIN.format(name), END.format(name)
    before, _, rest = page.read_text().partition(begin)
    old, _, after = rest.partition(end)
    kept = [
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in old.splitlines() if line.startswith("| ")
    ][2:]
    renewed = {cells[0] for cells in rows}
    order = [f"{goal}: {text}" for goal, text in GOALS.items()]
    everything = [*(cells for cells in kept if cells[0] in order and cells[0] not in renewed), *rows]
    everything.sort(key=lambda cells: order.index(cells[0]))
    known = [line for line in old.splitlines() if line.startswith("<details>")]
    lists = [line for line in known if not any(line.startswith(_folded(cells[0], "")) for cells in rows)]
    shown = []
    for cells in everything:
        measured, parted, items = cells[2].partition(ONE_BY_ONE)
        shown.append((*cells[:2], measured, *cells[3:]))
        if parted:
            lists.append(f"{_folded(cells[0], measured)}</summary>{items}</details>")
    page.write_text("\n".join([before + begin, *table(shown), "", *sorted(lists), end + after]))


def _folded(title: str, measured: str) -> str:
    """How a list begins that would make its row unreadable."""
    return f"<details><summary>{title.partition(':')[0]}: {measured}"


if __name__ == "__main__":
    sys.exit(main())
