"""Who may do what through the API: scopes, quotas, and tokens as everybody may see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """What a token may do. `admin` includes the other two."""

    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True)
class Quotas:
    """How much a token may have at once; None is no limit. max_bytes: of uploaded model files."""

    max_queued: int | None = None
    max_running: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True)
class TokenView:
    """A token without its secret, which nobody can read any more once it was made."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    quotas: Quotas
    created_at: datetime
    revoked_at: datetime | None

    def allows(self, scope: Scope) -> bool:
        """Whether the token may do what needs that scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


@dataclass(frozen=True)
class NewToken:
    """A token just made, with its secret, which is shown this once."""

    token: TokenView
    secret: str
