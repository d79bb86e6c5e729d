"""Who asks: a bearer token, and the scope that a route needs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from db import tokens
from farm.access import Scope, TokenView
from farm.errors import NotAuthenticated, NotPermitted
from server.state import State, of

# A real one has 48 characters; what is longer is not worth a look.
MAX_SECRET = 256
_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="A token made by `farm token create`.")


def authenticate(
    needed: SecurityScopes,
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> TokenView:
    """The token of the request; NotAuthenticated, NotPermitted."""
    state: State = of(request)
    if given is None:
        raise NotAuthenticated("This farm asks for a token; log in with: farm login URL")
    secret = given.credentials
    token = tokens.recognise(state.database, secret) if len(secret) <= MAX_SECRET and secret.isascii() else None
    if token is None:
        raise NotAuthenticated("The token is unknown or was revoked; ask for a new one and run: farm login URL")
    for scope in needed.scopes:
        if not token.allows(Scope(scope)):
            raise NotPermitted(f"The token {token.name} may not do this; it needs the scope {scope}.")
    return token


Reader = Annotated[TokenView, Security(authenticate, scopes=[Scope.READ.value])]
Submitter = Annotated[TokenView, Security(authenticate, scopes=[Scope.SUBMIT.value])]
Admin = Annotated[TokenView, Security(authenticate, scopes=[Scope.ADMIN.value])]
Anyone = Annotated[TokenView, Security(authenticate, scopes=[])]
