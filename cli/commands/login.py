"""`farm login`."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from cli.arguments import AsJson
from cli.terminal import open_terminal
from client import profiles
from client.profiles import Profile
from farm.errors import NotAuthenticated, UsageError


def command(
    url: Annotated[str, typer.Argument(metavar="URL", help="The farm's address.", show_default=False)],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to call it (default: the address's host).", show_default=False),
    ] = None,
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read the token from stdin.")] = False,
    default: Annotated[
        bool, typer.Option("--default/--no-default", help="Use it from now on when no other is asked for.")
    ] = True,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow http:// to another machine.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remember a farm elsewhere and your token for it.

    Asks for the token, tries it and stores it where only you can read it. `farm --profile local ...` still means this
    machine.
    """
    # Only who talks to a farm elsewhere needs the HTTP library.
    from client.http import HttpFarm
    from client.tokens import RemoteTokens

    terminal = open_terminal(as_json)
    address = profiles.normal_url(url, insecure=insecure)
    profile = Profile(name or _name_for(address), address)
    secret = _read_token(ask=not (token_stdin or as_json), url=address)
    token = RemoteTokens(HttpFarm(address, secret)).own()
    profiles.add(profile, secret, default=default)
    scopes = [scope.value for scope in token.scopes]
    if as_json:
        terminal.write_json({"profile": profile.name, "url": address, "token": token.name, "scopes": scopes})
    else:
        terminal.show(f"Profile {profile.name}: {address} as {token.name}, which may {', '.join(scopes)}.")
        if not default:
            terminal.remark(f"Use it with: farm --profile {profile.name} ...")


def _name_for(address: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", address.partition("://")[2]).strip("-")[:64]


def _read_token(*, ask: bool, url: str) -> str:
    if ask:
        if not sys.stdin.isatty():
            raise UsageError("There is no terminal to ask for the token; give it on stdin with --token-stdin.")
        secret = str(typer.prompt(f"Token for {url}", hide_input=True, err=True))
    else:
        secret = sys.stdin.readline()
    if re.fullmatch(r"[!-~]{1,256}", secret.strip()) is None:
        raise NotAuthenticated("That is no token; it is one word as `farm token create` printed it.")
    return secret.strip()
