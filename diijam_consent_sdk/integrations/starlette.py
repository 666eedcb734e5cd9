"""
Starlette and FastAPI: call `install(app, client, identify)` once, then `user_of(request)`, in FastAPI as
`Depends(user_of)`. It loads a `UserConsent` once per user and request. A `ConsentDenied` becomes 403 with its reason,
any other `ConsentError` a problem document that a customer can read.
`unsubscribe(client, links)` is the route of the links in mails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from .._extras import needs_extra

with needs_extra("the Starlette integration", "starlette", "starlette"):
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware.exceptions import ExceptionMiddleware
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.routing import Route

from ..cache.user import UserConsent
from ..client import AsyncConsentClient, ConsentClient
from ..errors import ConsentDenied, ConsentError
from .identity import is_current, require_user_id
from .problem import PROBLEM_JSON, error_response
from .unsubscribe_page import ALLOWED, HTML, LANGUAGE, UnsubscribeResponse, Unsubscribing

if TYPE_CHECKING:
    from ..links import UnsubscribeLinks

Identify = Callable[[HTTPConnection], str | None]
Installed = tuple[AsyncConsentClient | ConsentClient, Identify]
ATTRIBUTE = "_diijam_consent"  # of both states; an application may have a `consent` of another kind there


def install(app: Starlette, client: AsyncConsentClient | ConsentClient, identify: Identify) -> None:
    """
    Install consent in an application, before it starts or in its lifespan. The client stays open when it ends.

    The library's errors get an exception handler (docs/how-to/choices.md). The application's own for one of them stays,
    and so does one for `ConsentError`; only that for `ConsentDenied` is replaced.

    Args:
        app: An application of Starlette or FastAPI.

        client: The client that loads users. A `ConsentClient` is called in threads.

        identify: Returns the id of the user that a request comes from, None if from nobody. It must be the id of the
            user who signed in, never one that the request merely names. It is called each time.

    Raises:
        RuntimeError: the application has started, and a middleware hides where its exception handlers are.
    """
    kinds = [ConsentDenied] if ConsentError in app.exception_handlers else [ConsentDenied, ConsentError]
    layer = app.middleware_stack and _find_exception_layer(app.middleware_stack)
    setattr(app.state, ATTRIBUTE, (client, identify))
    for kind in kinds:
        app.add_exception_handler(kind, failed)
        if layer is not None:
            layer.add_exception_handler(kind, failed)


async def user_of(request: Request) -> UserConsent:
    """
    Return the consent of the user that a request comes from now, loaded once per user and request.

    Raises:
        ConsentDenied: the request comes from nobody.

        RuntimeError: consent was not installed in this application.
    """
    installed: Installed | None = getattr(request.app.state, ATTRIBUTE, None)
    if installed is None:
        raise RuntimeError("consent is not installed: call install(app, client, identify)")
    client, identify = installed
    user_id = require_user_id(identify(request))
    kept: tuple[object, UserConsent] | None = getattr(request.state, ATTRIBUTE, None)
    # A mounted application shares the request, and may have another client.
    if kept is None or kept[0] is not client or not is_current(kept[1], user_id):
        kept = (client, await _load(client, user_id))
        setattr(request.state, ATTRIBUTE, kept)
    return kept[1]


async def failed(request: Request, error: Exception) -> Response:
    """Handle a `ConsentError` with its problem document; any other error is raised again."""
    if not isinstance(error, ConsentError):
        raise error
    problem = error_response(error, request.headers.get("accept-language"))
    return Response(problem.body, problem.status, problem.headers, PROBLEM_JSON)


def unsubscribe(client: AsyncConsentClient | ConsentClient, links: UnsubscribeLinks) -> Route:
    """
    Make the route of unsubscribe links, at `{token}`: mount it where the links' base URL leads.

    GET and HEAD show a page and change nothing. POST records `Withdrawn` with `Method.LINK` and answers 200. The status
    is 404 for a link that does not open, 410 for an erased customer's, and 503 if the no could not be recorded now.

    Args:
        client: The client that records. A `ConsentClient` is called in threads.

        links: What opens the links.
    """

    async def endpoint(request: Request) -> Response:
        """Answer a request to a link."""
        asked = Unsubscribing(
            links,
            request.path_params["token"],
            request.query_params.get(LANGUAGE),
            request.headers.get("accept-language"),
        )
        answer = await _unsubscribe(asked, client, is_post=request.method == "POST")
        return Response(answer.body, answer.status, answer.headers, HTML)

    return Route("/{token}", endpoint, methods=list(ALLOWED), name="unsubscribe")


async def _unsubscribe(
    asked: Unsubscribing, client: AsyncConsentClient | ConsentClient, *, is_post: bool
) -> UnsubscribeResponse:
    link = asked.link()
    if link is None:
        return asked.missing()
    if not is_post:
        return asked.ask(link)
    event, provenance = asked.withdrawal(link)
    try:
        if isinstance(client, ConsentClient):
            await run_in_threadpool(client.record, link.user_id, event, provenance=provenance)
        else:
            await client.record(link.user_id, event, provenance=provenance)
    except ConsentError as error:
        return asked.failed(error, link)
    return asked.done(link)


async def _load(client: AsyncConsentClient | ConsentClient, user_id: str) -> UserConsent:
    if isinstance(client, ConsentClient):
        return await run_in_threadpool(client.user, user_id)
    user: Awaitable[UserConsent] = client.user(user_id)
    return await user


def _find_exception_layer(stack: object) -> ExceptionMiddleware:
    """Find the layer that holds the exception handlers of a started application, which ignores those added later."""
    layer = stack
    while not isinstance(layer, ExceptionMiddleware):
        if layer is None:
            raise RuntimeError("the application has started: call install(app, client, identify) before it does")
        layer = cast("object", getattr(layer, "app", None))
    return layer
