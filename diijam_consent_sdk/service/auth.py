"""Authorization: a question's bearer token has to allow the operation. Checked before the body is read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial

from ..errors import WHO_GIVES_SCOPES
from ..events import Event
from ..identifiers import MAX_ID_CHARACTERS, identifier
from .operation import Call
from .problems import Refused
from .scopes import ERASURES, READS, Scope, expanded, needed_for
from .store_calls import check_arguments
from .tokens import HELP, TokenEntry, TokensUnreadable

CHALLENGE = "WWW-Authenticate"


def authorize(call: Call, scopes: Collection[Scope], beside: Collection[Scope] = ()) -> None:
    """
    Check that the call's token is valid now and has one of *scopes*, and all *beside* it. Its entry becomes
    `call.token`.

    Raises:
        Refused: 401 without a valid token, 403 without the scope.

        TokensUnreadable: 503, the tokens cannot be read.
    """
    call.token = entry = _authenticate(call)
    call.caller = entry.name
    if expanded(entry.scopes).isdisjoint(scopes):
        raise _forbidden(call, scopes, " or ")
    if missing := set(beside) - entry.scopes:
        raise _forbidden(call, missing, " and ")


def authorize_again(call: Call, scopes: Collection[Scope], beside: Collection[Scope] = ()) -> None:
    """Do as `authorize` does, for a call that it let in; quickly, while the token's entry is as it was."""
    if not call.context.tokens.holds(call.token) or call.token.has_expired():
        authorize(call, scopes, beside)


def authorize_append(call: Call, events: Iterable[Event], *, is_import: bool = False) -> None:
    """
    Check that the call's token, found by `authorize`, has the scopes of all these events.

    Raises:
        Refused: 403, it lacks some; the problem names them.
    """
    holder = call.token.name if Scope.CONFIRM in call.token.scopes else None
    missing = needed_for(events, is_import=is_import, holder=holder) - expanded(call.token.scopes)
    if missing:
        raise _forbidden(call, missing, " and ")


def authorize_holder(call: Call, holder: str) -> None:
    """
    Check that the call's token, found by `authorize`, may see what a holder owes: any, or the one of its own name.

    Raises:
        Refused: 403, it may not.
    """
    is_own = Scope.CONFIRM in call.token.scopes and holder == call.token.name
    if not is_own and Scope.WRITE_ERASURES not in expanded(call.token.scopes):
        raise _forbidden(call, ERASURES, "")


def may_read(call: Call) -> bool:
    """Whether the call's token, found by `authorize`, may read records."""
    return Scope.READ in call.token.scopes


def may_still_read(call: Call) -> bool:
    """Whether the call's token, which could read when it was let in, may read now."""
    try:
        authorize_again(call, READS)
    except (Refused, TokensUnreadable):
        return False
    return True


def _forbidden(call: Call, scopes: Collection[Scope], joint: str) -> Refused:
    """Make the refusal of a token that lacks scopes."""
    entry = call.token
    has = f"it has {', '.join(sorted(entry.scopes))}, and a scope includes no other"
    detail = f"the token of {entry.name} lacks the scope {joint.join(sorted(scopes))} ({has}): {WHO_GIVES_SCOPES}"
    challenge = f'Bearer error="insufficient_scope", scope="{" ".join(sorted(scopes))}"'
    return Refused("forbidden", detail, {CHALLENGE: challenge}, scopes=sorted(scopes))


def _authenticate(call: Call) -> TokenEntry:
    """Find the entry of the call's token."""
    context = call.context
    scheme, _, token = call.authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        context.metrics.record_refusal("none")
        detail = f"send the header Authorization: Bearer and a token; {HELP}"
        raise Refused("unauthorized", detail, {CHALLENGE: "Bearer"})
    entry = context.tokens.find(token.strip())
    if entry is None:
        context.metrics.record_refusal("unknown")
        detail = f"the token is not known here, or not any more; {HELP}"
        raise Refused("unauthorized", detail, {CHALLENGE: 'Bearer error="invalid_token"'})
    if entry.has_expired():
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


def checked_writer(token: TokenEntry, passed_on: str | None) -> str:
    """
    Do as `writer` does, with a name that nobody has checked yet.

    Raises:
        InvalidArguments: *passed_on* is no id.
    """
    return writer(token, None if passed_on is None else check_arguments(partial(identifier, passed_on)))
