"""Turns errors into RFC 9457 problem documents, in this one place, so that no answer repeats a customer's data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from traceback import extract_tb
from typing import Any

import attrs
import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from .. import vocabulary
from .._logging import log
from ..errors import (
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
from ..status import cause_of
from ..stores import message_fields, problem_document, wire
from ..stores.answers import MAX_POSITION, Cursor
from ..stores.problem_document import PROBLEM_TYPE, Problem
from .store_calls import InvalidArguments
from .tokens import TokensUnreadable

PROBLEM_JSON = "application/problem+json"
PROBLEMS = {
    "not-found": (404, "There is nothing at this path"),
    "wrong-method": (405, "This path does not take this method"),
    "internal": (500, "Internal error"),
    **problem_document.PROBLEMS,
}

LIMITS = (
    f"send at most {message_fields.LOAD_BODY_BYTES:,} bytes to load records,"
    f" {message_fields.APPEND_BODY_BYTES:,} to append,"
    f" {message_fields.MAX_BODY_BYTES:,} for many users or to register a notice,"
    f" and {message_fields.SMALL_BODY_BYTES:,} to ask anything else"
)

# By the status of an error of the framework: the problem's key, and what to do next.
PROBLEM_OF_STATUS = {
    404: ("not-found", "see /openapi.json for the paths there are"),
    405: ("wrong-method", "use a method that the header Allow names"),
    413: ("too-large", f"{LIMITS}: ask for fewer users or append fewer events"),
}
PROBLEM_OF_ERROR: tuple[tuple[type[Exception], str], ...] = (
    (InvalidEvent, "invalid-event"),  # before ValueError, its base
    (KeyReused, "key-reused"),
    (VersionConflict, "version-conflict"),
    (TooLarge, "too-large"),  # before StoreUnavailable, its base
    (StoreUnavailable, "store-unavailable"),
    (TokensUnreadable, "store-unavailable"),
    (NotEntitled, "forbidden"),  # a relay's own token
    (OutcomeUnknown, "outcome-unknown"),
    (LedgerBroken, "ledger-broken"),  # before StoreUnusable, its base
    (StoreUnusable, "store-unusable"),
    (InvalidArguments, "malformed"),
    (wire.Malformed, "malformed"),
)
RESTORE = "nothing is answered, and only noes are written, until it was restored and the service started again"
STORE_FAILED = frozenset({"store-unavailable", "store-unusable"})  # their causes are for the operator's log

# A quoted value, or one that never ends, so that each character is read once whatever the quotes. An apostrophe within
# a word begins no value.
# A host or port as libpq writes them, outside quotes.
ADDRESS = re.compile(r"\([0-9a-fA-F]{0,4}[:.][0-9a-fA-F:.%]{1,60}\)|\b(?:\d{1,3}\.){3}\d{1,3}\b|\bport \d{1,5}\b")
QUOTED = re.compile(r"""(?<!\w)(?:'(?:\\.|[^'\\])*(?:'|\\?\Z)|"(?:\\.|[^"\\])*(?:"|\\?\Z))""", re.DOTALL)
MAX_TEXT = 1_000  # characters of an error's text that are searched, since it may quote a question of any length
HOLD_IDS = re.compile(r"(?<=release them first): .*", re.DOTALL)


class Refused(Exception):
    """
    Raised to answer a question with a problem.

    Args:
        key: The problem's key in `PROBLEMS`.

        detail: What to do next.

        headers: Headers of the response.

        scopes: The scopes that the token lacks.
    """

    def __init__(
        self, key: str, detail: str, headers: Mapping[str, str] | None = None, *, scopes: Sequence[str] = ()
    ) -> None:
        super().__init__(key)
        self.scopes = scopes
        self.key = key
        self.detail = detail
        self.headers = dict(headers or {})


def check_position(cursor: Cursor) -> None:
    """
    Check a position that types do not hold to 64 bits.

    Raises:
        Refused: it is malformed.
    """
    if not 0 <= cursor.position <= MAX_POSITION:
        raise Refused("malformed", "correct the question: a position has 63 bits - at `$.after.position`")


def make_problem(
    key: str,
    detail: str,
    *,
    expected: int | None = None,
    actual: int | None = None,
    scopes: Sequence[str] = (),
    position: int | None = None,
) -> Problem:
    """
    Make a problem document.

    Args:
        key: The problem's key in `PROBLEMS`.

        detail: What to do next.

        expected: The version that the append expected.

        actual: The version that the record has.

        scopes: The scopes that the token lacks.

        position: The first position at which the ledger does not verify.

    Returns:
        The document.
    """
    status, title = PROBLEMS[key]
    return Problem(
        type=PROBLEM_TYPE + key, title=title, status=status, detail=detail, expected=expected, actual=actual,
        scopes=list(scopes) or None, position=position,
    )  # fmt: skip


@attrs.frozen
class ProblemAnswer:
    """The status, the headers and the content of an answer that is a problem document, of type `PROBLEM_JSON`."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def problem_answer(error: Exception) -> ProblemAnswer:
    """Make the answer to a question that ended in *error*. An unforeseen one is logged, without its text."""
    headers: Mapping[str, str] = {}
    if isinstance(error, Refused):
        document, headers = make_problem(error.key, error.detail, scopes=error.scopes), error.headers
    elif isinstance(error, HTTPException) and error.status_code in PROBLEM_OF_STATUS:
        document, headers = make_problem(*PROBLEM_OF_STATUS[error.status_code]), error.headers or {}
    elif isinstance(error, HTTPException) and error.status_code < 500:
        document = make_problem("malformed", "see /openapi.json for what this path takes")
    else:
        document = _document_of(error)
    # RFC 9457 has no null, so unset fields are left out.
    fields = {name: value for name, value in msgspec.structs.asdict(document).items() if value is not None}
    return ProblemAnswer(document.status, headers, msgspec.json.encode(fields))


def problem_response(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a request that the framework handles and that ended in *error*."""
    found = problem_answer(error)
    return Response(found.content, media_type=PROBLEM_JSON, status_code=found.status, headers=found.headers)


def problem_key(error: Exception) -> str:
    """Find the key of the problem that *error* becomes; `internal` if the error is unforeseen."""
    if isinstance(error, Refused):
        return error.key
    return next((key for kind, key in PROBLEM_OF_ERROR if isinstance(error, kind)), "internal")


def _document_of(error: Exception) -> Problem:
    key = problem_key(error)
    if key == "internal":
        frame = extract_tb(error.__traceback__)[-1]
        log.error("service.failed", error=type(error).__name__, where=f"{Path(frame.filename).name}:{frame.lineno}")
        return make_problem(key, "try again; if it stays so, tell those who run the service to look at its log")
    if isinstance(error, TokensUnreadable):  # its text names a file, which is for the log alone
        return make_problem(key, "the service cannot read its tokens file, and lets nobody in until that is put right")
    if isinstance(error, VersionConflict):
        return make_problem(key, str(error), expected=error.expected, actual=error.actual)
    if isinstance(error, LedgerBroken):  # logged once, when it was found
        return make_problem(key, f"{error}: {RESTORE}", position=error.position)
    if isinstance(error, NotEntitled):
        return make_problem(key, redact(str(error)), scopes=error.scopes)
    if key in STORE_FAILED:
        log.warning("service.store_failed", error=type(error).__name__, cause=cause_of(error))
    return make_problem(key, redact(str(error)))


def redact(text: str) -> str:
    """
    Remove from an error's text the values it may quote, unless they are words of this library.

    Args:
        text: The text of an error.

    Returns:
        Its first `MAX_TEXT` characters, with an ellipsis for each quoted value and each address, without ids of holds.
    """
    text = HOLD_IDS.sub("", text[:MAX_TEXT])
    text = ADDRESS.sub("…", text)
    return QUOTED.sub(lambda quoted: quoted[0] if quoted[0][1:-1] in _OUR_WORDS else "…", text)


def _our_words() -> frozenset[str]:
    found = set(wire.EVENT_TYPES)
    for kind in wire.EVENT_TYPES.values():
        found.update(field.name for field in attrs.fields(kind))
    for value in vars(vocabulary).values():
        if isinstance(value, type) and issubclass(value, StrEnum):
            found.update(value)
    return frozenset(found)


_OUR_WORDS = _our_words()
