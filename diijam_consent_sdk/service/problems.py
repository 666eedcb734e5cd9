"""The one place where what went wrong becomes an RFC 9457 problem document."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
from ..errors import InvalidEvent, OutcomeUnknown, StoreUnavailable, StoreUnusable, TooLarge, VersionConflict
from ..status import cause_of
from ..stores import messages, wire
from ..stores.messages import PROBLEM_TYPE, Problem
from .store_executor import MisusedStore
from .tokens import TokensUnreadable

PROBLEM_JSON = "application/problem+json"
PROBLEMS = {
    "not-found": (404, "There is nothing at this path"),
    "wrong-method": (405, "This path does not take this method"),
    "internal": (500, "Internal error"),
    **messages.PROBLEMS,
}

# What the framework raises, by status: the problem's key, and what to do next.
OF_STATUS = {
    404: ("not-found", "see /openapi.json for the paths there are"),
    405: ("wrong-method", "use a method that the header Allow names"),
    413: ("too-large", f"send at most {messages.MAX_BODY_BYTES} bytes: ask for fewer users or append fewer events"),
}
OF_CLASS: tuple[tuple[type[Exception], str], ...] = (
    (InvalidEvent, "invalid-event"),  # before ValueError, which it is too
    (VersionConflict, "version-conflict"),
    (TooLarge, "too-large"),  # before StoreUnavailable, which it is too
    (StoreUnavailable, "store-unavailable"),
    (TokensUnreadable, "store-unavailable"),
    (OutcomeUnknown, "outcome-unknown"),
    (StoreUnusable, "store-unusable"),
    (MisusedStore, "malformed"),
    (wire.Malformed, "malformed"),
)
STORE_FAILED = frozenset({"store-unavailable", "store-unusable"})  # whose cause is for those who run the service

# A quoted value, also one that never ends: so each is read once, whatever a caller made of it. No apostrophe of a word.
QUOTED = re.compile(r"""(?<!\w)(?:'(?:\\.|[^'\\])*(?:'|\\?\Z)|"(?:\\.|[^"\\])*(?:"|\\?\Z))""", re.DOTALL)
MAX_TEXT = (
    1_000  # characters of an error's text that are looked at: it may quote what a caller sent, whatever its length
)
HOLD_IDS = re.compile(r"(?<=release them first): .*", re.DOTALL)


class Refused(Exception):
    """A question that is answered with a problem: its key in `PROBLEMS`, what to do next, and headers."""

    def __init__(self, key: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(key)
        self.key = key
        self.detail = detail
        self.headers = dict(headers or {})


def problem(key: str, detail: str, *, expected: int | None = None, actual: int | None = None) -> Problem:
    """
    A problem document.

    Args:
        key: Of `PROBLEMS`.

        detail: What to do next.

        expected: The version that an append expected.

        actual: The version that the record is at.

    Returns:
        The document.
    """
    status, title = PROBLEMS[key]
    return Problem(
        type=PROBLEM_TYPE + key, title=title, status=status, detail=detail, expected=expected, actual=actual
    )  # fmt: skip


def answer(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer to a question that ended in *error*; what was not foreseen is logged, without what it says."""
    headers: dict[str, str] = {}
    if isinstance(error, Refused):
        document, headers = problem(error.key, error.detail), error.headers
    elif isinstance(error, HTTPException) and error.status_code in OF_STATUS:
        document, headers = problem(*OF_STATUS[error.status_code]), dict(error.headers or {})
    elif isinstance(error, HTTPException) and error.status_code < 500:
        document = problem("malformed", "see /openapi.json for what this path takes")
    else:
        document = _document(error)
    # What is unset is left out: RFC 9457 knows no null.
    fields = {name: value for name, value in msgspec.structs.asdict(document).items() if value is not None}
    content = msgspec.json.encode(fields)
    return Response(content, media_type=PROBLEM_JSON, status_code=document.status, headers=headers)


def key_of(error: Exception) -> str:
    """The key of the problem that *error* of the store or of the codec is; `internal` if it is unforeseen."""
    return next((key for kind, key in OF_CLASS if isinstance(error, kind)), "internal")


def _document(error: Exception) -> Problem:
    key = key_of(error)
    if key == "internal":
        frame = extract_tb(error.__traceback__)[-1]
        log.error("service.failed", error=type(error).__name__, where=f"{Path(frame.filename).name}:{frame.lineno}")
        return problem(key, "try again; if it stays so, tell those who run the service to look at its log")
    if isinstance(error, TokensUnreadable):  # whose own text names a file: it is for the log
        return problem(key, "the service cannot read its tokens file, and lets nobody in until that is put right")
    if isinstance(error, VersionConflict):
        return problem(key, str(error), expected=error.expected, actual=error.actual)
    if key in STORE_FAILED:
        log.warning("service.store_failed", error=type(error).__name__, cause=cause_of(error))
    return problem(key, without_values(str(error)))


def without_values(text: str) -> str:
    """
    An error's text without the values it may quote: words of this library stay, anything else may be personal.

    Args:
        text: What an error says.

    Returns:
        Its first `MAX_TEXT` characters, each other quoted value replaced by an ellipsis, the ids of holds left out.
    """
    text = HOLD_IDS.sub("", text[:MAX_TEXT])
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
