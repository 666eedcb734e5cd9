"""Who may ask: the bearer token of a request against the scope of what it asks."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from .metrics import Meters
from .problems import Refused
from .tokens import HELP, Scope, TokenFile

Connection = ASGIConnection[Any, Any, Any, Any]
CHALLENGE = "WWW-Authenticate"


def needs(scope: Scope) -> Guard:
    """A guard that lets in whoever sends a token with this scope, before the body is read."""

    def guard(connection: Connection, _: BaseRouteHandler) -> None:
        admit(connection, scope)

    return guard


def admit(connection: Connection, scope: Scope) -> None:
    """
    See that the request's token allows *scope* now.

    Raises:
        Refused: 401 without a known token, 403 without the scope.

        TokensUnreadable: 503, the tokens cannot be read.
    """
    meters: Meters = connection.app.state.meters
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        meters.refused("none")
        detail = f"send the header Authorization: Bearer and a token; {HELP}"
        raise Refused("unauthorized", detail, {CHALLENGE: "Bearer"})
    tokens: TokenFile = connection.app.state.tokens
    scopes = tokens.scopes_of(token.strip())
    if scopes is None:
        meters.refused("unknown")
        detail = f"the token is not known here, or not any more; {HELP}"
        raise Refused("unauthorized", detail, {CHALLENGE: 'Bearer error="invalid_token"'})
    connection.state.caller = hash(token)
    if scope not in scopes:
        meters.refused("scope")
        detail = f"this needs a token with the scope {scope}; make one with: diijam-consent token new --scope {scope}"
        raise Refused("forbidden", detail, {CHALLENGE: f'Bearer error="insufficient_scope", scope="{scope}"'})
