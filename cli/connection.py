"""Which farm a command talks to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import typer

from cli import profile_option
from cli.terminal import open_terminal
from client import profiles
from client.protocol import Farm
from farm import settings
from farm.errors import UsageError
from farm.job_request import Layer
from farm.loading import gc_paused

if TYPE_CHECKING:
    from client.http import HttpFarm
    from client.tokens import TokenRegister


def connect(ctx: typer.Context) -> Farm:
    """The farm of the chosen profile, unless the caller of the app handed another in as `obj`, which gives it."""
    if ctx.obj is not None:
        return cast(Callable[[], Farm], ctx.obj)()
    profile = chosen_profile(ctx)
    if not ctx.params.get("as_json") and not ctx.resilient_parsing:
        say_which(profile)
    # Half of a command's start-up is the import of the database's library; who does without the farm need not wait.
    with gc_paused():
        if profile is None:
            from client.local import LocalFarm

            return LocalFarm(settings.load())
        from client.remote import RemoteFarm
    return RemoteFarm(_http(profile))


def require_local(ctx: typer.Context, what: str) -> None:
    """UsageError when the chosen profile is a farm elsewhere: the command is about this machine's farm alone."""
    profile = chosen_profile(ctx)
    if profile is not None:
        raise UsageError(
            f"{what} is about this machine's farm, and the profile {profile.name} is a farm at {profile.url}; run"
            " it there, or add --profile local."
        )


def say_which(profile: profiles.Profile | None) -> None:
    """Say on stderr which farm answers where more than one is known, unless a program reads along."""
    if profiles.load().urls:
        open_terminal().remark(f"Farm: {f'{profile.name} ({profile.url})' if profile else 'this machine (local)'}")


def connect_tokens(ctx: typer.Context) -> TokenRegister:
    """The tokens of the farm of the chosen profile."""
    profile = chosen_profile(ctx)
    with gc_paused():
        if profile is None:
            from client.local_tokens import LocalTokens

            return LocalTokens(settings.load())
        from client.tokens import RemoteTokens
    return RemoteTokens(_http(profile))


def chosen_profile(ctx: typer.Context) -> profiles.Profile | None:
    """The profile that was asked for, or the default one; None for the embedded farm. ProfileUnknown."""
    return profiles.load().choose(ctx.meta.get(profile_option.META_KEY))


def profile_options(ctx: typer.Context) -> tuple[Layer, ...]:
    """What the chosen profile asks for in new jobs. ProfileUnknown."""
    return profiles.load().layers(ctx.meta.get(profile_option.META_KEY))


def _http(profile: profiles.Profile) -> HttpFarm:
    # Only who talks to a farm elsewhere needs the HTTP library.
    from client.http import HttpFarm

    return HttpFarm(profile.url, profiles.token(profile))
