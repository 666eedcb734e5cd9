"""What a response with another status than 200 means: the error to raise, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ...errors import (
    ConsentError,
    InvalidEvent,
    KeyReused,
    LedgerBroken,
    NotEntitled,
    OutcomeUnknown,
    StoreUnavailable,
    StoreUnusable,
    TooLarge,
    VersionConflict,
)
from .. import wire
from .._retry import Failure
from ..problem_document import PROBLEM_TYPE, PROBLEMS, Problem
from .causes import NO_SERVICE

MAX_DETAIL_CHARACTERS = 500
MAX_SCOPES, MAX_SCOPE_CHARACTERS = 32, 64  # that an error keeps
TOO_LARGE = 413  # also from a proxy, whose response is no problem document
NOT_REACHED = frozenset({401, 403, 404, 405, 415, 421, 431})  # a service that responds so has appended nothing
PROXY = "a proxy before the service does not reach it: see that the service runs, and where the proxy sends this"
NO_PATH = "there is no consent service at this path: see that the URL (host, port, path) is right"
BROKEN = "the consent service found it so, and gives no answers until it was restored; noes are still written"
ADVICE = {
    401: "no token was sent, or one it does not know (any more: revoked or expired): set DIIJAM_CONSENT_TOKEN "
    "(or _TOKEN_FILE), or pass token=",
    403: "something before the service refuses this: look at its rules",
    404: NO_PATH,
    405: NO_PATH,
    421: NO_PATH,
    **dict.fromkeys((301, 302, 303, 307, 308), "it redirects, which is not followed: set the URL to where it leads"),
    **dict.fromkeys((502, 503, 504), PROXY),
    429: "something before the service limits how much is asked: look at its limits",
}

# Problems that are raised with the service's own detail.
WITH_DETAIL: Mapping[str, type[Exception]] = {
    "invalid-event": InvalidEvent,
    "key-reused": KeyReused,
    "malformed": ValueError,
    "unknown-holder": ValueError,
    "store-unusable": StoreUnusable,
}


def error_from(status: int, headers: Mapping[str, str], body: bytes, *, is_write: bool) -> Exception:
    """
    Choose the error that a response stands for.

    Args:
        status: Another than 200.

        headers: Their names in lower case.

        body: A problem document, if the service itself responded.

        is_write: Whether an append was sent, so that its outcome may be unknown.
    """
    try:
        problem = msgspec.convert(wire.decode(body), Problem)  # a newer service may send more fields
    except (wire.Malformed, msgspec.ValidationError):
        problem = Problem(type="", title="", status=status, detail="")
    kind, detail = problem.type.removeprefix(PROBLEM_TYPE), printable(problem.detail)
    known = _known_error(kind, problem, detail)
    if known is not None:
        return known
    if status == TOO_LARGE:
        return TooLarge("the question or its answer is too large: ask for fewer users or append fewer events")
    if status in NOT_REACHED:
        advice = ADVICE.get(status, "see that the URL is right")
        return StoreUnavailable(f"the consent service refused the call with status {status}: {advice}")
    # The service's own detail is more precise than its status; without one a proxy may have responded.
    advice = (detail or "try again") if kind in PROBLEMS else ADVICE.get(status, NO_SERVICE)
    # A relay's detail may be what its upstream told it, with advice for who runs the relay: so say whose words follow.
    says = " and says" if kind in PROBLEMS and detail else ""
    return Failure(
        f"the consent service answered with status {status}{says}",
        maybe_written=is_write and kind != "store-unavailable",
        retry_after=_seconds(headers.get("retry-after", "")),
        advice=advice,
    )


def _known_error(kind: str, problem: Problem, detail: str) -> Exception | None:
    """Make the error of a problem that settles what became of the question; None of any other."""
    if kind in WITH_DETAIL:
        return WITH_DETAIL[kind](detail)
    if kind == "version-conflict":
        return VersionConflict(problem.expected or 0, problem.actual)
    if kind == "forbidden":
        scopes = [printable(scope)[:MAX_SCOPE_CHARACTERS] for scope in (problem.scopes or ())[:MAX_SCOPES]]
        return NotEntitled(detail, scopes)
    if kind == "ledger-broken":
        return LedgerBroken(problem.position or 0, BROKEN)
    return None


def error_of_write(problem: Problem, idempotency_key: str) -> ConsentError | ValueError:
    """Choose the error that the problem of one of many appends stands for."""
    kind, detail = problem.type.removeprefix(PROBLEM_TYPE), printable(problem.detail)
    known = _known_error(kind, problem, detail)
    if isinstance(known, (ConsentError, ValueError)):
        return known
    if kind == "store-unavailable":
        return StoreUnavailable(detail or "try again")
    return OutcomeUnknown(f"{detail or 'it failed'}: repeat the append with the same idempotency_key", idempotency_key)


def printable(text: str) -> str:
    """Return the start of a text from the other side, without characters that a terminal or a log would interpret."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text[:MAX_DETAIL_CHARACTERS])


def _seconds(value: str) -> float:
    return float(value) if value.isascii() and value.isdigit() and len(value) < 9 else 0.0
