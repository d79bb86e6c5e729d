"""How a command is told to choose tokens: the options of `farm run` and `farm chat`, the same as the app's settings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from farm.errors import UsageError

if TYPE_CHECKING:
    from pipeline.inference.sampling import Sampling

PANEL = "Sampling"
LARGEST_SEED = 2**63 - 1

Temperature = Annotated[
    float,
    typer.Option(
        min=0, metavar="NUMBER", rich_help_panel=PANEL,
        help="0 takes the likeliest token each time; above, tokens are drawn, the more freely the higher it is.",
    ),
]  # fmt: skip
TopK = Annotated[
    int, typer.Option(min=0, metavar="N", rich_help_panel=PANEL, help="Draw among that many tokens; 0: among all.")
]
TopP = Annotated[
    float,
    typer.Option(
        min=0, max=1, metavar="SHARE", rich_help_panel=PANEL,
        help="Draw among the likeliest tokens that together reach that share; 1: among all.",
    ),
]  # fmt: skip
MinP = Annotated[
    float,
    typer.Option(
        min=0, max=1, metavar="SHARE", rich_help_panel=PANEL,
        help="Draw among tokens that are at least that times as likely as the likeliest; 0: among all.",
    ),
]  # fmt: skip
RepetitionPenalty = Annotated[
    float,
    typer.Option(
        min=1, metavar="NUMBER", rich_help_panel=PANEL,
        help="Above 1, tokens that the prompt or the text already has become less likely.",
    ),
]  # fmt: skip
Seed = Annotated[
    int | None,
    typer.Option(
        min=-LARGEST_SEED, max=LARGEST_SEED, metavar="N", rich_help_panel=PANEL, show_default=False,
        help="The same seed draws the same text (default: another one each time).",
    ),
]  # fmt: skip
Stop = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT", rich_help_panel=PANEL, show_default=False,
        help="End before this text; may be repeated.",
    ),
]  # fmt: skip


def read_sampling(
    temperature: float, top_k: int, top_p: float, min_p: float, repetition_penalty: float, seed: int | None
) -> Sampling:
    """What the options say; UsageError for numbers that are none."""
    given = {
        "--temperature": temperature,
        "--top-p": top_p,
        "--min-p": min_p,
        "--repetition-penalty": repetition_penalty,
    }
    for name, value in given.items():
        if not math.isfinite(value):
            raise UsageError(f"{name} {value} is no number to count with; leave it out or give one such as 0.7.")
    if top_p == 0:
        raise UsageError("--top-p 0 leaves no token; give a share above 0, or --temperature 0 for the likeliest token.")
    # It brings numpy, for which no other command should wait.
    from pipeline.inference.sampling import Sampling

    return Sampling(temperature, top_k, top_p, min_p, repetition_penalty, seed)
