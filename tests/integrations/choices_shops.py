"""The programs of docs/how-to/choices.md, with the tests' client in place of their own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import httpx
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.test import Client, override_settings
from starlette.types import Receive, Scope, Send
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from diijam_consent_sdk import Channel, Market
from diijam_consent_sdk.testing import ConsentForTests

from . import test_django  # noqa: F401 - configures Django
from .test_unsubscribe import over

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "choices.md"
HERE = "tests.integrations.choices_shops"
Form = dict[str, Any]


def sign_in(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Django's authentication: u-2 is signed in."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        """Sign in."""
        request.user = SimpleNamespace(pk="u-2", is_authenticated=True)  # type: ignore[assignment]
        return get_response(request)

    return middleware


def problem_pages(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Any:
    """The middleware of the page, by a dotted path as Django wants it."""
    return program("Django")["ProblemPages"](get_response)


MIDDLEWARE = [
    f"{HERE}.sign_in",
    f"{HERE}.problem_pages",
    "django.middleware.csrf.CsrfViewMiddleware",
    "diijam_consent_sdk.integrations.django.ConsentMiddleware",
]


@attrs.define
class Shop:
    """One of the two programs, with the tests' client in place of its own. Its customer is u-2."""

    consent: ConsentForTests
    opened: Callable[[], Form]  # look at the page: the values that its form carries
    post: Callable[[str, Form], httpx.Response]
    yes: str
    no: str

    def is_on(self) -> bool:
        """Whether the customer may be mailed, by the ledger."""
        return self.consent.explain("u-2", Market(Channel.EMAIL)).decision.allowed

    def words(self) -> list[str]:
        """What the customer said, by kind."""
        return [type(entry.event).__name__ for entry in self.consent.history("u-2")]

    def signed_up(self, *, email: bool = False) -> None:
        """Open the account."""
        assert is_taken(self.post("/sign-up", {**self.opened(), **({"email": True} if email else {})}))


@cache
def program(heading: str) -> dict[str, Any]:
    """Run the blocks of the page from one heading on, FastAPI's alone or Django's; give what they define."""
    text = PAGE.read_text(encoding="utf-8")
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(PAGE)
    document.namespace["__name__"] = HERE  # Django names a view's module
    for example in document.examples():
        if example.start > text.index(f"\n## {heading}\n"):
            example.evaluate()
            if heading == "FastAPI":
                break
    return document.namespace


@contextmanager
def fastapi(consent: ConsentForTests) -> Iterator[Shop]:
    """The program for FastAPI."""
    found = program("FastAPI")
    found["consent"] = consent.asynchronous()
    app = found["app"]

    async def signed_in(scope: Scope, receive: Receive, send: Send) -> None:
        """What an authentication does."""
        await app({**scope, "user_id": "u-2"}, receive, send)

    async def start() -> None:
        """Start and stop, as a server does."""
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(start())
    ask = over(signed_in)
    yield Shop(
        consent,
        lambda: {"language": "vi", "email": False, **ask("GET", "/choices").json()["form"]},
        lambda url, form: ask("POST", url, json=form),
        "/choices/email/yes",
        "/choices/email/no",
    )


@contextmanager
def django(consent: ConsentForTests) -> Iterator[Shop]:
    """The program for Django, with its check of CSRF tokens."""
    found = program("Django")
    found["client"] = consent
    consent.register_notice(found["PROMO"])
    with override_settings(ROOT_URLCONF=tuple(found["urlpatterns"]), MIDDLEWARE=MIDDLEWARE):
        browser = Client(enforce_csrf_checks=True, headers={"accept": "text/html"})

        def opened() -> Form:
            """Look at the page, which has a form with a token whatever it asks."""
            page = browser.get("/choices").content.decode()
            return dict(re.findall(r'name="(\w+)" value="([^"]+)"', page))

        def post(url: str, form: Form) -> httpx.Response:
            """Press the button."""
            answer = browser.post(url, form)
            return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)

        yield Shop(consent, opened, post, "/choices/yes", "/choices/no")


def is_taken(answer: httpx.Response) -> bool:
    """Whether a form was answered as a page answers it: by nothing, or by the page again."""
    return answer.status_code in {204, 302}
