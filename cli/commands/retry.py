"""`farm retry`."""

from __future__ import annotations

import typer

from cli import exit_status, job_page
from cli.arguments import AsJson, JobId, Wait
from cli.connection import connect
from cli.json_views import job_object
from cli.terminal import open_terminal


def command(
    ctx: typer.Context,
    job: JobId,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Queue a failed or cancelled job again.

    Stages that succeeded are not run again.
    """
    terminal = open_terminal(as_json)
    farm = connect(ctx)
    found = farm.retry(job)
    if wait:
        exit_status.wait_and_show(farm, found.id, terminal)
        return
    farm.ensure_worker()
    if as_json:
        terminal.write_json(job_object(found))
        return
    terminal.show(job_page.headline(found))
    job_page.suggest(found, terminal)
