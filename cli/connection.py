"""Which farm a command talks to."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import typer

from cli.loading import uncollected
from client.protocol import Farm
from farm import settings


def connect(ctx: typer.Context) -> Farm:
    """The embedded farm, unless the caller of the app handed another in as `obj`, a function that gives it."""
    if ctx.obj is not None:
        return cast(Callable[[], Farm], ctx.obj)()
    # Half of a command's start-up is the import of the database's library; who does without the farm need not wait.
    with uncollected():
        from client.local import LocalFarm

    return LocalFarm(settings.load())
