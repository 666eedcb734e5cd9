"""Django, by requests through its real handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import django
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from diijam_consent_sdk import ConsentClient, Market
from diijam_consent_sdk.errors import ConsentDenied
from diijam_consent_sdk.events import AccountOpened, Published, Withdrawn
from diijam_consent_sdk.integrations.django import requires, user_of
from diijam_consent_sdk.testing import ConsentForTests

DOCS = Path(__file__).parents[2] / "docs" / "how-to"
HERE = "tests.integrations.test_django"
client: ConsentClient | None = None  # what DIIJAM_CONSENT_CLIENT names, set by each test

settings.configure(
    ALLOWED_HOSTS=["testserver"],
    DEBUG=False,
    MIDDLEWARE=["diijam_consent_sdk.integrations.django.ConsentMiddleware"],
    ROOT_URLCONF=HERE,
    SECRET_KEY="for tests",
    DIIJAM_CONSENT_CLIENT=f"{HERE}.client",
    DIIJAM_CONSENT_IDENTIFY=f"{HERE}.signed_in",
)
django.setup()


def signed_in(request: HttpRequest) -> str | None:
    """Return the sender's id, from the tests' session header."""
    return request.headers.get("x-signed-in")


@requires(Market("email"))
def plain(request: HttpRequest) -> HttpResponse:
    """A view."""
    assert user_of(request) is user_of(request)
    return HttpResponse(f"sent by version {user_of(request).version}")


@requires(Market("email"))
async def waiting(request: HttpRequest) -> HttpResponse:
    """An async view."""
    return HttpResponse(f"sent by version {user_of(request).version}")


def broken(request: HttpRequest) -> HttpResponse:
    """A view that fails for another reason."""
    raise KeyError("another")


urlpatterns = [path("plain", plain), path("waiting", waiting), path("broken", broken)]


@pytest.fixture(autouse=True)
def _installed(consent: ConsentForTests) -> Iterator[None]:
    """The setting names the client of the test."""
    global client  # noqa: PLW0603 - Django finds it by its dotted path
    client = consent
    yield
    client = None


@pytest.mark.parametrize("view", ["/plain", "/waiting"])
def test_a_request(view: str, consent: ConsentForTests) -> None:
    """A yes is served, a no is 403 with the reason, in the reader's language; the next request sees a withdrawal."""
    http = Client()
    assert http.get(view, headers={"x-signed-in": "u-1"}).content == b"sent by version 2"
    consent.record("u-1", Withdrawn("marketing"))
    denied = http.get(view, headers={"x-signed-in": "u-1", "accept-language": "en"})
    assert (denied.status_code, denied["content-type"]) == (403, "application/problem+json")
    assert (denied.json()["reason"], denied.json()["clause"]) == ("withdrawn", 4)
    assert denied.json()["detail"] == "You declined this purpose or withdrew your consent to it."
    assert denied["cache-control"] == "no-store"
    assert b"u-1" not in denied.content


def test_a_request_over_asgi(consent: ConsentForTests) -> None:
    """The same through the asynchronous handler."""

    async def ask() -> list[int]:
        """Ask both views as both users."""
        http = AsyncClient()
        return [(await http.get(view, headers={"x-signed-in": user})).status_code
                for view in ("/plain", "/waiting") for user in ("u-1", "u-2")]  # fmt: skip

    assert asyncio.run(ask()) == [200, 403, 200, 403]


def test_nobody(consent: ConsentForTests) -> None:
    """A request from nobody is denied, and the store is not asked."""
    before = len(consent.store.calls)
    assert Client().get("/plain").json()["reason"] == "unknown_user"
    assert len(consent.store.calls) == before


def test_the_store_is_out_of_reach(consent: ConsentForTests) -> None:
    """A denial without a refusal is recognisable by its reason."""
    with consent.offline():
        denied = Client().get("/plain", headers={"x-signed-in": "u-3"})
    assert (denied.status_code, denied.json()["reason"]) == (403, "unavailable")


def test_other_errors_are_left_alone() -> None:
    """What is no denial goes on to Django."""
    with pytest.raises(KeyError, match="another"):
        Client().get("/broken")


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (SimpleNamespace(pk="u-1", is_authenticated=True), None),
        (SimpleNamespace(pk=None, is_authenticated=False), "unknown_user"),
        (SimpleNamespace(pk=None, is_authenticated=True), "unknown_user"),
        (None, "unknown_user"),
    ],
    ids=["signed in", "anonymous", "not saved", "no authentication"],
)
def test_the_user_of_django(user: object, reason: str | None) -> None:
    """Without a setting it is the primary key of who is signed in."""
    request = HttpRequest()
    if user is not None:
        request.user = user  # type: ignore[assignment]
    with override_settings(DIIJAM_CONSENT_IDENTIFY=None):
        if reason is None:
            assert user_of(request).can_market("email")
        else:
            with pytest.raises(Exception, match=reason):
                user_of(request)


def test_another_user_within_one_request(consent: ConsentForTests) -> None:
    """Once a request signs in somebody else, the answers are theirs: the yes of the user before is nobody else's."""
    consent.opened("u-2")
    request = HttpRequest()
    with override_settings(DIIJAM_CONSENT_IDENTIFY=None):
        request.user = SimpleNamespace(pk="u-1", is_authenticated=True)  # type: ignore[assignment]
        assert user_of(request).can_market("email")
        request.user = SimpleNamespace(pk="u-2", is_authenticated=True)  # type: ignore[assignment]
        assert user_of(request).user_id == "u-2"
        assert not user_of(request).can_market("email")
        request.user = SimpleNamespace(pk=None, is_authenticated=False)  # type: ignore[assignment]
        with pytest.raises(ConsentDenied, match="unknown_user"):
            user_of(request)


def test_a_yes_within_the_request(consent: ConsentForTests) -> None:
    """What a request itself records is answered from there on, not denied as stale."""
    consent.opened("u-2")
    request = HttpRequest()
    request.META["HTTP_X_SIGNED_IN"] = "u-2"
    assert not user_of(request).can_market("email")
    consent.opted_in("u-2", "email")
    assert user_of(request).can_market("email")


@pytest.mark.parametrize(
    ("path_to_client", "complaint"),
    [(None, "is not set"), (f"{HERE}.signed_in", "names a function, not a ConsentClient")],
    ids=["missing", "something else"],
)
def test_a_wrong_setting(path_to_client: str | None, complaint: str) -> None:
    """A setting that is missing or wrong says so, and nothing is served."""
    with (
        override_settings(DIIJAM_CONSENT_CLIENT=path_to_client),
        pytest.raises(ImproperlyConfigured, match=complaint),
    ):
        Client().get("/plain", headers={"x-signed-in": "u-1"})


def test_the_profile_page_of_the_documentation() -> None:
    """It asks what the page's owner chose to show, not what the viewer did."""
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(DOCS / "django.md")
    for example in document.examples():
        example.evaluate()
    profile, shop = document.namespace["profile"], document.namespace["client"]
    with shop:
        shop.record("owner", AccountOpened(), Published("avatar"))
        shop.record("viewer", AccountOpened())
        request = HttpRequest()
        request.META["HTTP_X_SIGNED_IN"] = "viewer"
        assert profile(request, "owner").content == b"face"
        request.META["HTTP_X_SIGNED_IN"] = "owner"
        assert profile(request, "viewer").content == b"no face"
