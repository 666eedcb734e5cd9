"""
Starlette and FastAPI. `install(app, client, identify)` once; then `UserConsent` by `user_of(request)`, in FastAPI
by `Depends(user_of)`: loaded once per request. A `ConsentDenied` becomes 403 with its reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

try:
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
except ImportError as error:  # pragma: no cover
    raise ImportError("this needs Starlette: pip install 'diijam-consent-sdk[starlette]'") from error

from ..client import AsyncConsentClient, ConsentClient
from ..errors import ConsentDenied
from ..user import UserConsent
from .identity import somebody
from .problem import PROBLEM_JSON, answer

Identify = Callable[[HTTPConnection], str | None]


def install(app: Starlette, client: AsyncConsentClient | ConsentClient, identify: Identify) -> None:
    """
    Make consent known to an application. Whoever made the client closes it.

    Args:
        app: Of Starlette or FastAPI.

        client: Asked for users; a `ConsentClient` is asked in threads.

        identify: The id of the user a request comes from, None if from nobody: of whom it was proven, never one that
            the request merely names.
    """
    app.state.consent, app.state.consent_identify = client, identify
    app.add_exception_handler(ConsentDenied, denied)


async def user_of(request: Request) -> UserConsent:
    """
    The consent of the user that a request comes from, loaded once per request.

    Raises:
        ConsentDenied: the request comes from nobody.

        RuntimeError: consent was not installed in this application.
    """
    user: UserConsent | None = getattr(request.state, "consent", None)
    if user is None:
        try:
            client, identify = request.app.state.consent, request.app.state.consent_identify
        except AttributeError:
            raise RuntimeError("consent is not installed: call install(app, client, identify)") from None
        user = request.state.consent = await _load(client, somebody(identify(request)))
    return user


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
