"""`farm watch`."""

from __future__ import annotations

import typer

from cli import exit_status
from cli.arguments import AsJson, MaybeJobId
from cli.connection import connect
from cli.terminal import open_terminal


def command(ctx: typer.Context, job: MaybeJobId = None, as_json: AsJson = False) -> None:
    """Wait for a job and show how far it is.

    Without an id: the newest job. Ctrl-C ends the waiting, not the job.
    """
    farm = connect(ctx)
    found = farm.job(job) if job else farm.latest()
    exit_status.wait_and_show(farm, found.id, open_terminal(as_json))
