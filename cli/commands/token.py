"""`farm token`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.arguments import AsJson
from cli.connection import connect_tokens
from cli.tables import plain_table
from cli.terminal import Terminal, open_terminal
from client.tokens import TokenRegister
from farm.access import Quotas, Scope, TokenView
from farm.errors import UsageError

DEFAULT_SCOPES = (Scope.SUBMIT, Scope.READ)


class Action(StrEnum):
    """What to do with tokens."""

    CREATE = "create"
    LIST = "list"
    REVOKE = "revoke"


def command(
    ctx: typer.Context,
    action: Annotated[
        Action, typer.Argument(metavar="create|list|revoke", help="What to do with tokens.", show_default=False)
    ],
    token: Annotated[
        str | None,
        typer.Argument(metavar="TOKEN", help="create: a name for it; revoke: its id.", show_default=False),
    ] = None,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            metavar="SCOPE",
            help="create: submit, read or admin; may be repeated (default: submit and read).",
            show_default=False,
        ),
    ] = None,
    max_queued: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="create: at most so many jobs wait.", show_default=False)
    ] = None,
    max_running: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="create: at most so many jobs run.", show_default=False)
    ] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(min=0, metavar="BYTES", help="create: at most so many bytes of models.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make, list or revoke the tokens by which others use this farm.

    A token's secret is printed once, when it is made; the farm keeps only its hash.
    """
    terminal = open_terminal(as_json)
    if (action is Action.LIST) is (token is not None):
        raise UsageError("Give `create` a name, `revoke` an id and `list` nothing; `farm token --help` tells more.")
    given = {"--scope": scope, "--max-queued": max_queued, "--max-running": max_running, "--max-bytes": max_bytes}
    wrong = [name for name, value in given.items() if value is not None and value != []]
    if wrong and action is not Action.CREATE:
        raise UsageError(f"`farm token {action}` has no option {wrong[0]}; it is one of `farm token create`.")
    register = connect_tokens(ctx)
    if action is Action.CREATE and token is not None:
        quotas = Quotas(max_queued, max_running, max_bytes)
        create(register, token, tuple(scope or DEFAULT_SCOPES), quotas, terminal)
    elif token is not None:
        revoked = register.revoke(token)
        if as_json:
            terminal.write_json(token_object(revoked))
        else:
            terminal.show(f"The token {revoked.name} ({revoked.id}) is no longer valid.")
    else:
        show(register.every(), terminal)


def create(register: TokenRegister, name: str, scopes: tuple[Scope, ...], quotas: Quotas, terminal: Terminal) -> None:
    """Make a token and print its secret."""
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise UsageError("A token's name is one line of 1 to 64 characters; give another.")
    made = register.create(name, scopes, quotas)
    if terminal.as_json:
        terminal.write_json({**token_object(made.token), "secret": made.secret})
        return
    terminal.show_raw(made.secret)
    terminal.remark(f"Keep it: the farm cannot show it again. Its id is {made.token.id}.")


def show(tokens: list[TokenView], terminal: Terminal) -> None:
    """All tokens."""
    if terminal.as_json:
        terminal.write_json([token_object(each) for each in tokens])
        return
    if not tokens:
        terminal.remark("There are no tokens yet; make one with: farm token create NAME")
        return
    table = plain_table("id", "name", "may", "made", "revoked")
    for each in tokens:
        revoked = f"{each.revoked_at:%Y-%m-%d}" if each.revoked_at else ""
        table.add_row(each.id, each.name, ", ".join(each.scopes), f"{each.created_at:%Y-%m-%d}", revoked)
    terminal.show(table)


def token_object(token: TokenView) -> dict[str, Any]:
    """The JSON form of a token."""
    return {
        "id": token.id,
        "name": token.name,
        "scopes": [scope.value for scope in token.scopes],
        "max_queued": token.quotas.max_queued,
        "max_running": token.quotas.max_running,
        "max_bytes": token.quotas.max_bytes,
        "created_at": token.created_at.isoformat(),
        "revoked_at": token.revoked_at.isoformat() if token.revoked_at else None,
    }
