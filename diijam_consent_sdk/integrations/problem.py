"""
Turn a denial, and any other error of the library, into an HTTP response: an RFC 9457 problem document.

Every framework sends the same ones, so a page needs one way to show them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from .._logging import log
from ..decisions import Decision
from ..errors import ConsentDenied, ConsentError
from ..status import cause_of
from ..stores.problem_document import PROBLEM_TYPE
from ..vocabulary import LANGUAGES, Language
from .failures import FAILURES, TEXTS

PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 30
FORBIDDEN = 403
TITLES: Mapping[Language, str] = {
    "vi": "Không được phép sử dụng dữ liệu này",
    "en": "This use of the data is not allowed",
}


@attrs.frozen
class ProblemResponse:
    """Status, headers and body of an HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes


def error_response(error: ConsentError, accept_language: str | None = None) -> ProblemResponse:
    """
    Make the response to a request that ended in *error*, and log what needs an operator.

    Args:
        error: What was raised. A `ConsentDenied` is answered as `problem_response` answers its decision.

        accept_language: The request's header. Without Vietnamese or English in it, the text is Vietnamese.
    """
    if isinstance(error, ConsentDenied):
        return problem_response(error.decision, accept_language)
    failure = next(FAILURES[kind] for kind in type(error).__mro__ if kind in FAILURES)
    if failure.is_for_operator:
        log.error("request.failed", error=type(error).__name__, cause=cause_of(error))
    language = preferred_language(accept_language)
    title, *sentences = TEXTS[language][failure.key]
    response = _respond(failure.key, failure.status, language, title=title, detail=" ".join(sentences))
    if failure.may_retry:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def problem_response(decision: Decision, accept_language: str | None = None) -> ProblemResponse:
    """
    Make the response to a denied request. The status is 403 for every reason; the document has the reason.

    Args:
        decision: The denial.

        accept_language: The request's header. Without Vietnamese or English in it, the text is Vietnamese.
    """
    language = preferred_language(accept_language)
    return _respond(
        "denied", FORBIDDEN, language,
        title=TITLES[language], detail=decision.message(language), reason=decision.reason, clause=decision.clause,
    )  # fmt: skip


def _respond(key: str, status: int, language: Language, *, title: str, **fields: Any) -> ProblemResponse:
    document = {"type": PROBLEM_TYPE + key, "title": title, "status": status, **fields}
    headers = {"Cache-Control": "no-store", "Content-Language": language}
    return ProblemResponse(status, headers, json.dumps(document, ensure_ascii=False).encode())


def preferred_language(accept_language: str | None) -> Language:
    """Return the language of `LANGUAGES` that the header `Accept-Language` weighs highest; of equals the first."""
    weighed: list[tuple[float, Language]] = []
    for item in (accept_language or "").split(","):
        tag, _, weight = item.partition(";")
        named = tag.strip().partition("-")[0].lower()
        weighed += [(_weight(weight), language) for language in LANGUAGES if language == named]
    best = max(weighed, key=lambda one: one[0], default=(0.0, LANGUAGES[0]))
    return best[1] if best[0] > 0 else LANGUAGES[0]


def _weight(parameter: str) -> float:
    name, _, value = parameter.replace(" ", "").partition("=")
    try:
        return float(value) if name == "q" else 1.0
    except ValueError:
        return 0.0
