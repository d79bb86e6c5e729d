"""Options of a job that say more than a page of a command has room for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

APP_PANEL = "The app"
SIGNING_PANEL = "Signing"

Ops = Annotated[
    str | None,
    typer.Option(
        metavar="SET|FILE",
        help="Which ops the model may hold: builtin, flex (what the stock Flex AAR has), tftext, or a file of names"
        " (default: what the lane needs).",
        show_default=False,
    ),
]

AllowOp = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OP",
        help="An op that the model may hold beside these; may be repeated.",
        show_default=False,
    ),
]

Aar = Annotated[
    str | None,
    typer.Option(
        metavar="AAR",
        help="The library of the strings lane's app: stock (the published one), file:PATH, or bazel (one that"
        " `farm aar` built; default: stock).",
        show_default=False,
        rich_help_panel=APP_PANEL,
    ),
]

Keystore = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Your own PKCS12 or JKS keystore (default: the farm's own key).",
        show_default=False,
        rich_help_panel=SIGNING_PANEL,
    ),
]

KeyAlias = Annotated[
    str | None,
    typer.Option(
        metavar="ALIAS",
        help="The key in the keystore (default: its only key).",
        show_default=False,
        rich_help_panel=SIGNING_PANEL,
    ),
]

PasswordSource = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="Where the keystore's password is: file:PATH or env:NAME.",
        show_default=False,
        rich_help_panel=SIGNING_PANEL,
    ),
]
