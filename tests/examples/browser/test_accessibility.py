"""The centre can be used by everybody: axe-core finds nothing, a keyboard and a small phone are enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from diijam_consent_sdk import Channel, Purpose
from diijam_consent_sdk.events import Withdrawn
from examples.privacy_center.customers import CHOSEN
from examples.privacy_center.pages import PAGES

from .conftest import Center, Visit

if TYPE_CHECKING:
    from playwright.sync_api import Page

PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1400, "height": 1000}


def findings(page: Page) -> list[str]:
    """What axe-core finds on a page, every rule it has on."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - may not be there

    violations = Axe().run(page).response["violations"]
    return [f"{page.url}: {found['id']}: {node['html']}" for found in violations for node in found["nodes"]]


@pytest.mark.parametrize(
    ("language", "viewport", "scheme"),
    [("vi", WIDE, "light"), ("en", WIDE, "dark"), ("vi", PHONE, "dark"), ("en", PHONE, "light")],
    ids=["vi wide by day", "en wide by night", "vi phone by night", "en phone by day"],
)
def test_axe_finds_nothing(visit: Visit, language: str, viewport: dict[str, int], scheme: str) -> None:
    """On each page, in each language, by day and by night, wide and on a phone, axe-core finds nothing."""
    page = visit("", who="picky", language=language, viewport=viewport, color_scheme=scheme)
    home = page.url
    found = findings(page)
    for name in [*PAGES, "nowhere", "choices?note=heard&ms=9", "choices?note=conflict"]:
        page.goto(home + name)
        if page.locator("summary").count():
            page.click("summary")
        found += findings(page)
    assert not found


@pytest.mark.parametrize("who", [about for about in CHOSEN.values() if about != "picky"])
def test_axe_finds_nothing_for_anybody(visit: Visit, who: str) -> None:
    """In each situation a customer can be in, axe-core finds nothing."""
    page = visit("choices", who=who)
    found = findings(page)
    for name in ("sharing", "limits", "requests"):
        page.goto(page.url.rsplit("/", 1)[0] + "/" + name)
        found += findings(page)
    assert not found


@pytest.mark.parametrize("language", ["vi", "en"])
def test_nothing_is_cut_off_on_a_phone(visit: Visit, language: str) -> None:
    """
    At 360 pixels no page is wider than the screen, and whatever can be pressed is big enough for a thumb.

    The menu is wider, and shows where one is.
    """
    page = visit("", who="picky", language=language, viewport=PHONE, has_touch=True, is_mobile=True)
    home = page.url
    for name in ("", *PAGES):
        page.goto(home + name)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
        here = page.locator(".sections [aria-current]").bounding_box() if name else None
        assert here is None or (here["x"] >= 0 and here["x"] + here["width"] <= PHONE["width"]), name
        for button in page.locator("main button, .sections a").all():
            box = button.bounding_box()  # one within a closed <details> has none to press
            assert box is None or box["height"] >= 40 or not button.is_visible(), (name, button.inner_text())


def test_lamps_stay_in_sight_on_a_phone(visit: Visit) -> None:
    """On a phone the services' lamps are in sight while a switch is flipped, and follow it."""
    page = visit("choices", who="generous", language="en", viewport=PHONE)
    lamps = page.locator(".ticker")
    assert "Marketing 2/4" in (lamps.get_attribute("aria-label") or "")
    page.locator("#marketing-email").click()
    page.wait_for_selector(".ticker[aria-label*='Marketing 1/4']")
    box = lamps.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= PHONE["height"] + 1
    lamps.click()
    page.wait_for_selector("#services-title:target")
    # In one step, as the panel is put in place anew each second.
    top = page.evaluate("document.querySelector('#services-title').getBoundingClientRect().y")
    assert 0 <= top < PHONE["height"] / 2


def test_keyboard_alone(visit: Visit, center: Center) -> None:
    """Tab reaches the first switch, Space flips it; the focus is seen, and stays where it was."""
    page = visit("choices", who="generous")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    while page.evaluate("document.activeElement.getAttribute('role')") != "switch":
        page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.id")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Space")
    page.wait_for_selector("#note:not(:empty)")
    assert focused == "marketing-email"
    assert page.evaluate("document.activeElement.id") == focused
    assert page.locator(f"#{focused}").get_attribute("aria-checked") == "false"
    assert center.last_said("generous") == [Withdrawn(Purpose.MARKETING, {Channel.EMAIL})]


def test_what_happened_is_read_out(visit: Visit) -> None:
    """The note is one live region that stays in the page while its text changes: only so is it read out."""
    page = visit("choices")
    page.evaluate("window.region = document.querySelector('#note')")
    assert page.evaluate("region.getAttribute('role')") == "status"
    page.click("#surveys")
    page.wait_for_selector("#note:not(:empty)")
    assert page.evaluate("region === document.querySelector('#note') && region.isConnected")
