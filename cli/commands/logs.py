"""`farm logs`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.arguments import AsJson, MaybeJobId
from cli.connection import connect
from cli.terminal import open_terminal


def command(
    ctx: typer.Context,
    job: MaybeJobId = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print what the stages of a job wrote.

    Without an id: the newest job. With --json and --follow the lines come when the job has ended.
    """
    farm, terminal = connect(ctx), open_terminal(as_json)
    found = farm.job(job) if job else farm.latest()
    lines = (line.rstrip("\r\n") for line in farm.logs(found.id, follow=follow))
    if as_json:
        terminal.write_json({"id": found.id, "lines": list(lines)})
        return
    for line in lines:
        terminal.show_raw(line)
