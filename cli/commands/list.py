"""`farm list`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import completion, tables
from cli.arguments import AsJson
from cli.connection import connect
from cli.json_views import job_object
from cli.terminal import open_terminal
from farm import recipes
from farm.states import JobState


def command(
    ctx: typer.Context,
    state: Annotated[
        list[JobState] | None, typer.Option(help="Only jobs in that state; may be repeated.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only jobs whose model holds that text.", show_default=False)
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="Only jobs of that recipe.",
            autocompletion=completion.recipes,
            show_default=False,
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help=f"What to show of each: {', '.join(tables.JOB_COLUMNS)} (default: {','.join(tables.SHOWN)}).",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    terminal = open_terminal(as_json)
    name = None if recipe is None else recipes.find(recipe).name
    shown = tables.parse_columns(columns)
    jobs = connect(ctx).jobs(states=state or (), model=model, recipe=name, limit=limit)
    if as_json:
        terminal.write_json([job_object(job) for job in jobs])
    elif jobs:
        terminal.show(tables.job_table(jobs, shown))
    else:
        terminal.remark("No job matches.")
