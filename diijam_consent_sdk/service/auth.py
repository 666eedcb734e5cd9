"""Authorization: a request's bearer token has to allow the scope of the operation. Checked before the body is read."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from .context import ServiceContext
from .problems import Refused
from .tokens import HELP, Scope

Connection = ASGIConnection[Any, Any, Any, Any]
CHALLENGE = "WWW-Authenticate"


def requires(scope: Scope) -> Guard:
    """Make a guard that refuses requests without a token of this scope."""

    def guard(connection: Connection, _: BaseRouteHandler) -> None:
        authorize(connection, scope)

    return guard


def authorize(connection: Connection, scope: Scope) -> None:
    """
    Check that the request's token allows *scope* now, and note the token as the request's caller.

    Raises:
        Refused: 401 without a known token, 403 without the scope.

        TokensUnreadable: 503, the tokens cannot be read.
    """
    context: ServiceContext = connection.app.state.context
    metrics = context.metrics
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        metrics.record_refusal("none")
        detail = f"send the header Authorization: Bearer and a token; {HELP}"
        raise Refused("unauthorized", detail, {CHALLENGE: "Bearer"})
    scopes = context.tokens.scopes_of(token.strip())
    if scopes is None:
        metrics.record_refusal("unknown")
        detail = f"the token is not known here, or not any more; {HELP}"
        raise Refused("unauthorized", detail, {CHALLENGE: 'Bearer error="invalid_token"'})
    connection.state.caller = hash(token)
    if scope not in scopes:
        metrics.record_refusal("scope")
        detail = f"this needs a token with the scope {scope}; make one with: diijam-consent token new --scope {scope}"
        raise Refused("forbidden", detail, {CHALLENGE: f'Bearer error="insufficient_scope", scope="{scope}"'})
