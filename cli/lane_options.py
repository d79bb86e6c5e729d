"""Options of `farm submit` that say how text gets in and out of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from farm import jobspec

LaneName = Annotated[
    str | None,
    typer.Option(
        metavar="LANE",
        help=f"How text gets in and out of the model: {', '.join(jobspec.Lane)} (default: {jobspec.Lane.TOKENS}).",
        show_default=False,
    ),
]

TokenizerGraphName = Annotated[
    str | None,
    typer.Option(
        metavar="GRAPH",
        help=f"Whose tokenizer is in a file of the lane {jobspec.Lane.STRINGS}:"
        f" {', '.join(jobspec.TokenizerGraph)} (default: {jobspec.TokenizerGraph.PORTABLE}).",
        show_default=False,
    ),
]

ConversionRouteName = Annotated[
    str | None,
    typer.Option(
        metavar="ROUTE",
        help=f"How the graph {jobspec.TokenizerGraph.TFTEXT} is converted: {', '.join(jobspec.ConversionRoute)}"
        f" (default: {jobspec.ConversionRoute.SAVED_MODEL}).",
        show_default=False,
    ),
]

PromptBytes = Annotated[
    int | None,
    typer.Option(
        min=16,
        max=jobspec.MAX_PROMPT_BYTES,
        metavar="BYTES",
        help=f"The longest prompt of a lane that takes text (default: {jobspec.DEFAULT_PROMPT_BYTES}).",
        show_default=False,
    ),
]

OutputTokens = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="TOKENS",
        help="The longest answer of a lane that takes text (default: what the context holds).",
        show_default=False,
    ),
]

CalibrationFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A text like those that the model will read, for the recipe full-int8 (default: the farm's own).",
        show_default=False,
    ),
]
