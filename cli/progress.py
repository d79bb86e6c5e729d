"""Waiting for a job: a live display on a terminal, else one line a change; both on stderr."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli import tables, units
from cli.terminal import Terminal, printable
from client.protocol import Farm, JobView, StageView
from farm import recipes
from farm.stages import BY_NAME
from farm.states import JobState, StageState

POLL_SECONDS = 0.2
# A worker may be lost while somebody waits; whoever waits makes sure that there is another.
WORKER_CHECK_SECONDS = 5.0
BAR_WIDTH = 40
MARKS = {
    StageState.PENDING: "·",
    StageState.SUCCEEDED: "✓",
    StageState.REUSED: "✓",
    StageState.SKIPPED: "-",
    StageState.FAILED: "✗",
    StageState.STOPPED: "✗",
}


class Display(Protocol):
    """Shows how far a job is."""

    def update(self, job: JobView) -> None:
        """Take in the job as it is now."""


def wait(farm: Farm, job_id: str, terminal: Terminal) -> JobView:
    """Show the job's progress until it has ended."""
    checked = time.monotonic()
    farm.ensure_worker()
    with _display(terminal) as display:
        while True:
            job = farm.job(job_id)
            display.update(job)
            if job.state.terminal:
                return job
            if time.monotonic() - checked > WORKER_CHECK_SECONDS:
                farm.ensure_worker()
                checked = time.monotonic()
            time.sleep(POLL_SECONDS)


def _display(terminal: Terminal) -> AbstractContextManager[Display]:
    return LiveDisplay(terminal) if terminal.interactive else nullcontext(LineDisplay(terminal))


class LineDisplay:
    """For logs and pipes: a line whenever the job's state, stage or place in the queue changes."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._last: tuple[object, ...] | None = None

    def update(self, job: JobView) -> None:
        """Write a line unless the last one still holds."""
        running = next((stage.name for stage in job.stages if stage.state is StageState.RUNNING), None)
        between = job.state is JobState.RUNNING and running is None
        change = (job.state, running, job.position, job.attempt)
        if between or change == self._last:
            return
        self._last = change
        self._terminal.remark(line(job))


def line(job: JobView) -> str:
    """One line: `Job 3fk2a9 running: converting, 12 %, about 20 s left`."""
    words = f"Job {job.id} {job.state}"
    return words if job.state.terminal else f"{words}: {tables.outcome(job)}"


class LiveDisplay:
    """For terminals: all stages with their marks, a bar, the time left."""

    def __init__(self, terminal: Terminal) -> None:
        self._live = Live(console=terminal.err, refresh_per_second=12, transient=True)
        self._spinner = Spinner("dots", style="cyan")

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def update(self, job: JobView) -> None:
        """Draw again."""
        self._live.update(self._frame(job))

    def _frame(self, job: JobView) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=2, justify="right")
        for stage in job.stages:
            style = tables.STAGE_STYLES[stage.state]
            mark = self._spinner if stage.state is StageState.RUNNING else Text(MARKS[stage.state], style)
            title = Text(BY_NAME[stage.name].title, "" if stage.state is StageState.RUNNING else style)
            grid.add_row(mark, title, Text(_side(stage), "dim", no_wrap=True, overflow="ellipsis"))
        return Group(_title(job), grid, _bar(job))


def _title(job: JobView) -> Text:
    recipe = recipes.find(job.spec.recipe)
    model = printable(job.spec.model_ref.short_name)
    again = f", attempt {job.attempt}" if job.attempt > 1 else ""
    return Text.assemble("Job ", (job.id, "bold"), f"  {model}, {recipe.alias}{again}")


def _side(stage: StageView) -> str:
    if stage.state is StageState.RUNNING:
        return printable(stage.activity)
    if stage.state in (StageState.REUSED, StageState.SKIPPED):
        return stage.state.value
    return "" if stage.seconds is None else units.duration(stage.seconds)


def _bar(job: JobView) -> RenderableType:
    if job.state is JobState.QUEUED:
        return Text(f"   queued, {tables.outcome(job)}", "yellow")
    row = Table.grid(padding=(0, 1))
    row.add_row(
        "  ",
        ProgressBar(total=1.0, completed=job.progress, width=BAR_WIDTH, complete_style="cyan", finished_style="green"),
        units.percent(job.progress),
        "cancelling" if job.cancel_requested else tables.time_left(job),
    )
    return row
