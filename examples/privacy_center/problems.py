"""What a visitor reads when something fails: in words, in both languages, and true to whether anything was recorded."""

from __future__ import annotations

import logging
from typing import Any

from litestar import Request
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException
from litestar.response import Redirect, Template

from diijam_consent_sdk.errors import ClientClosed, OutcomeUnknown, StoreError

from .pages import ELSEWHERE, PAGES, language_of
from .words import Words

log = logging.getLogger(__name__)


def answer(request: Request[Any, Any, Any], error: Exception) -> Template | Redirect:
    """The page for an error. Errors of the library carry no user id; what nobody foresaw is logged in full."""
    if isinstance(error, NotAuthorizedException) and request.app.state.identify is None:
        return Redirect("/", status_code=303)
    status, problem = _problem(request.method, error)
    if problem == "broken":
        log.error("center.broken", exc_info=error)
    page = request.url.path.strip("/")
    return Template(
        template_name="problem.html",
        status_code=status,
        context={
            "t": Words(language_of(request)),
            "problem": problem,
            "page": page if page in PAGES else "",
            "languages": {},  # the form of a switch would need a token, and this page may come before there is one
            "customer": None,
        },
    )


def _problem(method: str, error: Exception) -> tuple[int, str]:  # noqa: PLR0911 - a row each
    """The status, and the key of the words."""
    match error:
        case OutcomeUnknown():
            return 503, "outcome"
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
