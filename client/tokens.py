"""The tokens of a farm, for its operator: at the farm's own machine, or from elsewhere with an admin's token."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from client.http import HttpFarm
from farm.access import NewToken, Quotas, Scope, TokenView


class TokenRegister(Protocol):
    """Every token of a farm."""

    def create(self, name: str, scopes: Collection[Scope], quotas: Quotas) -> NewToken:
        """Make a token; its secret is never shown again."""

    def every(self) -> list[TokenView]:
        """All tokens, the newest first, also revoked ones."""

    def revoke(self, token_id: str) -> TokenView:
        """End a token; TokenNotFound."""


class RemoteTokens:
    """The tokens of a farm elsewhere; NotPermitted without the scope admin."""

    def __init__(self, http: HttpFarm) -> None:
        self._http = http

    def own(self) -> TokenView:
        """The token that asks."""
        token: TokenView = self._http.ask(TokenView, "GET", "/v1/token")
        return token

    def create(self, name: str, scopes: Collection[Scope], quotas: Quotas) -> NewToken:
        """Make a token; see TokenRegister."""
        body = {
            "name": name,
            "scopes": [scope.value for scope in scopes],
            "max_queued": quotas.max_queued,
            "max_running": quotas.max_running,
            "max_bytes": quotas.max_bytes,
        }
        made: NewToken = self._http.ask(NewToken, "POST", "/v1/tokens", json=body)
        return made

    def every(self) -> list[TokenView]:
        """All tokens; see TokenRegister."""
        found: list[TokenView] = self._http.ask(list[TokenView], "GET", "/v1/tokens")
        return found

    def revoke(self, token_id: str) -> TokenView:
        """End a token; see TokenRegister."""
        revoked: TokenView = self._http.ask(TokenView, "DELETE", f"/v1/tokens/{token_id}")
        return revoked
