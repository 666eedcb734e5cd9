"""What customers do in the centre, with JavaScript and without."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from diijam_consent_sdk import Channel, Outcome, Purpose, RequestKind
from diijam_consent_sdk.events import (
    Agreed,
    ErasureConfirmed,
    Granted,
    Objected,
    RequestFiled,
    RequestResolved,
    Restricted,
    Withdrawn,
)
from examples.privacy_center.holders import HOLDERS
from examples.privacy_center.notices import notices

from .conftest import WHO, Center, Visit

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

NOTICE = {purpose: text.notice for purpose, text in notices().items()}
with_and_without = pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])


def answered(page: Page, ask: str, reason: str) -> None:
    """Wait until the panel shows that answer."""
    page.wait_for_selector(f"[data-ask={ask}][data-answer={reason}]")


def press(page: Page, selector: str) -> None:
    """Press a button, and wait until the centre said what came of it."""
    page.evaluate("() => { const note = document.querySelector('#note'); if (note) note.textContent = ''; }")
    page.click(selector)
    page.wait_for_selector("#note:not(:empty)")


@with_and_without
def test_sign_in_and_language(visit: Visit, script: bool) -> None:
    """A visitor picks a customer, reads Vietnamese, and switches to English and back."""
    page = visit("", java_script_enabled=script)
    page.get_by_role("button", name="Nguyễn Anh Thắng").click()
    page.get_by_role("heading", level=1, name="Bạn cho phép Diijam làm gì với dữ liệu của bạn?").wait_for()
    page.get_by_role("button", name="English").click()
    page.get_by_role("heading", level=1, name="What may Diijam do with your data?").wait_for()
    page.get_by_role("button", name="Tiếng Việt").click()
    page.get_by_role("link", name="Chia sẻ").click()
    page.get_by_role("heading", level=1, name="Diijam được chia sẻ dữ liệu của bạn với ai?").wait_for()


@with_and_without
def test_a_switch(visit: Visit, center: Center, script: bool) -> None:
    """Flipping a switch is recorded, shown, and obeyed by the services; so is flipping it back."""
    page = visit("choices", language="en", java_script_enabled=script)
    answered(page, "email", "consented")
    email = page.get_by_role("switch", name="By email")
    assert email.get_attribute("aria-checked") == "true"
    email.click()
    answered(page, "email", "withdrawn")
    page.wait_for_selector("#marketing-email[aria-checked=false]")
    assert center.last_said("generous") == [Withdrawn(Purpose.MARKETING, {Channel.EMAIL})]
    page.wait_for_selector("#note:has-text('All three services knew')")
    page.get_by_role("switch", name="By email").click()
    answered(page, "email", "consented")
    assert center.last_said("generous") == [Granted(Purpose.MARKETING, NOTICE[Purpose.MARKETING], {Channel.EMAIL})]
    assert page.url.endswith("/choices") is script  # with it, the page was not loaded again


def test_a_no_after_a_yes_whose_answer_was_lost(visit: Visit, center: Center) -> None:
    """The yes is in the ledger though the page does not know it, so the no goes out whatever the page shows."""
    page = visit("choices", language="en")
    answered(page, "email", "consented")
    press(page, "#marketing-email")
    answered(page, "email", "withdrawn")
    sent: list[Route] = []

    def lose_the_first_answer(route: Route) -> None:
        """Let the centre hear the yes; the customer takes it back before the answer is lost."""
        sent.append(route)
        if len(sent) > 1:
            route.continue_()
            return
        route.fetch(max_redirects=0)
        page.evaluate("() => document.querySelector('#marketing-email').click()")
        route.abort()

    page.route("**/say", lose_the_first_answer)
    page.click("#marketing-email")
    until = time.monotonic() + 10
    while len(sent) < 2 and time.monotonic() < until:
        page.wait_for_timeout(50)
    answered(page, "email", "withdrawn")
    page.wait_for_selector("#marketing-email[aria-checked=false]")
    assert center.last_said("generous", 2) == [
        Granted(Purpose.MARKETING, NOTICE[Purpose.MARKETING], {Channel.EMAIL}),
        Withdrawn(Purpose.MARKETING, {Channel.EMAIL}),
    ]


@with_and_without
def test_sharing(visit: Visit, center: Center, script: bool) -> None:
    """A customer agrees to a sharing that waited for an answer, and withdraws."""
    page = visit("sharing", who="picky", language="en", java_script_enabled=script)
    offer = page.get_by_role("article", name="Kim Hạc Telecom")
    offer.get_by_role("button", name="Agree", exact=True).click()
    offer.get_by_text("You agreed").wait_for()
    assert center.last_said("picky") == [Agreed("kim-hac-telecom-2026-2")]
    offer.get_by_role("button", name="Withdraw").click()
    offer.get_by_text("You said no").wait_for()


@with_and_without
def test_erasure(visit: Visit, center: Center, script: bool) -> None:
    """
    A customer asks for erasure after a second look, sees it due, every service stopped and both holders' copies gone,
    and cancels it.
    """
    page = visit("requests", who="generous", language="en", java_script_enabled=script)
    assert not page.get_by_role("button", name="Ask for erasure").is_visible()
    page.get_by_text("I want to be erased").click()
    page.get_by_role("button", name="Ask for erasure").click()
    page.get_by_text("20 days left").wait_for()
    answered(page, "fraud", "erasure_requested")
    filed = next(event for event in reversed(center.last_said("generous", 3)) if isinstance(event, RequestFiled))
    assert filed.kind is RequestKind.ERASURE
    for copy in ("the mailing system", "the data warehouse"):
        gone = page.get_by_text(f"The copy in {copy} was erased")
        while not script and not gone.is_visible():  # the page does not follow what happens elsewhere
            page.reload()
        gone.wait_for()
    (record,) = center.store.load([WHO["generous"][1]]).records
    assert record.erasure is not None
    confirmed = {ErasureConfirmed(holder, record.erasure.began_at) for holder in HOLDERS}
    assert set(center.last_said("generous", 2)) == confirmed
    row = page.locator(".request", has_text="20 days left")
    row.get_by_role("button", name="Cancel").click()
    answered(page, "fraud", "needed_for_service")
    assert center.last_said("generous") == [RequestResolved(filed.request, Outcome.CANCELLED)]


@with_and_without
def test_limits(visit: Visit, center: Center, script: bool) -> None:
    """Restricting everything stops every service and locks the switches below, until it is lifted."""
    page = visit("limits", who="generous", language="en", java_script_enabled=script)
    page.get_by_role("switch", name="Restrict all data").click()
    answered(page, "fraud", "restricted")
    assert center.last_said("generous") == [Restricted()]
    page.wait_for_selector("#restrict-email[disabled][aria-checked=true]")
    page.get_by_role("switch", name="Restrict all data").click()
    answered(page, "fraud", "needed_for_service")
    page.wait_for_selector("#restrict-email:not([disabled])[aria-checked=false]")


def test_services_obey_within_a_second(visit: Visit) -> None:
    """From the press to the services' new answer on the screen it takes less than a second (the best of three)."""
    page = visit("limits")
    took = []
    for reason in ("objected", "needed_for_service") * 2:
        started = time.monotonic()
        page.click("#object-fraud_detection")
        answered(page, "fraud", reason)
        took.append(time.monotonic() - started)
        page.wait_for_selector("#note:not(:empty)")
    assert min(took) < 1, took


def test_many_presses_in_a_row(visit: Visit, center: Center) -> None:
    """Switches pressed faster than the centre answers all count, in their order: on and off again ends in a no."""
    page = visit("choices", who="picky")
    before = len(center.store.history(WHO["picky"][1]))
    keys = ["marketing-notification", "surveys", "contests", "surveys", "marketing-call"]
    page.evaluate("keys => keys.forEach((key) => document.getElementById(key).click())", keys)
    page.wait_for_selector(f"#content[data-version='{before + 5}']")
    said = center.last_said("picky", 5)
    assert [type(event) for event in said] == [Granted, Granted, Granted, Withdrawn, Granted]
    assert said[3] == Withdrawn(Purpose.SURVEYS)
    assert page.locator("#surveys").get_attribute("aria-checked") == "false"
    assert page.locator("#marketing-call").get_attribute("aria-checked") == "true"


def test_said_in_another_tab(visit: Visit) -> None:
    """What is said in another tab shows here too, switch and services, without a hand."""
    here, there = visit("choices"), visit("choices")
    press(there, "#surveys")
    state = there.locator("#surveys").get_attribute("aria-checked")
    here.wait_for_selector(f"#surveys[aria-checked={state}]")


def test_yes_on_an_old_page(visit: Visit, center: Center) -> None:
    """A yes on a page that missed a no from elsewhere does not count; the visitor reads why, and sees the no."""
    page = visit("choices", language="en")
    page.route("**/services", lambda route: route.abort())  # it receives no news
    center.store.append(WHO["generous"][1], [Objected(Purpose.SURVEYS)])
    press(page, "#surveys")
    assert "changed somewhere else" in page.inner_text("#note")
    assert center.last_said("generous") == [Objected(Purpose.SURVEYS)]
    assert page.locator("#surveys").get_attribute("aria-checked") == "false"
    press(page, "#surveys")
    assert center.last_said("generous") == [Granted(Purpose.SURVEYS, NOTICE[Purpose.SURVEYS])]


def test_connection_lost(visit: Visit, center: Center) -> None:
    """Without a connection a switch goes back to where it was, and the visitor reads that it is not clear."""
    page = visit("choices", language="en")
    page.context.set_offline(True)
    before = page.locator("#marketing-email").get_attribute("aria-checked")
    press(page, "#marketing-email")
    assert "not clear whether" in page.inner_text("#note")
    assert page.locator("#marketing-email").get_attribute("aria-checked") == before
    page.context.set_offline(False)
    press(page, "#marketing-email")
    answered(page, "email", "withdrawn")
