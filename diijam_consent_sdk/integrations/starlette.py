"""
Starlette and FastAPI. `install(app, client, identify)` once; then `UserConsent` by `user_of(request)`, in FastAPI
by `Depends(user_of)`: loaded once per user and request. A `ConsentDenied` becomes 403 with its reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from .._extras import needs_extra

with needs_extra("the Starlette integration", "starlette", "starlette"):
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware.exceptions import ExceptionMiddleware
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response

from ..cache.user import UserConsent
from ..client import AsyncConsentClient, ConsentClient
from ..errors import ConsentDenied
from .identity import somebody, still_answers
from .problem import PROBLEM_JSON, answer

Identify = Callable[[HTTPConnection], str | None]
Installed = tuple[AsyncConsentClient | ConsentClient, Identify]
KEPT = "_diijam_consent"  # in both states, where an application may well have a `consent` that is something else


def install(app: Starlette, client: AsyncConsentClient | ConsentClient, identify: Identify) -> None:
    """
    Make consent known to an application, before it starts or in its lifespan. Whoever made the client closes it.

    Args:
        app: Of Starlette or FastAPI.

        client: Asked for users; a `ConsentClient` is asked in threads.

        identify: The id of the user a request comes from, None if from nobody: of whom it was proven, never one that
            the request merely names. It is asked each time, and answers for the user of that moment.

    Raises:
        RuntimeError: the application has started, and a middleware hides where its exception handlers are.
    """
    if app.middleware_stack is not None:
        _handlers_in(app.middleware_stack).add_exception_handler(ConsentDenied, denied)
    setattr(app.state, KEPT, (client, identify))
    app.add_exception_handler(ConsentDenied, denied)


async def user_of(request: Request) -> UserConsent:
    """
    The consent of the user that a request comes from now, loaded once per user and request.

    Raises:
        ConsentDenied: the request comes from nobody.

        RuntimeError: consent was not installed in this application.
    """
    installed: Installed | None = getattr(request.app.state, KEPT, None)
    if installed is None:
        raise RuntimeError("consent is not installed: call install(app, client, identify)")
    client, identify = installed
    user_id = somebody(identify(request))
    kept: tuple[object, UserConsent] | None = getattr(request.state, KEPT, None)
    # A mounted application shares the request, and may have another client.
    if kept is None or kept[0] is not client or not still_answers(kept[1], user_id):
        kept = (client, await _load(client, user_id))
        setattr(request.state, KEPT, kept)
    return kept[1]


async def denied(request: Request, error: Exception) -> Response:
    """Answer a request that ended in `ConsentDenied`; as an exception handler, any other error is raised again."""
    if not isinstance(error, ConsentDenied):
        raise error
    no = answer(error.decision, request.headers.get("accept-language"))
    return Response(no.body, no.status, no.headers, PROBLEM_JSON)


async def _load(client: AsyncConsentClient | ConsentClient, user_id: str) -> UserConsent:
    if isinstance(client, ConsentClient):
        return await run_in_threadpool(client.user, user_id)
    user: Awaitable[UserConsent] = client.user(user_id)
    return await user


def _handlers_in(stack: object) -> ExceptionMiddleware:
    """The layer with the exception handlers of an application that has started: it no longer looks at the others."""
    layer = stack
    while not isinstance(layer, ExceptionMiddleware):
        if layer is None:
            raise RuntimeError("the application has started: call install(app, client, identify) before it does")
        layer = cast("object", getattr(layer, "app", None))
    return layer
