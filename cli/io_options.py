"""Options of `farm submit` that say how text gets in and out of the model, and which ops it may hold."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from farm import jobspec

_option = partial(typer.Option, show_default=False)

IoModeName = Annotated[
    str | None,
    _option(
        "--io",
        metavar="IO_MODE",
        help=f"How text gets in and out of the model: {', '.join(jobspec.IoMode)} (default: {jobspec.IoMode.TOKENS}).",
    ),
]
TokenizerGraphName = Annotated[
    str | None,
    _option(
        metavar="GRAPH",
        help=f"Whose tokenizer is in a file of the I/O mode {jobspec.IoMode.STRINGS}:"
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
        help=f"The longest prompt of an I/O mode that takes text (default: {jobspec.DEFAULT_PROMPT_BYTES}).",
    ),
]
OutputTokens = Annotated[
    int | None,
    _option(
        min=1,
        metavar="TOKENS",
        help="The longest answer of an I/O mode that takes text (default: what the context holds).",
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
        " (default: what the I/O mode needs).",
    ),
]
AllowOp = Annotated[
    list[str] | None,
    _option(metavar="OP", help="An op that the model may hold beside these; may be repeated."),
]
