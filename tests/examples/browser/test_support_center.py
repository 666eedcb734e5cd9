"""The support centre in a real browser: its flows without JavaScript, axe-core, a keyboard and a small phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from diijam_consent_sdk import Method, Outcome
from diijam_consent_sdk.events import RequestExtended, RequestReplied, RequestResolved
from examples.support_center.story import fill

from .conftest import Center, Visit, copied, opening, running, support_center
from .test_accessibility import PHONE, WIDE, findings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's ledger."""
    path = tmp_path_factory.mktemp("told") / "consents.db"
    fill(path)
    return path


@pytest.fixture
def support(told: Path, tmp_path: Path) -> Iterator[Center]:
    """A support centre over a copy of that ledger."""
    with running(copied(told, tmp_path), support_center) as center:
        yield center


@pytest.fixture
def desk(browser: Browser, support: Center) -> Iterator[Visit]:
    """Opens a page of it as the first staff member."""
    with opening(browser, support) as open_page:

        def as_staff(page: str = "requests", *, language: str = "en", **options: Any) -> Page:
            return open_page(page, {"staff": "0", "language": language}, **options)

        yield as_staff


def open_customer(page: Page, user_id: str) -> None:
    """Find a customer by id."""
    page.fill("#customer", user_id)
    page.click("#find-open")
    page.wait_for_selector(f"h1:has-text('{user_id}')")


def test_reply_extend_resolve(desk: Visit, support: Center) -> None:
    """Without JavaScript a staff member replies, extends and resolves; each act is recorded with the opaque id."""
    page = desk("", java_script_enabled=False)
    page.get_by_role("button", name="Trịnh Hà Vy").click()
    row = page.locator(".request", has_text="u-01533")
    row.get_by_role("button", name="Open the file").click()
    page.get_by_role("button", name="Record the reply").click()
    page.wait_for_selector("#note:has-text('The reply is recorded')")
    page.get_by_text("Extend…").click()
    page.locator("#request-1-extend-reason").select_option("archive-search")
    page.get_by_role("button", name="Record the extension").click()
    page.wait_for_selector("#note:has-text('The extension is recorded')")
    page.get_by_text("End the request…").click()
    page.get_by_label("Refused").check()
    page.locator("#request-1-resolve-other").fill("CV-2026-118")
    page.get_by_role("button", name="Record the outcome").click()
    page.wait_for_selector("#note:has-text('The request has ended')")
    entries = support.store.history("u-01533")[-3:]
    request = "pc-c07b55e9"
    assert [entry.event for entry in entries] == [
        RequestReplied(request),
        RequestExtended(request, "archive-search"),
        RequestResolved(request, Outcome.REFUSED, "CV-2026-118"),
    ]
    assert {(entry.provenance.method, entry.provenance.evidence) for entry in entries} == {(Method.STAFF, "staff-0417")}
    assert "u-0" not in page.url


@pytest.mark.parametrize(
    ("language", "viewport", "scheme"),
    [("vi", WIDE, "light"), ("en", PHONE, "dark")],
    ids=["vi wide by day", "en phone by night"],
)
def test_everybody_can_use_it(desk: Visit, language: str, viewport: dict[str, int], scheme: str) -> None:
    """On each page axe-core finds nothing, nothing is wider than the screen, and buttons are big enough for a thumb."""
    page = desk("", language=language, viewport=viewport, color_scheme=scheme)
    home, found = page.url, []

    def look() -> None:
        found.extend(findings(page))
        if page.evaluate("document.documentElement.scrollWidth") > viewport["width"]:
            found.append(f"{page.url} is too wide")
        for button in page.locator("main button, main summary, main select, main input[type=text], .sections a").all():
            box = button.bounding_box()
            if box is not None and box["height"] < 40 and button.is_visible():
                found.append(f"{page.url}: {button.inner_text()} is too small")

    for name in ("", "requests", "erasures", f"customers/{'x' * 22}"):
        page.goto(home + name)
        look()
    for user_id in ("u-01777", "u-00905"):
        page.goto(f"{home}requests")
        open_customer(page, user_id)
        for summary in page.locator("summary").all():
            summary.click()
        if user_id == "u-00905":
            page.click("#request-1-extend")
            page.wait_for_selector("#note:not(:empty)")
        look()
    assert not found


def test_keyboard_alone(desk: Visit, support: Center) -> None:
    """From the top of the page, keys alone open a customer and record a reply; the focus is seen."""
    page = desk()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    while page.evaluate("document.activeElement.id") != "open-request-2":
        page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("#request-1-reply")
    while page.evaluate("document.activeElement.id") != "request-1-reply":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.wait_for_selector("#note:has-text('The reply is recorded')")
    assert support.store.history("u-01180")[-1].event == RequestReplied("pc-90c4e1aa")


def test_the_whole_file(desk: Visit) -> None:
    """The customer's file opens with its style, under a policy that lets nothing else in, and can be kept as JSON."""
    page = desk()
    open_customer(page, "u-00412")
    address = page.url
    with page.expect_download() as downloading:
        page.click("#file-json")
    assert downloading.value.suggested_filename == "customer-file.json"
    page.goto(address)
    page.click("#file")
    page.wait_for_selector("#said")
    assert page.evaluate("document.styleSheets.length") == 1
