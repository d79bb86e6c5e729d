"""`farm gc`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from cli import units
from cli.arguments import AsJson
from cli.connection import require_local
from cli.terminal import open_terminal
from db import store_ownership
from db.garbage_collection import collect
from db.session import open_database
from farm import settings
from farm.store.choice import open_store

DAYS = 30


def command(
    ctx: typer.Context,
    older_than: Annotated[
        int, typer.Option(min=1, max=36500, metavar="DAYS", help="Forget jobs that ended longer ago than this.")
    ] = DAYS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    adopt_store: Annotated[
        bool, typer.Option("--adopt-store", help="Take over a store whose own database is gone for good.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Forget old jobs of this machine's farm and remove the files that no other job needs.

    May run at any time, beside jobs. Files that were stored within the last day stay, and so do uploaded models.
    """
    require_local(ctx, "farm gc")
    terminal = open_terminal(as_json)
    chosen = settings.load()
    database = open_database(chosen.database, migrate=chosen.migrate)
    try:
        store = open_store(chosen)
        if adopt_store and not dry_run:
            store_ownership.adopt(database, store)
        found = collect(chosen, database, store, timedelta(days=older_than), dry_run=dry_run)
    finally:
        database.close()
    if as_json:
        terminal.write_json({**asdict(found), "dry_run": dry_run})
        return
    counts = f"{units.count(found.jobs, 'job')}, {units.count(found.results, 'result')} of stages and"
    files = f"{units.count(found.files, 'file')} ({units.size(found.bytes)})"
    terminal.show(f"{'Would forget' if dry_run else 'Forgot'} {counts} {files}.")
    terminal.remark(
        f"Kept: jobs that ended within {units.count(older_than, 'day')}, wait or run; what they need; files stored"
        f" within a day; uploaded models; caches and keys (farm disk). farm rm deletes single jobs."
    )
