"""
Turn a denial into an HTTP response, an RFC 9457 problem document.

Every framework sends the same one, so a page needs one way to show a refusal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from ..decisions import Decision
from ..vocabulary import LANGUAGES, Language

PROBLEM_JSON = "application/problem+json"
PROBLEM_TYPE = "urn:diijam-consent:denied"
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


def problem_response(decision: Decision, accept_language: str | None = None) -> ProblemResponse:
    """
    Make the response to a denied request. The status is 403 for every reason; the document has the reason.

    Args:
        decision: The denial.

        accept_language: The request's header. Without Vietnamese or English in it, the text is Vietnamese.
    """
    language = preferred_language(accept_language)
    document: dict[str, Any] = {
        "type": PROBLEM_TYPE,
        "title": TITLES[language],
        "status": FORBIDDEN,
        "detail": decision.message(language),
        "reason": decision.reason,
        "clause": decision.clause,
    }
    headers = {"Cache-Control": "no-store", "Content-Language": language}
    return ProblemResponse(FORBIDDEN, headers, json.dumps(document, ensure_ascii=False).encode())


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
