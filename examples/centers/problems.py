"""What a visitor reads when something fails: in words, in both languages, and true to whether anything was recorded."""

from __future__ import annotations

import logging
from typing import Any

from litestar import Request
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException
from litestar.response import Redirect, Template

from diijam_consent_sdk.errors import ClientClosed, NotEntitled, OutcomeUnknown, StoreError

from .access import ELSEWHERE, language_of

log = logging.getLogger(__name__)


def answer(request: Request[Any, Any, Any], error: Exception) -> Template | Redirect:
    """The page for an error. Errors of the library carry no user id; what nobody foresaw is logged in full."""
    if isinstance(error, NotAuthorizedException) and request.app.state.identify is None:
        return Redirect("/", status_code=303)
    status, problem = problem_of(request.method, error)
    may_work_later = request.method == "GET" and (status >= 500 or status == 401)
    if problem == "broken":
        log.error("center.broken", exc_info=error)
    return Template(
        template_name="problem.html",
        status_code=status,
        context={
            **request.app.state.shown,
            "t": request.app.state.words(language_of(request)),
            "problem": problem,
            "again": request.url.path if may_work_later else "",
            "languages": {},  # the form of a switch would need a token, and this page may come before there is one
            "who": "",
        },
    )


def problem_of(method: str, error: Exception) -> tuple[int, str]:  # noqa: PLR0911 - a row each
    """The status, and the key of the words."""
    match error:
        case OutcomeUnknown():
            return 503, "outcome"
        case NotEntitled():
            return 503, "not_entitled"
        case StoreError() | ClientClosed():
            return 503, "unavailable" if method == "GET" else "not_written"
        case NotAuthorizedException():
            return 401, "signed_out"
        case PermissionDeniedException(detail=detail) if detail == ELSEWHERE:
            return 403, "elsewhere"
        case HTTPException(status_code=404):
            return 404, "not_found"
        case HTTPException(status_code=403):
            return 403, "forbidden"
        case HTTPException(status_code=status) if 400 <= status < 500:
            return status, "bad_form"
        case _:
            return 500, "broken"
