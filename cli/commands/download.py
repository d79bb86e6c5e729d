"""`farm download`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli import completion, downloads, units
from cli.arguments import AsJson, MaybeJobId
from cli.connection import connect
from cli.tables import plain_table
from cli.terminal import open_terminal
from farm.states import JobState


def command(
    ctx: typer.Context,
    job: MaybeJobId = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only that file, as in app.apk; may be repeated.",
            autocompletion=completion.artifacts,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where to write (default: here).", show_default=False),
    ] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a job's files here: the app, the model, the tokenizer, the golden prompts, the report.

    Without an id: the last job that succeeded. What phones measured with its model comes as measurements.json.
    """
    terminal = open_terminal(as_json)
    farm = connect(ctx)
    found = farm.job(job) if job else farm.latest(JobState.SUCCEEDED)
    planned = downloads.plan(found, only or (), output, force)
    downloads.write(farm, found, planned, output)
    if as_json:
        files = [
            {
                "name": one.file.name, "size": one.file.size, "sha256": one.file.digest,
                "path": str(one.path.absolute()), "written": one.written.value,
            }
            for one in planned
        ]  # fmt: skip
        terminal.write_json({"id": found.id, "files": files})
        return
    table = plain_table("file", "size", "", right=("size",))
    for one in planned:
        table.add_row(str(one.path), units.size(one.file.size), Text(one.written.value, "dim"))
    terminal.remark(f"Job {found.id}, {found.spec.model_ref.short_name}:\n")
    terminal.show(table)
