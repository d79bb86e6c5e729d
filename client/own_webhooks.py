"""The webhooks that a user gave: addresses that hear of the end of every job that is submitted from here.

They lie in `webhooks.toml` beside the tokens, which only the user may read, each with the farm that it is of: its
address, or `local`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from client import profiles
from farm.errors import SettingsInvalid, UsageError
from farm.webhooks import MOST, SECRET, Webhook

FILE = "webhooks.toml"


@dataclass(frozen=True)
class OwnWebhook:
    """A webhook and the farm whose jobs it hears of."""

    farm: str
    webhook: Webhook


def load() -> list[OwnWebhook]:
    """All of them, in the order in which they were given; SettingsInvalid."""
    path = _path()
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("webhooks", [])
        return [OwnWebhook(row["farm"], Webhook(row["url"], row["secret"])) for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsInvalid(f"{path} is damaged; delete it and add the webhooks again.") from error


def of(farm: str) -> tuple[Webhook, ...]:
    """Those of one farm."""
    return tuple(each.webhook for each in load() if each.farm == farm)


def add(farm: str, webhook: Webhook) -> None:
    """Remember one; UsageError for what is no address or secret, for one that is there, and for too many."""
    parts = urlsplit(webhook.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or not webhook.url.isascii():
        raise UsageError(f"{webhook.url[:200]!r} is no address of a webhook; give one such as https://example.org/hook")
    if SECRET.fullmatch(webhook.secret) is None:
        raise UsageError("A webhook's secret is 16 to 256 letters, digits and signs without spaces; give another.")
    known = load()
    if any((each.farm, each.webhook.url) == (farm, webhook.url) for each in known):
        raise UsageError(f"{webhook.url} is told of your jobs already; remove it first to change its secret.")
    if len(of(farm)) >= MOST:
        raise UsageError(f"A farm takes at most {MOST} webhooks for a job; remove one first.")
    _save([*known, OwnWebhook(farm, webhook)])


def remove(farm: str, url: str) -> None:
    """Forget one; UsageError when there is none of that address."""
    find(farm, url)
    _save([each for each in load() if (each.farm, each.webhook.url) != (farm, url)])


def find(farm: str, url: str) -> Webhook:
    """The one of that address; UsageError."""
    found = next((each for each in of(farm) if each.url == url), None)
    if found is None:
        raise UsageError(f"There is no webhook {url[:200]!r} here; `farm webhook list` shows them.")
    return found


def _save(kept: list[OwnWebhook]) -> None:
    import tomlkit

    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    rows = [{"farm": each.farm, "url": each.webhook.url, "secret": each.webhook.secret} for each in kept]
    profiles.write_private(path, tomlkit.dumps({"webhooks": rows}))


def _path() -> Path:
    return profiles.user_folder() / FILE
