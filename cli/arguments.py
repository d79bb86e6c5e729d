"""The arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import completion

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout; text for people goes to stderr.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end and show the result.")]
JobId = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="A job's id, or the beginning of it.", autocompletion=completion.jobs, show_default=False
    ),
]
RunnableTarget = Annotated[
    str,
    typer.Argument(
        metavar="TARGET", help="An .apk, a .litertlm, a .tflite with its files beside it, their folder, or a job.",
        autocompletion=completion.jobs, show_default=False,
    ),
]  # fmt: skip
Threads = Annotated[
    int | None,
    typer.Option(min=1, max=256, metavar="N", help="CPU threads (default: up to 4).", show_default=False),
]
MaybeJobId = Annotated[
    str | None,
    typer.Argument(
        metavar="JOB", help="A job's id, or the beginning of it.", autocompletion=completion.jobs, show_default=False
    ),
]
