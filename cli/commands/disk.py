"""`farm disk`."""

from __future__ import annotations

import typer
from rich.text import Text

from cli import disk_usage, units
from cli.arguments import AsJson
from cli.connection import require_local
from cli.tables import plain_table
from cli.terminal import open_terminal
from farm import settings


def command(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Say what takes the space of this machine's farm, and what frees it."""
    require_local(ctx, "farm disk")
    terminal = open_terminal(as_json)
    found = disk_usage.usages(settings.load())
    if as_json:
        rows = [{"what": one.what, "path": str(one.path), "bytes": one.bytes, "frees": one.frees} for one in found]
        terminal.write_json({"bytes": sum(one.bytes for one in found), "parts": rows})
        return
    table = plain_table("what", "size", "where", "what frees it", right=("size",))
    for one in found:
        table.add_row(one.what, units.size(one.bytes), str(one.path), Text(one.frees, "dim"))
    terminal.show(table)
    terminal.remark(f"\n{units.size(sum(one.bytes for one in found))} in all.")
