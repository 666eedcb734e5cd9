"""
Django: two settings and one middleware, then `user_of(request)` and `@requires(Market("email"))`.

    MIDDLEWARE = [..., "diijam_consent_sdk.integrations.django.ConsentMiddleware"]
    DIIJAM_CONSENT_CLIENT = "shop.consent.client"     # a ConsentClient
    DIIJAM_CONSENT_IDENTIFY = "shop.consent.user_id"  # (request) -> str | None; without it, request.user's primary key

`path("unsubscribe/<token>", unsubscribe(client, links))` serves the links in mails.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .._extras import needs_extra

with needs_extra("the Django middleware", "django", "django", "asgiref"):
    from asgiref.sync import iscoroutinefunction, sync_to_async
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase
    from django.utils.module_loading import import_string
    from django.views.decorators.csrf import csrf_exempt
    from django.views.decorators.http import require_http_methods

from ..cache.user import UserConsent
from ..client import ConsentClient
from ..decisions import Ask
from ..errors import ConsentError
from .identity import is_current, require_user_id
from .problem import PROBLEM_JSON, error_response
from .unsubscribe_page import ALLOWED, HTML, LANGUAGE, UnsubscribeResponse, Unsubscribing

if TYPE_CHECKING:
    from ..links import UnsubscribeLinks

CLIENT, IDENTIFY = "DIIJAM_CONSENT_CLIENT", "DIIJAM_CONSENT_IDENTIFY"
ATTRIBUTE = "_diijam_consent"

View = TypeVar("View", bound=Callable[..., Any])


class ConsentMiddleware:
    """
    Answers a request whose view raised a `ConsentError` with a problem document: for `ConsentDenied` 403 and the
    reason, for the others what the customer can do now (docs/how-to/choices.md).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """See Django: None leaves the error to others."""
        if not isinstance(error, ConsentError):
            return None
        problem = error_response(error, request.headers.get("Accept-Language"))
        return HttpResponse(problem.body, PROBLEM_JSON, problem.status, headers=problem.headers)


def user_of(request: HttpRequest) -> UserConsent:
    """
    Return the consent of the user that a request comes from now, loaded once per user and request.

    Raises:
        ConsentDenied: the request comes from nobody.

        ImproperlyConfigured: a setting is missing or wrong.
    """
    client, user_id = _get_client(), require_user_id(_identify(request))
    user: UserConsent | None = getattr(request, ATTRIBUTE, None)
    if user is None or not is_current(user, user_id):
        user = client.user(user_id)
        setattr(request, ATTRIBUTE, user)
    return user


def requires(ask: Ask) -> Callable[[View], View]:
    """
    Decorate a view, plain or async, to run only if the user of the request allows *ask*; else `ConsentDenied`.

    Args:
        ask: What the view does with the user's data.
    """

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):

            @functools.wraps(view)
            async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                """Run the view if the user allows it."""
                (await sync_to_async(user_of)(request)).decide(ask).or_raise()
                return await view(request, *args, **kwargs)
        else:

            @functools.wraps(view)
            def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                """Run the view if the user allows it."""
                user_of(request).decide(ask).or_raise()
                return view(request, *args, **kwargs)

        return cast("View", guarded)

    return decorate


def unsubscribe(client: ConsentClient, links: UnsubscribeLinks) -> Callable[..., HttpResponse]:
    """
    Make the view of unsubscribe links, for a path that ends in `<token>`.

    GET and HEAD show a page and change nothing. POST records `Withdrawn` with `Method.LINK` and answers 200, without a
    CSRF token, since mail programs send none and the link itself is the proof. The status is 404 for a link that does
    not open, 410 for an erased customer's, and 503 if the no could not be recorded now.

    Args:
        client: The client that records.

        links: What opens the links.
    """

    @csrf_exempt
    @require_http_methods(list(ALLOWED))
    def view(request: HttpRequest, token: str) -> HttpResponse:
        """Answer a request to a link."""
        asked = Unsubscribing(links, token, request.GET.get(LANGUAGE), request.headers.get("Accept-Language"))
        answer = _unsubscribe(asked, client, is_post=request.method == "POST")
        return HttpResponse(answer.body, HTML, answer.status, headers=answer.headers)

    return view


def _unsubscribe(asked: Unsubscribing, client: ConsentClient, *, is_post: bool) -> UnsubscribeResponse:
    link = asked.link()
    if link is None:
        return asked.missing()
    if not is_post:
        return asked.ask(link)
    event, provenance = asked.withdrawal(link)
    try:
        client.record(link.user_id, event, provenance=provenance)
    except ConsentError as error:
        return asked.failed(error, link)
    return asked.done(link)


def _get_client() -> ConsentClient:
    path = getattr(settings, CLIENT, None)
    if path is None:
        raise ImproperlyConfigured(f"{CLIENT} is not set: set it to the dotted path of a ConsentClient")
    client = import_string(path)
    if not isinstance(client, ConsentClient):
        raise ImproperlyConfigured(f"{CLIENT} names a {type(client).__name__}, not a ConsentClient")
    return client


def _identify(request: HttpRequest) -> str | None:
    path = getattr(settings, IDENTIFY, None)
    if path is not None:
        return cast("str | None", import_string(path)(request))
    user = getattr(request, "user", None)
    return str(user.pk) if user is not None and user.is_authenticated and user.pk is not None else None
