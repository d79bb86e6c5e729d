"""`farm webhook`."""

from __future__ import annotations

import json
import secrets
import sys
import time
from enum import StrEnum
from typing import Annotated

import typer

from cli.arguments import AsJson
from cli.connection import chosen_profile
from cli.tables import plain_table
from cli.terminal import Terminal, open_terminal
from client import own_webhooks, profiles
from client.http import reason_of
from farm.errors import FarmUnreachable, UsageError
from farm.webhooks import Webhook, signature

TIMEOUT = 10.0


class Action(StrEnum):
    """What to do with webhooks."""

    ADD = "add"
    LIST = "list"
    TEST = "test"
    REMOVE = "remove"


def command(
    ctx: typer.Context,
    action: Annotated[
        Action, typer.Argument(metavar="add|list|test|remove", help="What to do with webhooks.", show_default=False)
    ],
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="add, test, remove: the address.", show_default=False)
    ] = None,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="add: read the secret from stdin (default: a new one).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Have addresses told of the end of every job that you submit from here.

    The requests are signed (standardwebhooks.com) with a secret that `add` prints once. They are sent by `farm serve`:
    on a farm elsewhere always, on this machine's while it runs. `test` sends one from here at once.
    """
    terminal = open_terminal(as_json)
    if (action is Action.LIST) is (url is not None):
        raise UsageError("Give `add`, `test` and `remove` an address, and `list` none; see: farm webhook --help")
    if secret_stdin and action is not Action.ADD:
        raise UsageError(f"`farm webhook {action}` has no option --secret-stdin; it is one of `farm webhook add`.")
    profile = chosen_profile(ctx)
    farm = profile.url if profile else profiles.LOCAL
    if url is None:
        show(own_webhooks.load(), terminal)
    elif action is Action.ADD:
        webhook = Webhook(url, sys.stdin.readline().strip() if secret_stdin else secrets.token_urlsafe(32))
        own_webhooks.add(farm, webhook)
        if as_json:
            terminal.write_json({"farm": farm, "url": url, "secret": webhook.secret})
        else:
            terminal.show_raw(webhook.secret)
            terminal.remark("Keep the secret: the receiver checks the signature with it. Try it: farm webhook test URL")
    elif action is Action.REMOVE:
        own_webhooks.remove(farm, url)
        if as_json:
            terminal.write_json({"farm": farm, "url": url, "removed": True})
        else:
            terminal.show(f"{url} hears of your jobs no more.")
    else:
        status = send_test(own_webhooks.find(farm, url))
        if as_json:
            terminal.write_json({"url": url, "status": status, "taken": 200 <= status < 300})
        else:
            terminal.show(f"{url} answered {status}, which the farm takes for {'yes' if status < 300 else 'no'}.")


def show(found: list[own_webhooks.OwnWebhook], terminal: Terminal) -> None:
    """All webhooks, without their secrets."""
    if terminal.as_json:
        terminal.write_json([{"farm": each.farm, "url": each.webhook.url} for each in found])
    elif not found:
        terminal.remark("There are no webhooks yet; add one with: farm webhook add URL")
    else:
        table = plain_table("farm", "address")
        for each in found:
            table.add_row(each.farm, each.webhook.url)
        terminal.show(table)


def send_test(webhook: Webhook) -> int:
    """Send a signed request of the type `farm.test`; the status of the answer. FarmUnreachable."""
    # Only who tests needs the HTTP library.
    import httpx

    content = json.dumps({"type": "farm.test"}).encode()
    identifier, timestamp = f"test-{secrets.token_hex(4)}", str(int(time.time()))
    headers = {
        "content-type": "application/json",
        "webhook-id": identifier,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(webhook.secret, identifier, timestamp, content),
    }
    try:
        return httpx.post(webhook.url, content=content, headers=headers, timeout=TIMEOUT).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FarmUnreachable(f"{webhook.url} does not answer ({reason_of(error)}); check the receiver.") from error
