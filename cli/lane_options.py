"""Options of `farm submit` that say how text gets in and out of the model, and which ops it may hold."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from farm import jobspec

_option = partial(typer.Option, show_default=False)

LaneName = Annotated[
    str | None,
    _option(
        metavar="LANE",
        help=f"How text gets in and out of the model: {', '.join(jobspec.Lane)} (default: {jobspec.Lane.TOKENS}).",
    ),
]
TokenizerGraphName = Annotated[
    str | None,
    _option(
        metavar="GRAPH",
        help=f"Whose tokenizer is in a file of the lane {jobspec.Lane.STRINGS}:"
        f" {', '.join(jobspec.TokenizerGraph)} (default: {jobspec.TokenizerGraph.PORTABLE}).",
    ),
]
ConversionRouteName = Annotated[
    str | None,
    _option(
        metavar="ROUTE",
        help=f"How the graph {jobspec.TokenizerGraph.TFTEXT} is converted: {', '.join(jobspec.ConversionRoute)}"
        f" (default: {jobspec.ConversionRoute.SAVED_MODEL}).",
    ),
]
PromptBytes = Annotated[
    int | None,
    _option(
        min=16,
        max=jobspec.MAX_PROMPT_BYTES,
        metavar="BYTES",
        help=f"The longest prompt of a lane that takes text (default: {jobspec.DEFAULT_PROMPT_BYTES}).",
    ),
]
OutputTokens = Annotated[
    int | None,
    _option(
        min=1, metavar="TOKENS", help="The longest answer of a lane that takes text (default: what the context holds)."
    ),
]
SpecialTokensName = Annotated[
    str | None,
    _option(
        metavar="WAY",
        help="What the farm's own tokenizer in a graph takes special tokens in a prompt for:"
        f" {', '.join(jobspec.SpecialTokens)} (default: {jobspec.SpecialTokens.TEXT}).",
    ),
]
CalibrationFile = Annotated[
    Path | None,
    _option(
        metavar="FILE",
        help="A text like those that the model will read, for the recipe full-int8 (default: the farm's own).",
    ),
]
Ops = Annotated[
    str | None,
    _option(
        metavar="SET|FILE",
        help="Which ops the model may hold: builtin, flex (what the stock Flex AAR has), tftext, or a file of names"
        " (default: what the lane needs).",
    ),
]
AllowOp = Annotated[
    list[str] | None,
    _option(metavar="OP", help="An op that the model may hold beside these; may be repeated."),
]
