"""A running centre for each test, and one Chromium; without it the tests are skipped, with the remedy."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from litestar import Litestar

from diijam_consent_sdk import AsyncConsentClient
from diijam_consent_sdk.events import Event
from diijam_consent_sdk.stores import SqliteStore
from examples.centers.serving import Connect, make_server
from examples.privacy_center.app import create_app
from examples.privacy_center.customers import CHOSEN, customers, fill
from examples.privacy_center.holders import HOLDERS
from examples.support_center.app import create_app as support_app
from examples.support_center.staff import MADE_UP

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
NEEDED = "needs Chromium and Playwright: apt-get install chromium && make test-browser"
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
WHO = {about: (number, user_id) for number, (user_id, about) in enumerate(CHOSEN.items())}
PATIENCE_MS = 20_000  # the machine may be busy


@attrs.frozen
class Center:
    """A centre that runs, and the ledger under it."""

    url: str
    store: SqliteStore

    def last_said(self, about: str, count: int = 1) -> list[Event]:
        """What one of its customers said last."""
        return [entry.event for entry in self.store.history(WHO[about][1])][-count:]


MakeApp = Callable[[Connect, list[str]], Litestar]


def privacy_center(connect: Connect, hosts: list[str]) -> Litestar:
    """The privacy centre of the made-up customers."""
    return create_app(connect, customers(), hosts=hosts, holders=HOLDERS)


def support_center(connect: Connect, hosts: list[str]) -> Litestar:
    """The support centre of the made-up customers."""
    return support_app(connect, MADE_UP, hosts=hosts, made_up=True)


@contextmanager
def running(path: Path, make_app: MakeApp = privacy_center) -> Iterator[Center]:
    """A centre over the ledger at *path*, in a thread."""
    at, ready = socket.create_server(("127.0.0.1", 0)), threading.Event()
    connect = partial(AsyncConsentClient.from_url, f"sqlite:///{path}")
    one = make_server(at, partial(make_app, connect), ready.set)
    thread = threading.Thread(target=one.run, kwargs={"sockets": [at]}, daemon=True)
    thread.start()
    assert ready.wait(30)
    with closing(SqliteStore(path)) as store:
        yield Center(f"http://127.0.0.1:{at.getsockname()[1]}", store)
    one.should_exit = True
    thread.join(30)
    at.close()
    assert not thread.is_alive()


def copied(ledger: Path, folder: Path) -> Path:
    """Copy a ledger, with what it has not written into its file yet."""
    for file in ledger.parent.iterdir():
        shutil.copy(file, folder)
    return folder / ledger.name


@pytest.fixture(scope="package")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of the chosen customers."""
    path = tmp_path_factory.mktemp("filled") / "consents.db"
    fill(path)
    return path


@pytest.fixture
def center(filled: Path, tmp_path: Path) -> Iterator[Center]:
    """A privacy centre over a copy of that ledger."""
    with running(copied(filled, tmp_path)) as center:
        yield center


@pytest.fixture(scope="package")  # no longer: Playwright keeps an event loop running in this thread meanwhile
def browser() -> Iterator[Browser]:
    """Chromium."""
    if find_spec("playwright") is None or find_spec("axe_playwright_python") is None or not CHROMIUM:
        pytest.skip(NEEDED)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - may not be there

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


Visit = Callable[..., "Page"]


@contextmanager
def opening(browser: Browser, center: Center) -> Iterator[Visit]:
    """Opens pages of a centre. At the end: no page asked another host for anything, none complained."""
    complaints: list[str] = []
    contexts = []

    def open_page(page: str, cookies: dict[str, str], **options: Any) -> Page:
        options = {"viewport": {"width": 1400, "height": 1000}, "reduced_motion": "reduce", **options}
        contexts.append(context := browser.new_context(**options))
        context.set_default_timeout(PATIENCE_MS)
        context.add_cookies([{"name": name, "value": value, "url": center.url} for name, value in cookies.items()])
        context.on("request", lambda request: _foreign(request.url, center, complaints))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        opened = context.new_page()
        opened.goto(f"{center.url}/{page}")
        return opened

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


def _foreign(url: str, center: Center, complaints: list[str]) -> None:
    if not url.startswith(center.url):
        complaints.append(url)


@pytest.fixture
def visit(browser: Browser, center: Center) -> Iterator[Visit]:
    """Opens a page of the privacy centre as one of the customers."""
    with opening(browser, center) as open_page:

        def as_customer(page: str = "choices", *, who: str = "generous", language: str = "vi", **options: Any) -> Page:
            return open_page(page, {"who": str(WHO[who][0]), "language": language}, **options)

        yield as_customer
