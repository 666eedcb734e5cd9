"""What a customer is answered where the library raised, over real applications of Starlette, FastAPI and Django."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeVar

import attrs
import httpx
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from diijam_consent_sdk import errors
from diijam_consent_sdk.decisions import DECISIONS
from diijam_consent_sdk.errors import ConsentDenied, ConsentError, StoreUnavailable
from diijam_consent_sdk.events import Withdrawn
from diijam_consent_sdk.integrations.failures import FAILURES, TEXTS
from diijam_consent_sdk.integrations.starlette import install
from diijam_consent_sdk.testing import ConsentForTests
from diijam_consent_sdk.vocabulary import LANGUAGES, Language

from . import test_django  # noqa: F401 - configures Django
from .test_unsubscribe import over

SECRET = "hold-4711"  # in every error's text, and in no answer


@attrs.frozen
class Answer:
    """What an error becomes; `is_logged`: for the operator."""

    error: ConsentError
    status: int
    key: str
    may_retry: bool = False
    is_logged: bool = False


ANSWERS = [
    Answer(StoreUnavailable(SECRET), 503, "store-unavailable", may_retry=True),
    Answer(errors.ClientClosed(SECRET), 503, "store-unavailable", may_retry=True),
    Answer(errors.OutcomeUnknown(SECRET, SECRET), 503, "outcome-unknown"),
    Answer(errors.VersionConflict(4711, 4712), 409, "version-conflict"),
    Answer(errors.InvalidEvent(SECRET), 409, "invalid-event"),
    Answer(errors.KeyReused(SECRET), 409, "key-reused"),
    *(
        Answer(error, 503, "out-of-order", is_logged=True)
        for error in (
            errors.TooLarge(SECRET),
            errors.NotEntitled(SECRET, ["write:consents"]),
            errors.StoreUnusable(SECRET),
            errors.LedgerBroken(4711, SECRET),
            errors.HeadNotContinued(4711, SECRET),
            errors.HistoryChanged(SECRET),
            errors.StoreError(SECRET),
            ConsentError(SECRET),
        )
    ),
]
DENIED = ConsentDenied(next(decision for decision in DECISIONS.values() if not decision))
Raise = Callable[[], object]
Send = Callable[..., httpx.Response]
T = TypeVar("T")


def starlette_app(client: ConsentForTests, fail: Raise, make: type[Starlette] = Starlette) -> Starlette:
    """A service whose view fails as it is told."""

    async def say(_: Request) -> Response:
        """The view."""
        fail()
        return PlainTextResponse("said")

    app = make(routes=[Route("/say", say, methods=["POST"])])
    install(app, client, lambda _: "u-1")
    return app


def django_views(fail: Raise) -> tuple[object, ...]:
    """The same view, plain and asynchronous."""

    def say(_: HttpRequest) -> HttpResponse:
        """The view."""
        fail()
        return HttpResponse("said")

    async def say_later(_: HttpRequest) -> HttpResponse:
        """The asynchronous view."""
        return say(_)

    return path("say", say), path("say-later", say_later)


@pytest.fixture(params=["starlette", "fastapi", "django", "django async"])
def send(request: pytest.FixtureRequest, consent: ConsentForTests) -> Send:
    """Send a request to a view that calls a function, and give the response."""

    def send_to_view(fail: Raise, language: str = "en") -> httpx.Response:
        """Send it."""
        headers = {"accept-language": language}
        if request.param.startswith("django"):
            url = "/say-later" if request.param == "django async" else "/say"
            with override_settings(ROOT_URLCONF=django_views(fail)):
                return over(ASGIHandler())("POST", url, headers=headers)
        make = FastAPI if request.param == "fastapi" else Starlette
        return over(starlette_app(consent, fail, make))("POST", "/say", headers=headers)

    return send_to_view


def raising(error: Exception) -> Raise:
    """Make a function that raises."""

    def fail() -> None:
        """Raise it."""
        raise error

    return fail


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer.error).__name__)
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_error_is_a_problem(send: Send, answer: Answer, language: Language) -> None:
    """Each has its status, and texts in the reader's language that quote nothing; the operator's are logged."""
    with capture_logs() as logged:
        response = send(raising(answer.error), language)
    title, *sentences = TEXTS[language][answer.key]
    assert response.json() == {
        "type": f"urn:diijam-consent:{answer.key}",
        "title": title,
        "status": answer.status,
        "detail": " ".join(sentences),
    }
    assert response.status_code == answer.status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["content-language"] == language
    assert response.headers["cache-control"] == "no-store"
    assert response.headers.get("retry-after") == ("30" if answer.may_retry else None)
    assert "4711" not in response.text + str(response.headers)
    lines = [(line["event"], line["error"], line["log_level"]) for line in logged]
    assert lines == ([("request.failed", type(answer.error).__name__, "error")] if answer.is_logged else [])


def test_the_operator_reads_the_cause(send: Send) -> None:
    """A token that lacks a scope is logged with what it lacks."""
    with capture_logs() as logged:
        send(raising(errors.NotEntitled("the token lacks write:consents", ["write:consents"])))
    assert logged[0]["cause"] == "the token lacks write:consents"


def test_a_denial_stays_a_denial(send: Send) -> None:
    """`ConsentDenied` is 403 with its reason, as without the others."""
    response = send(raising(DENIED))
    assert (response.status_code, response.json()["reason"]) == (403, DENIED.decision.reason)


def test_a_mistake_stays_one(send: Send) -> None:
    """What is wrong in the calling code is hidden by no answer: Starlette raises it on, Django answers 500."""
    try:
        response = send(raising(ValueError("misspelt")))
    except ValueError as error:
        assert str(error) == "misspelt"  # noqa: PT017 - Django raises nothing
    else:
        assert response.status_code == 500


def test_a_store_that_is_down(send: Send, consent: ConsentForTests) -> None:
    """A real write to a store that is out of reach is 503, and nothing was written; then the same is taken."""
    with consent.offline():
        assert send(lambda: consent.record("u-1", Withdrawn("marketing"))).status_code == 503
    assert consent.can_market("u-1", "email")
    assert send(lambda: consent.record("u-1", Withdrawn("marketing"))).text == "said"
    assert not consent.can_market("u-1", "email")


def subclasses(kind: type[T]) -> Iterator[type[T]]:
    """A class and all below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def test_no_error_is_forgotten() -> None:
    """The table above has every error of the library, each failure has its texts, and the two languages differ."""
    public = {kind for kind in subclasses(ConsentError) if kind.__module__ == errors.__name__}
    assert public - {ConsentDenied} == {type(answer.error) for answer in ANSWERS}
    keys = {failure.key for failure in FAILURES.values()}
    assert set(TEXTS) == set(LANGUAGES)
    for texts in TEXTS.values():
        assert set(texts) == keys
    assert not set(TEXTS["vi"].values()) & set(TEXTS["en"].values())


async def own(_: Request, error: Exception) -> Response:
    """A handler of the application."""
    return PlainTextResponse(f"own {type(error).__name__}", 418)


@pytest.mark.parametrize("kind", [StoreUnavailable, ConsentError], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("is_late", [False, True], ids=["installed first", "installed last"])
def test_the_application_has_its_own_handler(consent: ConsentForTests, kind: type[ConsentError], is_late: bool) -> None:
    """It is used whenever it was added, of an error or of all; a denial is ours all the same."""
    app = starlette_app(consent, raising(StoreUnavailable(SECRET)))
    if is_late:
        app.exception_handlers.clear()
    app.add_exception_handler(kind, own)
    if is_late:
        install(app, consent, lambda _: "u-1")
    assert over(app)("POST", "/say").text == "own StoreUnavailable"
    app = starlette_app(consent, raising(DENIED))
    app.add_exception_handler(kind, own)
    assert over(app)("POST", "/say").status_code == 403


@pytest.mark.parametrize("has_own", [False, True], ids=["ours", "its own"])
def test_installed_in_the_lifespan(consent: ConsentForTests, has_own: bool) -> None:
    """Handlers are found in an application that has started, too, and its own one for all errors stays."""

    async def say(_: Request) -> Response:
        """The view."""
        raise StoreUnavailable(SECRET)

    app = Starlette(routes=[Route("/say", say, methods=["POST"])])
    if has_own:
        app.add_exception_handler(ConsentError, own)

    async def send() -> httpx.Response:
        """Start, install, send."""
        app.middleware_stack = app.build_middleware_stack()
        install(app, consent, lambda _: "u-1")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://testserver") as http:
            return await http.post("/say")

    assert asyncio.run(send()).status_code == (418 if has_own else 503)
