"""The page of an unsubscribe link in Chromium: both languages, a phone's width, without JavaScript, by keyboard."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import uvicorn
from cryptography.fernet import Fernet
from starlette.applications import Starlette
from starlette.routing import Mount

from diijam_consent_sdk import Channel, ConsentClient, Purpose
from diijam_consent_sdk.events import AccountOpened, Granted, Withdrawn
from diijam_consent_sdk.integrations.starlette import unsubscribe
from diijam_consent_sdk.links import UnsubscribeLinks
from diijam_consent_sdk.stores import MemoryStore

from .conftest import PATIENCE_MS
from .test_accessibility import PHONE, WIDE, findings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TITLES = {"vi": ("Ngừng nhận tin quảng cáo", "Bạn đã ngừng nhận tin quảng cáo"),
          "en": ("Stop promotions", "You will get no more promotions")}  # fmt: skip
links = UnsubscribeLinks(Fernet.generate_key(), "https://diijam.vn/u")


@pytest.fixture
def consent() -> Iterator[ConsentClient]:
    """Knows u-1, who may be mailed."""
    with ConsentClient(MemoryStore(), follow=False) as client:
        client.record("u-1", AccountOpened(), Granted(Purpose.MARKETING, "n-1", {Channel.EMAIL}))
        yield client


@pytest.fixture
def home(consent: ConsentClient) -> Iterator[str]:
    """A service with the page, on a port of this machine."""
    app = Starlette(routes=[Mount("/u", routes=[unsubscribe(consent, links)])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(30)


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("viewport", [PHONE, WIDE], ids=["phone", "wide"])
@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_link_is_followed(
    browser: Browser, home: str, consent: ConsentClient, *, language: str, viewport: dict[str, int], scripts: bool
) -> None:
    """The page asks, the button says no and says so; nothing is asked of another host, and axe-core finds nothing."""
    context = browser.new_context(viewport=viewport, locale=language, java_script_enabled=scripts)  # type: ignore[arg-type,unused-ignore]
    context.set_default_timeout(PATIENCE_MS)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto(home + links.url("u-1", [Channel.EMAIL]).removeprefix("https://diijam.vn"))
    assert page.text_content("h1") == TITLES[language][0]
    assert scripts is False or not findings(page)
    assert len(consent.history("u-1")) == 2
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"h1:text-is({TITLES[language][1]!r})")
    assert scripts is False or not findings(page)
    assert consent.history("u-1")[-1].event == Withdrawn(Purpose.MARKETING, {Channel.EMAIL})
    assert scripts is False or page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert all(url.startswith(home) for url in asked)
    context.close()
