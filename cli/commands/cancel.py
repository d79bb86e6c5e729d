"""`farm cancel`."""

from __future__ import annotations

import typer

from cli.arguments import AsJson, JobId
from cli.connection import connect
from cli.json_views import job_object
from cli.terminal import open_terminal


def command(ctx: typer.Context, job: JobId, as_json: AsJson = False) -> None:
    """Stop a job.

    A queued job is cancelled at once, a running one within seconds with all its processes.
    """
    terminal = open_terminal(as_json)
    found = connect(ctx).cancel(job)
    if as_json:
        terminal.write_json(job_object(found))
    elif found.state.terminal:
        terminal.show(f"Job {found.id} is {found.state}.")
    else:
        terminal.show(f"Job {found.id} is being stopped; see it end with: farm watch {found.id}")
