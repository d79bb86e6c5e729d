"""`farm import-metrics`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import completion, tables
from cli.arguments import AsJson
from cli.connection import connect
from cli.json_views import job_object
from cli.terminal import open_terminal
from farm import measurement


def command(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What the app's screen Measure shared.", show_default=False)
    ],
    job: Annotated[
        str | None,
        typer.Option(
            metavar="JOB",
            help="The job that built the app (default: the newest that made the model that was measured).",
            autocompletion=completion.jobs,
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take in what a phone measured with a job's app.

    `farm status JOB` shows it beside the job's own figures, `farm download` writes it beside the report. A later
    measurement by the same kind of phone replaces it.
    """
    terminal = open_terminal(as_json)
    found = connect(ctx).import_measurement(measurement.read(file), job)
    if as_json:
        terminal.write_json(job_object(found))
        return
    terminal.show(f"Job {found.id} was measured on:")
    terminal.show(tables.measurement_table(found.measurements))
