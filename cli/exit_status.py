"""Waiting for a job to its end, and what the program's exit code then says."""

from __future__ import annotations

import typer

from cli import errors, job_page, progress
from cli.json_views import job_object
from cli.terminal import Terminal
from client.protocol import Farm, JobView
from farm.errors import FarmError, JobCancelled, JobFailed, WaitInterrupted
from farm.states import JobState


def wait_and_show(farm: Farm, job_id: str, terminal: Terminal) -> None:
    """Wait, show the result; leaves with 11 when the job failed, 12 when it was cancelled, 13 on Ctrl-C."""
    try:
        job = progress.wait(farm, job_id, terminal)
    except KeyboardInterrupt:
        error = WaitInterrupted(f"Waiting was broken off and the job continues; see it with: farm watch {job_id}")
        if terminal.as_json:
            terminal.write_json({**job_object(farm.job(job_id)), "error": errors.error_object(error)})
        terminal.complain(error)
        raise typer.Exit(error.exit_code) from None
    show_ended(job, terminal)


def show_ended(job: JobView, terminal: Terminal) -> None:
    """Show an ended job's result and leave with its exit code."""
    if terminal.as_json:
        terminal.write_json(job_object(job))
    else:
        job_page.show_result(job, terminal)
    if job.state is JobState.FAILED:
        reason = job.error.sentence if job.error else "No reason was recorded."
        error: FarmError = JobFailed(f"Job {job.id} failed: {reason}")
    elif job.state is JobState.CANCELLED:
        error = JobCancelled(f"Job {job.id} was cancelled; `farm retry {job.id}` runs it again.")
    else:
        job_page.suggest(job, terminal)
        return
    terminal.complain(error)
    if job.state is JobState.FAILED:
        job_page.suggest(job, terminal)
    raise typer.Exit(error.exit_code)
