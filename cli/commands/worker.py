"""`farm worker`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import units
from cli.arguments import AsJson
from cli.connection import require_local
from cli.terminal import open_terminal
from farm import log_lines, settings
from worker.service import serve


def command(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Leave as soon as no job is queued.")] = False,
    idle: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Leave when none was queued for so long.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run queued jobs in the foreground.

    Goes on until Ctrl-C or SIGTERM; a job that runs then goes back to the queue.
    """
    require_local(ctx, "farm worker")
    terminal = open_terminal(as_json)
    log_lines.begin("%(asctime)s %(message)s", "%H:%M:%S")
    count = serve(settings.load(), once=once, idle_seconds=idle)
    if as_json:
        terminal.write_json({"jobs": count})
    else:
        terminal.remark(f"The worker leaves after {units.count(count, 'job')}.")
