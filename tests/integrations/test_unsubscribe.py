"""The page of an unsubscribe link, by requests to real applications of Starlette and Django."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

import attrs
import httpx
import pytest
from cryptography.fernet import Fernet
from django.core.handlers.asgi import ASGIHandler
from django.test import override_settings
from django.urls import path
from starlette.applications import Starlette
from starlette.routing import Mount
from structlog.testing import capture_logs

from diijam_consent_sdk import Market
from diijam_consent_sdk.errors import OutcomeUnknown, StoreError, StoreUnavailable
from diijam_consent_sdk.events import AccountOpened, Erased, Granted, RequestFiled, Withdrawn
from diijam_consent_sdk.integrations import django, starlette
from diijam_consent_sdk.links import UnsubscribeLinks
from diijam_consent_sdk.testing import ConsentForTests
from diijam_consent_sdk.vocabulary import Channel, Method, Purpose, RequestKind

from . import test_django  # noqa: F401 - configures Django

KEY = Fernet.generate_key()
links = UnsubscribeLinks(KEY, "https://diijam.vn/u")
ONE_CLICK = {"content": b"List-Unsubscribe=One-Click", "headers": {"content-type": "application/x-www-form-urlencoded"}}

Ask = Callable[..., httpx.Response]


def over(app: object) -> Ask:
    """Make a function that sends a request to an application and returns its response."""

    def ask(method: str, url: str, **given: object) -> httpx.Response:
        async def send() -> httpx.Response:
            """Send it."""
            transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="https://testserver") as http:
                return await http.request(method, url, **given)  # type: ignore[arg-type]

        return asyncio.run(send())

    return ask


@pytest.fixture(params=["starlette", "starlette async", "django"])
def ask(request: pytest.FixtureRequest, consent: ConsentForTests) -> Iterator[Ask]:
    """A service with the page at /u/."""
    if request.param == "django":
        patterns = (path("u/<token>", django.unsubscribe(consent, links)),)
        with override_settings(ROOT_URLCONF=patterns, MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"]):
            yield over(ASGIHandler())
        return
    client = consent if request.param == "starlette" else consent.asynchronous()
    yield over(Starlette(routes=[Mount("/u", routes=[starlette.unsubscribe(client, links)])]))


@attrs.define
class Page(HTMLParser):
    """What a page refers to, and its form."""

    attributes: list[tuple[str, dict[str, str | None]]] = attrs.field(factory=list)

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect an element."""
        self.attributes.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element with this tag."""
        return [found for name, found in self.attributes if name == tag]


def read(response: httpx.Response) -> Page:
    """Read a page."""
    page = Page()
    page.feed(response.text)
    return page


def url(user_id: str = "u-1", *channels: Channel) -> str:
    """The path of a link."""
    return links.url(user_id, channels or [Channel.EMAIL]).removeprefix("https://diijam.vn")


def words(consent: ConsentForTests, user_id: str = "u-1") -> list[object]:
    """The user's events."""
    return [entry.event for entry in consent.history(user_id)]


def test_looking_changes_nothing(ask: Ask, consent: ConsentForTests) -> None:
    """GET and HEAD, as of programs that scan mails, show a form that posts to the same place, and write nothing."""
    before = words(consent)
    shown = ask("GET", url())
    assert shown.status_code == 200
    (form,) = read(shown).all("form")
    assert (form["method"], form["action"]) == ("post", "?lang=vi")
    assert ask("HEAD", url()).status_code == 200
    assert words(consent) == before
    assert consent.can_market("u-1", Channel.EMAIL)


@pytest.mark.parametrize("language", [None, "vi", "en"])
def test_a_post_says_no(ask: Ask, consent: ConsentForTests, language: str | None) -> None:
    """A POST of the mail program or of the page's button withdraws at once, without a redirect, and says how."""
    answer = ask(
        "POST", url("u-1", Channel.EMAIL, Channel.CALL) + (f"?lang={language}" if language else ""), **ONE_CLICK
    )
    assert answer.status_code == 200
    assert "location" not in answer.headers
    entry = consent.history("u-1")[-1]
    assert entry.event == Withdrawn(Purpose.MARKETING, {Channel.EMAIL, Channel.CALL})
    assert (entry.provenance.method, entry.provenance.language) == (Method.LINK, language)
    assert not consent.explain("u-1", Market(Channel.EMAIL)).decision


def test_a_link_says_no_again(ask: Ask, consent: ConsentForTests) -> None:
    """However often it was used before, also after a new yes, and for a user who was never opened."""
    for _ in range(2):
        assert ask("POST", url()).status_code == 200
        assert not consent.explain("u-1", Market(Channel.EMAIL)).decision
        consent.record("u-1", Granted(Purpose.MARKETING, "n-2", {Channel.EMAIL}))
    assert ask("POST", url("u-404")).status_code == 200
    assert words(consent, "u-404") == [Withdrawn(Purpose.MARKETING, {Channel.EMAIL})]


@pytest.mark.parametrize(
    "token",
    ["x", "A" * 5000, links.url("u-1", [Channel.EMAIL]).rpartition("/")[2][:-1] + "!"],
    ids=["another", "long", "changed"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_no_link(ask: Ask, consent: ConsentForTests, method: str, token: str) -> None:
    """A link that does not open is 404 with a page that says what to do, and nothing is written."""
    before = words(consent)
    answer = ask(method, f"/u/{token}", headers={"accept-language": "en"})
    assert (answer.status_code, "This link does not work" in answer.text) == (404, True)
    assert words(consent) == before


def test_an_erased_customer(ask: Ask, consent: ConsentForTests) -> None:
    """There is nobody left to say no for: 410."""
    consent.record("u-9", AccountOpened(), RequestFiled("q", RequestKind.ERASURE), Erased())
    assert ask("POST", url("u-9")).status_code == 410


@pytest.mark.parametrize(
    "error", [StoreUnavailable("away"), OutcomeUnknown("away", "key")], ids=lambda e: type(e).__name__
)
def test_a_store_that_is_away(ask: Ask, consent: ConsentForTests, error: StoreError) -> None:
    """A no that was not recorded is never confirmed: 503, with the button again; the log has no id and no token."""
    path = url()
    with capture_logs() as logged, consent.failing(error):
        answer = ask("POST", path)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    assert len(read(answer).all("form")) == 1
    assert not re.search("u-1|" + path.rpartition("/")[2], str(logged))
    assert ask("POST", path).status_code == 200


def test_the_button_says_what_it_does(ask: Ask, consent: ConsentForTests) -> None:
    """It stops the mails, and after a failure tries again."""
    assert ">Ngừng nhận tin</button>" in ask("GET", url()).text
    with consent.offline():
        assert ">Thử lại</button>" in ask("POST", url(), **ONE_CLICK).text


def test_other_methods_are_refused(ask: Ask) -> None:
    """What is neither looked at nor posted is 405, with what is allowed."""
    answer = ask("DELETE", url())
    assert answer.status_code == 405
    assert set(answer.headers["allow"].replace(" ", "").split(",")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize(
    ("query", "header", "language", "title"),
    [
        ("", "", "vi", "Ngừng nhận tin quảng cáo"),
        ("", "en-GB,vi;q=0.5", "en", "Stop promotions"),
        ("?lang=en", "vi", "en", "Stop promotions"),
        ("?lang=vi", "en", "vi", "Ngừng nhận tin quảng cáo"),
        ("?lang=<b>", "en", "en", "Stop promotions"),
    ],
)
def test_the_language(ask: Ask, query: str, header: str, language: str, title: str) -> None:
    """The page is in the reader's language, and links to the other; a language that is none is passed over."""
    shown = ask("GET", url("u-1", Channel.CALL) + query, headers={"accept-language": header} if header else {})
    page = read(shown)
    assert page.all("html")[0]["lang"] == shown.headers["content-language"] == language
    assert f"<h1>{title}</h1>" in shown.text
    assert ("điện thoại" if language == "vi" else "phone call") in shown.text
    assert [link["href"] for link in page.all("a")] == [f"?lang={'en' if language == 'vi' else 'vi'}"]
    assert "<b>" not in shown.text


def test_the_page_gives_nothing_away(ask: Ask) -> None:
    """No id is on it; it sets no cookie, loads nothing, passes no address on, and is neither cached nor framed."""
    shown = ask("GET", url("u-4711"))
    assert "u-4711" not in shown.text + str(shown.headers)
    assert "set-cookie" not in shown.headers
    assert shown.headers["cache-control"] == "no-store"
    assert shown.headers["referrer-policy"] == "no-referrer"
    assert shown.headers["x-robots-tag"] == "noindex"
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    page = read(shown)
    assert not page.all("script")
    assert not page.all("img")
    assert not page.all("link")
