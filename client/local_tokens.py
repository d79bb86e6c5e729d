"""The tokens of the farm on this machine."""

from __future__ import annotations

from collections.abc import Collection

from db import tokens
from db.session import open_database
from farm.access import NewToken, Quotas, Scope, TokenView
from farm.settings import Settings


class LocalTokens:
    """Fulfils client.tokens.TokenRegister by the database."""

    def __init__(self, settings: Settings) -> None:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = open_database(settings.database, migrate=settings.migrate)

    def create(self, name: str, scopes: Collection[Scope], quotas: Quotas) -> NewToken:
        """Make a token; see TokenRegister."""
        return tokens.create(self._database, name, scopes, quotas)

    def every(self) -> list[TokenView]:
        """All tokens; see TokenRegister."""
        return tokens.every(self._database)

    def revoke(self, token_id: str) -> TokenView:
        """End a token; see TokenRegister."""
        return tokens.revoke(self._database, token_id)
