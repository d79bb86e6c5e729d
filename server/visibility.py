"""What of the farm a token may see: its own jobs and models; all of them by the scope `admin` or on a shared farm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from client.protocol import JobView
from db import jobs
from farm.access import Scope, TokenView
from farm.errors import NotPermitted
from server.state import State


def owner(state: State, token: TokenView) -> str | None:
    """The token whose jobs and models may be seen; None for all."""
    return None if state.server.shared or Scope.ADMIN in token.scopes else token.id


def shown(state: State, token: TokenView, views: Sequence[JobView]) -> list[JobView]:
    """Jobs as the token may see them: without the machine's folders, and their places in the queue among its own.

    A token that sees all is told the places among all. How long a queued job will wait depends on all, so that only
    such a token is told.
    """
    hidden, seen_by = [state.paths.job(view) for view in views], owner(state, token)
    if seen_by is None or all(view.position is None for view in hidden):
        return hidden
    with state.database.read() as connection:
        places = jobs.own_positions(connection, seen_by)
    return [
        view if view.position is None else replace(view, position=places.get(view.id), seconds_left=None)
        for view in hidden
    ]


def shown_job(state: State, token: TokenView, view: JobView) -> JobView:
    """One job as the token may see it."""
    return shown(state, token, [view])[0]


def job_id(state: State, token: TokenView, prefix: str) -> str:
    """The id of the visible job that begins so; JobNotFound, AmbiguousJob."""
    with state.database.read() as connection:
        return jobs.find(connection, prefix, owner(state, token))


def require_all(state: State, token: TokenView) -> None:
    """NotPermitted for a token that does not see all of the farm."""
    if owner(state, token) is not None:
        raise NotPermitted(f"The token {token.name} sees only its own jobs; this needs the scope {Scope.ADMIN}.")
