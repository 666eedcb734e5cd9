"""Authorization: a request's bearer token has to allow the operation. Checked before the body is read."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from .context import ServiceContext
from .problems import Refused
from .scopes import Scope, expanded
from .tokens import HELP, TokenEntry

Connection = ASGIConnection[Any, Any, Any, Any]
CHALLENGE = "WWW-Authenticate"


def requires(scopes: Collection[Scope]) -> Guard:
    """Make a guard that refuses requests whose token has none of these scopes."""

    def guard(connection: Connection, _: BaseRouteHandler) -> None:
        authorize(connection, scopes)

    return guard


def authorize(connection: Connection, scopes: Collection[Scope]) -> None:
    """
    Check that the request's token is valid now and has one of *scopes*. Its entry becomes `connection.state.token`.

    Raises:
        Refused: 401 without a valid token, 403 without the scope.

        TokensUnreadable: 503, the tokens cannot be read.
    """
    context: ServiceContext = connection.app.state.context
    entry = _authenticate(connection, context)
    connection.state.token = entry
    if expanded(entry.scopes).isdisjoint(scopes):
        context.metrics.record_refusal("scope")
        needed = " or ".join(sorted(scopes))
        detail = f"this needs a token with the scope {needed}; who runs the service makes one: diijam-consent token new"
        raise Refused("forbidden", detail, {CHALLENGE: f'Bearer error="insufficient_scope", scope="{needed}"'})


def _authenticate(connection: Connection, context: ServiceContext) -> TokenEntry:
    """Find the entry of the request's token."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        context.metrics.record_refusal("none")
        detail = f"send the header Authorization: Bearer and a token; {HELP}"
        raise Refused("unauthorized", detail, {CHALLENGE: "Bearer"})
    entry = context.tokens.find(token.strip())
    if entry is None:
        context.metrics.record_refusal("unknown")
        detail = f"the token is not known here, or not any more; {HELP}"
        raise Refused("unauthorized", detail, {CHALLENGE: 'Bearer error="invalid_token"'})
    if entry.has_expired(datetime.now(UTC)):
        context.metrics.record_refusal("expired")
        detail = f"the token has expired: use the new one if it was rotated, else {HELP}"
        raise Refused("unauthorized", detail, {CHALLENGE: 'Bearer error="invalid_token"'})
    return entry
