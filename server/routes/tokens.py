"""Tokens: one's own, and for administrators all of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as PathParameter

from db import tokens
from farm.access import NewToken, Quotas, TokenView
from farm.errors import TokenNotFound
from server.auth import Admin, Anyone
from server.problems import documented
from server.requests import TokenRequest
from server.state import FarmState

router = APIRouter(prefix="/v1", tags=["tokens"])
TokenId = Annotated[str, PathParameter(pattern=r"^[a-z][a-z0-9]{9}$")]


@router.get("/token", responses=documented())
def get_own_token(token: Anyone) -> TokenView:
    """The token that asks; any valid one may."""
    return token


@router.get("/tokens", responses=documented())
def list_tokens(state: FarmState, _token: Admin) -> list[TokenView]:
    """All tokens, the newest first, also revoked ones."""
    return tokens.every(state.database)


@router.post("/tokens", status_code=201, responses=documented())
def create_token(state: FarmState, _token: Admin, request: TokenRequest) -> NewToken:
    """Make a token; its secret is in this answer and nowhere else."""
    quotas = Quotas(request.max_queued, request.max_running, request.max_bytes)
    return tokens.create(state.database, request.name, request.scopes, quotas)


@router.delete("/tokens/{token_id}", responses=documented(TokenNotFound))
def revoke_token(state: FarmState, _token: Admin, token_id: TokenId) -> TokenView:
    """End a token, at once and forever."""
    return tokens.revoke(state.database, token_id)
