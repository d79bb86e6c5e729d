"""`farm doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from cli import checkup, stored_files, units
from cli.arguments import AsJson
from cli.checkup import Health
from cli.connection import require_local
from cli.tables import plain_table
from cli.terminal import open_terminal, printable
from farm import settings
from farm.errors import ToolMissing
from pipeline.toolchain import arm_machine, maven

STYLES = {Health.OK: "green", Health.WARNING: "yellow", Health.MISSING: "bold red"}


def command(
    ctx: typer.Context,
    fetch: Annotated[bool, typer.Option("--fetch", help="First fetch what the Android toolchain lacks.")] = False,
    store: Annotated[
        bool, typer.Option("--store", help="Also read every stored file and compare it with its hash.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check what this machine has and lacks, each with its fix.

    The exit code is 45 when something is missing that jobs cannot do without.
    """
    require_local(ctx, "farm doctor")
    terminal = open_terminal(as_json)
    if fetch:
        toolchain = settings.load().toolchain
        maven.fetch(maven.at(toolchain), terminal.remark)
        arm_machine.fetch(toolchain, terminal.remark)
    checks = list(checkup.examine(settings.load()))
    if store:
        checks.append(stored_files.check_store(settings.load()))
    missing = [check for check in checks if check.health is Health.MISSING]
    if as_json:
        terminal.write_json({"healthy": not missing, "checks": [asdict(check) for check in checks]})
    else:
        table = plain_table("what", "", "found")
        for check in checks:
            table.add_row(check.subject, Text(check.health.value, STYLES[check.health]), printable(check.found))
            if check.fix:
                table.add_row("", "", Text(printable(check.fix), STYLES[check.health]))
        terminal.show(table)
    if missing:
        subjects = ", ".join(check.subject for check in missing)
        terminal.complain(
            ToolMissing(f"{units.count(len(missing), 'thing')} that jobs need: {subjects}; see the fixes above.")
        )
        raise typer.Exit(ToolMissing.exit_code)
    if not as_json:
        terminal.remark("\nThis machine has all that jobs need.")
