"""`farm rm`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli import completion, units
from cli.arguments import AsJson
from cli.connection import connect
from cli.terminal import open_terminal
from client.protocol import Farm, JobView
from farm.errors import TransitionRefused, UsageError
from farm.states import JobState

ALL = 1_000_000


def command(
    ctx: typer.Context,
    jobs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="JOB...", help="Jobs' ids, or their beginnings.", autocompletion=completion.jobs, show_default=False
        ),
    ] = None,
    older_than: Annotated[
        int | None,
        typer.Option(min=0, max=36500, metavar="DAYS", help="All that ended longer ago than this.", show_default=False),
    ] = None,
    state: Annotated[
        list[JobState] | None, typer.Option(help="All in that state; may be repeated.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which jobs would be deleted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete jobs that have ended, with their logs and the files that no other job has.

    Name the jobs, or choose them with --older-than and --state, which must both fit. A job that waits or runs is
    cancelled first: farm cancel JOB.
    """
    terminal = open_terminal(as_json)
    if bool(jobs) is (older_than is not None or bool(state)):
        raise UsageError("Name the jobs to delete, or choose them with --older-than DAYS and --state STATE.")
    farm = connect(ctx)
    found = [farm.job(job) for job in jobs] if jobs else chosen(farm, older_than, state or [])
    for job in found:
        if not job.state.terminal:
            raise TransitionRefused(f"Job {job.id} is {job.state}; end it first with: farm cancel {job.id}")
    ids = list(dict.fromkeys(job.id for job in found))
    removed = None if dry_run or not ids else farm.remove(ids)
    if as_json:
        freed = {"files": removed.files, "bytes": removed.bytes} if removed else {"files": 0, "bytes": 0}
        terminal.write_json({"jobs": ids, **freed, "dry_run": dry_run})
    elif removed is None:
        terminal.show(f"Would delete {units.count(len(ids), 'job')}: {', '.join(ids)}" if ids else "No job matches.")
    else:
        terminal.show(f"Deleted {units.count(len(ids), 'job')} and {units.size(removed.bytes)} of files.")


def chosen(farm: Farm, older_than: int | None, states: list[JobState]) -> list[JobView]:
    """The jobs that have ended, in one of these states and so long ago."""
    ended = [state for state in states or JobState if state.terminal]
    if not ended:
        raise TransitionRefused("Jobs that wait or run are not deleted; end them first with: farm cancel JOB")
    before = datetime.now(UTC) - timedelta(days=older_than or 0)
    jobs = farm.jobs(states=ended, limit=ALL)
    return [job for job in jobs if job.finished_at is not None and job.finished_at <= before]
