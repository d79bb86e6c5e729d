"""What the shell may complete: job ids, recipes, artifacts. A farm that cannot be asked completes nothing."""

from __future__ import annotations

import typer

from cli.connection import connect
from cli.downloads import NAMES
from farm.appspec import Abi
from farm.errors import FarmError
from farm.recipes import RECIPES

MOST_JOBS = 30


def jobs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The newest jobs' ids with what they are."""
    try:
        newest = connect(ctx).jobs(limit=MOST_JOBS)
    except FarmError:
        return []
    return [
        (job.id, f"{job.spec.model_ref.short_name}, {job.spec.recipe}, {job.state}")
        for job in newest
        if job.id.startswith(incomplete)
    ]


def recipes(incomplete: str) -> list[tuple[str, str]]:
    """The recipes' short names with their summaries."""
    return [(recipe.alias, recipe.summary) for recipe in RECIPES if recipe.alias.startswith(incomplete)]


def artifacts(incomplete: str) -> list[str]:
    """The names that a download can be limited to."""
    return [name for name in NAMES if name.startswith(incomplete)]


def abis(incomplete: str) -> list[str]:
    """The CPU types that an app can carry a runtime for."""
    return [abi.value for abi in Abi if abi.startswith(incomplete)]
