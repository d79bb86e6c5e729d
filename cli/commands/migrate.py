"""`farm migrate`."""

from __future__ import annotations

import typer

from cli.arguments import AsJson
from cli.connection import require_local
from cli.terminal import open_terminal
from db import session
from db.session import open_database
from farm import settings


def command(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Bring the database of this machine's farm to this version.

    Every program of a farm does so by itself when it starts, unless FARM_MIGRATE is false, as where many of them
    share a database and one step of an upgrade is to do it. Safe to run again, and beside running workers.
    """
    require_local(ctx, "farm migrate")
    terminal = open_terminal(as_json)
    open_database(settings.load().database).close()
    if as_json:
        terminal.write_json({"revision": session.HEAD})
    else:
        terminal.show(f"The database is at revision {session.HEAD}.")
