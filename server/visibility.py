"""What of the farm a token may see: its own jobs and models; all of them by the scope `admin` or on a shared farm."""

from __future__ import annotations

from db import jobs
from farm.access import Scope, TokenView
from farm.errors import NotPermitted
from server.state import State


def owner(state: State, token: TokenView) -> str | None:
    """The token whose jobs and models may be seen; None for all."""
    return None if state.server.shared or Scope.ADMIN in token.scopes else token.id


def job_id(state: State, token: TokenView, prefix: str) -> str:
    """The id of the visible job that begins so; JobNotFound, AmbiguousJob."""
    with state.database.read() as connection:
        return jobs.find(connection, prefix, owner(state, token))


def require_all(state: State, token: TokenView) -> None:
    """NotPermitted for a token that does not see all of the farm."""
    if owner(state, token) is not None:
        raise NotPermitted(f"The token {token.name} sees only its own jobs; this needs the scope {Scope.ADMIN}.")
