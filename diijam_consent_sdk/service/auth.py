"""Authorization: a request's bearer token has to allow the operation. Checked before the body is read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from ..events import Event
from ..identifiers import MAX_ID_CHARACTERS
from .context import ServiceContext
from .problems import Refused
from .scopes import RECORDS, Scope, expanded, needed_for
from .tokens import HELP, TokenEntry

Connection = ASGIConnection[Any, Any, Any, Any]
CHALLENGE = "WWW-Authenticate"
WHO_GIVES = "who runs the consent service gives one that has it (diijam-consent token new)"


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
        raise _forbidden(connection, entry, scopes, " or ")


def authorize_append(connection: Connection, events: Iterable[Event], *, is_import: bool = False) -> None:
    """
    Check that the request's token, found by `authorize`, has the scopes of all these events.

    Raises:
        Refused: 403, it lacks some; the problem names them.
    """
    entry: TokenEntry = connection.state.token
    missing = needed_for(events, is_import=is_import) - expanded(entry.scopes)
    if missing:
        raise _forbidden(connection, entry, missing, " and ")


def may_read(connection: Connection) -> bool:
    """Whether the request's token, found by `authorize`, may read records."""
    entry: TokenEntry = connection.state.token
    return Scope.READ in entry.scopes


def _forbidden(connection: Connection, entry: TokenEntry, scopes: Collection[Scope], joint: str) -> Refused:
    """Make the refusal of a token that lacks scopes."""
    context: ServiceContext = connection.app.state.context
    context.metrics.record_refusal("scope")
    why = "a record answers every ask" if scopes == RECORDS else "a scope includes no other"
    has = f"it has {', '.join(sorted(entry.scopes))}, and {why}"
    detail = f"the token of {entry.name} lacks the scope {joint.join(sorted(scopes))} ({has}): {WHO_GIVES}"
    challenge = f'Bearer error="insufficient_scope", scope="{" ".join(sorted(scopes))}"'
    return Refused("forbidden", detail, {CHALLENGE: challenge}, scopes=sorted(scopes))


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


def writer(token: TokenEntry, passed_on: str | None) -> str:
    """
    Name who writes: the token, followed by the writer that it *passed_on* if the token is a relay's.

    Through many relays, the names nearest to this ledger are kept: those it can vouch for.
    """
    if passed_on is None or Scope.RELAY not in token.scopes:
        return token.name
    return f"{token.name}/{passed_on}"[:MAX_ID_CHARACTERS].rstrip()
