"""Jobs as tables for people."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli import units
from cli.json_views import published
from cli.terminal import printable
from client.protocol import JobView, MetricView, StageView
from farm import recipes
from farm.errors import UsageError
from farm.measurement import Measurement
from farm.stages import BY_NAME
from farm.states import JobState, StageState

STATE_STYLES = {
    JobState.QUEUED: "yellow",
    JobState.RUNNING: "cyan",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "magenta",
}
STAGE_STYLES = {
    StageState.PENDING: "dim",
    StageState.RUNNING: "cyan",
    StageState.SUCCEEDED: "green",
    StageState.REUSED: "green",
    StageState.SKIPPED: "dim",
    StageState.FAILED: "red",
    StageState.STOPPED: "magenta",
}


def plain_table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A table with a line below its head; the columns named in `right` hold figures."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column in right)
    return table


def cut(text: str, style: str = "") -> Text:
    """A cell that is cut off where the terminal ends; its column gives way first, being the widest."""
    return Text(printable(text), style, no_wrap=True, overflow="ellipsis")


def state_text(state: JobState) -> Text:
    """A job's state in its colour."""
    return Text(state.value, STATE_STYLES[state])


# What can be shown of a job in a row.
JOB_COLUMNS: dict[str, Callable[[JobView], str | Text]] = {
    "job": lambda job: Text(job.id, "bold"),
    "state": lambda job: state_text(job.state),
    "app": lambda job: printable(job.spec.app.label),
    "model": lambda job: printable(job.spec.model_ref.short_name),
    "recipe": lambda job: recipes.find(job.spec.recipe).alias,
    "mode": lambda job: job.spec.io_mode.value,
    "age": lambda job: units.age(job.created_at),
    "result": lambda job: cut(outcome(job)),
    "version": lambda job: printable(f"{job.spec.app.version_name} ({job.spec.app.version_code})"),
    "id": lambda job: printable(job.spec.app.application_id),
    "context": lambda job: str(job.spec.wanted_context),
    "size": lambda job: units.size(sum(artifact.size for artifact in published(job))),
}
SHOWN = ("job", "state", "app", "model", "recipe", "mode", "age", "result")
FIGURES = ("age", "context", "size")


def parse_columns(text: str | None) -> tuple[str, ...]:
    """`job,size` -> ("job", "size"); the usual ones for None. UsageError names the closest."""
    names = SHOWN if text is None else tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in JOB_COLUMNS:
            close = difflib.get_close_matches(name, JOB_COLUMNS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(JOB_COLUMNS)}."
            raise UsageError(f"There is no column {name!r}; {hint}")
    return names


def job_table(jobs: Sequence[JobView], columns: Sequence[str] = SHOWN) -> Table:
    """One row a job: what it is, how old, and how it stands or ended."""
    table = plain_table(*columns, right=FIGURES)
    for job in jobs:
        table.add_row(*(JOB_COLUMNS[name](job) for name in columns))
    return table


def outcome(job: JobView) -> str:
    """How a job stands or ended, in a few words."""
    if job.state is JobState.QUEUED:
        if job.waits_for:
            return f"waits for {job.waits_for}"
        place = "next" if not job.position else f"{units.count(job.position, 'job')} ahead"
        return ", ".join(filter(None, [place, time_left(job)]))
    if job.state is JobState.RUNNING:
        return ", ".join(filter(None, [running_title(job), units.percent(job.progress), time_left(job)]))
    if job.state is JobState.SUCCEEDED:
        return ", ".join(f"{artifact.name} {units.size(artifact.size)}" for artifact in published(job)[:2])
    return job.error.sentence if job.error else ""


def running_title(job: JobView) -> str:
    """What the job does now."""
    running = next((stage for stage in job.stages if stage.state is StageState.RUNNING), None)
    return BY_NAME[running.name].title if running else "between two stages"


def time_left(job: JobView) -> str:
    """`about 12 s left`, or nothing when unknown."""
    return "" if job.seconds_left is None else f"about {units.estimate(job.seconds_left)} left"


def stage_table(stages: Sequence[StageView]) -> Table:
    """One row a stage: state, time, peak memory of its whole process tree."""
    table = plain_table("stage", "state", "time", "peak memory", "remark", right=("time", "peak memory"))
    for stage in stages:
        remark = stage.activity if stage.state is StageState.RUNNING else stage.note or ""
        if stage.state is StageState.FAILED:
            remark = ""  # the job's error, which is shown in full
        table.add_row(
            BY_NAME[stage.name].title,
            Text(stage.state.value, STAGE_STYLES[stage.state]),
            "" if stage.seconds is None else units.duration(stage.seconds),
            "" if stage.peak_bytes is None else units.size(stage.peak_bytes),
            Text(printable(remark), "dim"),
        )
    return table


def metric_table(metrics: Sequence[MetricView]) -> Table:
    """One row a measured figure, in the order of the stages."""
    table = plain_table("measure", "value", "stage", right=("value",))
    order = list(BY_NAME)
    for metric in sorted(metrics, key=lambda one: order.index(one.stage)):
        if metric.name not in PROCESS_MEASURES:
            table.add_row(
                printable(metric.name.replace("_", " ")),
                units.measure(metric.value, metric.unit),
                Text(metric.stage.value, "dim"),
            )
    return table


def measurement_table(measurements: Sequence[Measurement]) -> Table:
    """One row a phone that the app was measured on."""
    table = plain_table(
        "measured on", "first token", "tokens/s", "memory", "threads", right=("first token", "tokens/s")
    )
    for each in measurements:
        memory = "" if each.peak_memory_bytes is None else units.size(each.peak_memory_bytes)
        table.add_row(
            printable(f"{each.device}, Android {each.android}"),
            units.duration(each.first_token_seconds),
            f"{each.tokens_per_second:.1f}",
            memory,
            str(each.threads),
        )
    return table


# Every stage reports these; they stand in the stage table.
PROCESS_MEASURES = frozenset({"process_peak_memory"})


def artifact_table(job: JobView) -> Table:
    """One row a file that can be downloaded."""
    table = plain_table("file", "size", "sha256", right=("size",))
    for artifact in published(job):
        table.add_row(Text(artifact.name.value, "bold"), units.size(artifact.size), cut(artifact.digest, "dim"))
    return table
