"""Starlette and FastAPI, by requests to real applications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from diijam_consent_sdk import AsyncConsentClient, ConsentClient, UserConsent
from diijam_consent_sdk.events import Withdrawn
from diijam_consent_sdk.integrations.starlette import install, user_of
from diijam_consent_sdk.testing import ConsentForTests

Known = Annotated[UserConsent, Depends(user_of)]


def signed_in(connection: HTTPConnection) -> str | None:
    """Who sent it: the tests' session."""
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
    """Nobody's no is told apart by its reason."""
    with consent.offline():
        denied = get(make(consent), "u-3")
    assert (denied.status_code, denied.json()["reason"]) == (403, "unavailable")


def test_consent_that_was_not_installed() -> None:
    """A forgotten `install` says so."""
    app = FastAPI()

    @app.get("/mail")
    async def mail(user: Known) -> str:
        """A view."""
        return "sent"

    with pytest.raises(RuntimeError, match="call install"):
        get(app, "u-1")
