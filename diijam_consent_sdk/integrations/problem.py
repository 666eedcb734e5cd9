"""A denial as an HTTP answer: an RFC 9457 problem document, the same from every framework."""

from __future__ import annotations

import json
from typing import Any

import attrs

from ..decisions import Decision
from ..vocabulary import Reason

PROBLEM_JSON = "application/problem+json"
PROBLEM_TYPE = "urn:diijam-consent:denied"
LANGUAGES = ("vi", "en")
TITLES = {"vi": "Không được phép sử dụng dữ liệu này", "en": "This use of the data is not allowed"}
NOBODYS_NO = (Reason.UNAVAILABLE, Reason.STALE)  # row 1 of the decision table: the store did not answer


@attrs.frozen
class Answer:
    """Status, headers and body of an HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def answer(decision: Decision, accept_language: str | None = None) -> Answer:
    """
    The answer to a request that was denied: 403 for a customer's no, 503 where nothing could be known.

    Args:
        decision: The denial.

        accept_language: The request's header; Vietnamese if it names neither that nor English.
    """
    language = preferred(accept_language)
    status = 503 if decision.reason in NOBODYS_NO else 403
    document: dict[str, Any] = {
        "type": PROBLEM_TYPE,
        "title": TITLES[language],
        "status": status,
        "detail": decision.message(language),
        "reason": decision.reason,
        "clause": decision.clause,
    }
    headers = {"Cache-Control": "no-store", "Content-Language": language}
    if status == 503:
        headers["Retry-After"] = "1"
    return Answer(status, headers, json.dumps(document, ensure_ascii=False).encode())


def preferred(accept_language: str | None) -> str:
    """The language of `LANGUAGES` that a header `Accept-Language` weighs highest; of equals the first named."""
    weighed: list[tuple[float, str]] = []
    for item in (accept_language or "").split(","):
        tag, _, weight = item.partition(";")
        language = tag.strip().partition("-")[0].lower()
        if language in LANGUAGES:
            weighed.append((_weight(weight), language))
    best = max(weighed, key=lambda one: one[0], default=(0.0, ""))
    return best[1] if best[0] > 0 else LANGUAGES[0]


def _weight(parameter: str) -> float:
    name, _, value = parameter.replace(" ", "").partition("=")
    try:
        return float(value) if name == "q" else 1.0
    except ValueError:
        return 0.0
