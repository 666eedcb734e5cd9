"""Starlette and FastAPI, by requests to real applications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, cast

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Message, Receive, Scope, Send

from diijam_consent_sdk import AsyncConsentClient, ConsentClient, UserConsent
from diijam_consent_sdk.events import Withdrawn
from diijam_consent_sdk.integrations.identity import require_user_id
from diijam_consent_sdk.integrations.starlette import install, user_of
from diijam_consent_sdk.testing import ConsentForTests

Known = Annotated[UserConsent, Depends(user_of)]


def signed_in(connection: HTTPConnection) -> str | None:
    """Return the sender's id, from the tests' session header."""
    return connection.headers.get("x-signed-in")


def greet(user: Known) -> UserConsent:
    """Another dependency that needs the user."""
    return user


def fastapi(client: AsyncConsentClient | ConsentClient) -> FastAPI:
    """A service of FastAPI."""
    app = FastAPI()
    install(app, client, signed_in)

    @app.get("/mail")
    async def mail(user: Known, same: Annotated[UserConsent, Depends(greet)], request: Request) -> str:
        """A view."""
        assert user is same is await user_of(request)
        user.can_market("email").or_raise()
        return "sent"

    return app


def starlette(client: AsyncConsentClient | ConsentClient) -> Starlette:
    """The same of Starlette."""

    async def mail(request: Request) -> PlainTextResponse:
        """A view."""
        (await user_of(request)).can_market("email").or_raise()
        assert await user_of(request) is await user_of(request)
        return PlainTextResponse("sent")

    app = Starlette(routes=[Route("/mail", mail)])
    install(app, client, signed_in)
    return app


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, consent: ConsentForTests) -> AsyncConsentClient | ConsentClient:
    """Either face."""
    return consent if request.param == "sync" else consent.asynchronous()


Make = Callable[[AsyncConsentClient | ConsentClient], Starlette]


def get(app: Starlette, user_id: str | None, language: str = "en") -> httpx.Response:
    """What the application answers to a user."""
    headers = {"accept-language": language, **({"x-signed-in": user_id} if user_id else {})}

    async def ask() -> httpx.Response:
        """Ask once."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as http:
            return await http.get("/mail", headers=headers)

    return asyncio.run(ask())


@pytest.mark.parametrize("make", [fastapi, starlette], ids=lambda make: make.__name__)
def test_a_request(make: Make, client: AsyncConsentClient | ConsentClient, consent: ConsentForTests) -> None:
    """A yes is served, a no is 403 with the reason and without the id; the store is asked once per user."""
    app = make(client)
    before = len(consent.store.loaded)
    assert "sent" in get(app, "u-1").text
    denied = get(app, "u-2")
    assert denied.status_code == 403
    assert denied.headers["content-type"] == "application/problem+json"
    assert denied.json()["reason"] == "unknown_user"
    assert denied.json()["detail"] == "Diijam has no account for this user."
    assert "u-2" not in denied.text
    assert consent.store.loaded[before:].count(("u-2",)) == 1


@pytest.mark.parametrize("make", [fastapi, starlette], ids=lambda make: make.__name__)
def test_a_no_between_two_requests(make: Make, consent: ConsentForTests) -> None:
    """What is kept is kept for one request: the next one sees a withdrawal; in the reader's language."""
    app = make(consent)
    assert get(app, "u-1").status_code == 200
    consent.record("u-1", Withdrawn("marketing"))
    denied = get(app, "u-1", "vi-VN")
    assert (denied.status_code, denied.json()["reason"], denied.json()["clause"]) == (403, "withdrawn", 4)
    assert denied.headers["content-language"] == "vi"
    assert (
        denied.json()["detail"] == "Bạn đã từ chối, hoặc đã rút lại sự đồng ý cho Diijam dùng dữ liệu vào mục đích này."
    )


@pytest.mark.parametrize("make", [fastapi, starlette], ids=lambda make: make.__name__)
def test_nobody(make: Make, consent: ConsentForTests) -> None:
    """A request from nobody is denied, and the store is not asked."""
    before = len(consent.store.calls)
    assert get(make(consent), None).json()["reason"] == "unknown_user"
    assert len(consent.store.calls) == before


@pytest.mark.parametrize("make", [fastapi, starlette], ids=lambda make: make.__name__)
def test_the_store_is_out_of_reach(make: Make, consent: ConsentForTests) -> None:
    """A denial without a refusal is recognisable by its reason."""
    with consent.offline():
        denied = get(make(consent), "u-3")
    assert (denied.status_code, denied.json()["reason"]) == (403, "unavailable")


def served(app: Starlette, user_id: str, path: str = "/") -> str:
    """What an application that was started as a server starts it answers to a user."""
    state: dict[str, object] = {}
    said: asyncio.Queue[Message] = asyncio.Queue()
    heard: asyncio.Queue[Message] = asyncio.Queue()

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        """A request carries what the lifespan yields."""
        await app({**scope, "state": dict(state)}, receive, send)

    async def run() -> str:
        """Start, ask once, stop."""
        life = asyncio.create_task(app({"type": "lifespan", "state": state}, said.get, heard.put))
        await said.put({"type": "lifespan.startup"})
        assert (await heard.get())["type"] == "lifespan.startup.complete"
        transport = httpx.ASGITransport(with_state, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
            answer = await http.get(path, headers={"x-signed-in": user_id})
        await said.put({"type": "lifespan.shutdown"})
        await life
        return f"{answer.status_code} {answer.text}"

    return asyncio.run(run())


@pytest.mark.parametrize("make", [FastAPI, Starlette], ids=lambda make: make.__name__)
def test_installed_in_the_lifespan(make: Callable[..., Starlette], consent: ConsentForTests) -> None:
    """Where the client is made in the lifespan, when the application has started, a denial is 403 as well."""

    async def mail(request: Request) -> PlainTextResponse:
        """A view."""
        (await user_of(request)).can_market("email").or_raise()
        return PlainTextResponse("sent")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        """Install consent late."""
        install(app, consent, signed_in)
        yield

    layers = [Middleware(BaseHTTPMiddleware, dispatch=lambda request, call_next: call_next(request))]
    app = make(routes=[Route("/", mail)], lifespan=lifespan, middleware=layers)
    assert served(app, "u-1") == "200 sent"
    assert served(app, "u-2").startswith('403 {"type": "urn:diijam-consent:denied"')


def test_installed_too_late() -> None:
    """Where a middleware hides the handlers of an application that has started, `install` says so."""
    app = Starlette()
    app.middleware_stack = lambda *_: None  # type: ignore[assignment]
    with ConsentForTests() as client, pytest.raises(RuntimeError, match="before it does"):
        install(app, client, signed_in)


def test_another_user_within_one_request(consent: ConsentForTests) -> None:
    """Once a request signs in somebody else, the answers are theirs: the yes of the user before is nobody else's."""

    async def switch(request: Request) -> PlainTextResponse:
        """Sign in another user."""
        before = await user_of(request)
        request.scope["user_id"] = "u-2"
        now = await user_of(request)
        return PlainTextResponse(f"{before.user_id} {now.user_id} {now.can_market('email').reason}")

    consent.opened("u-2")
    app = Starlette(routes=[Route("/", switch)])
    install(app, consent, lambda connection: connection.scope.get("user_id", "u-1"))
    assert served(app, "") == "200 u-1 u-2 not_consented"


def test_an_application_with_a_consent_of_its_own(consent: ConsentForTests) -> None:
    """An application may keep what it likes at `state.consent`, of requests and of itself."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, object]]:
        """What each request carries."""
        yield {"consent": "a cookie banner"}

    async def both(request: Request) -> PlainTextResponse:
        """Look at both."""
        user = await user_of(request)
        return PlainTextResponse(f"{user.user_id} {request.state.consent} {request.app.state.consent}")

    app = Starlette(routes=[Route("/", both)], lifespan=lifespan)
    install(app, consent, signed_in)
    app.state.consent = "a banner"
    assert served(app, "u-1") == "200 u-1 a cookie banner a banner"


def test_a_mounted_application(consent: ConsentForTests) -> None:
    """A mounted application with a separate client gets no answer of the outer one's."""

    async def inner(request: Request) -> PlainTextResponse:
        """Say what the inner application knows."""
        return PlainTextResponse(str((await user_of(request)).can_market("email").reason))

    async def outer(request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Ask the outer client first."""
        assert (await user_of(request)).can_market("email")
        return await call_next(request)

    with ConsentForTests() as another:
        mounted = Starlette(routes=[Route("/", inner)])
        app = Starlette(routes=[Mount("/inner", mounted)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=outer)])
        install(mounted, another, signed_in)
        install(app, consent, signed_in)
        assert served(app, "u-1", "/inner/") == "200 unknown_user"


def test_consent_that_was_not_installed() -> None:
    """A forgotten `install` says so."""
    app = FastAPI()

    @app.get("/mail")
    async def mail(user: Known) -> str:
        """A view."""
        return "sent"

    with pytest.raises(RuntimeError, match="call install"):
        get(app, "u-1")


@pytest.mark.parametrize("found", [True, False])
def test_what_says_only_whether_there_is_a_user_is_no_id(found: bool) -> None:
    """Else a no would be recorded for a user of the name `True`."""
    with pytest.raises(TypeError, match="returns the user's id or None, and no bool"):
        require_user_id(cast(Any, found))


def test_what_finds_the_user_is_not_asynchronous() -> None:
    """Else a no would be recorded for the text of a coroutine."""

    async def identify() -> str:
        """Find nobody."""
        return "u-1"

    coroutine = identify()
    with pytest.raises(TypeError, match="and no coroutine"):
        require_user_id(cast(Any, coroutine))
    coroutine.close()
