"""A report in a real browser: axe-core finds nothing, nothing is asked of any host, and it fits on paper."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from diijam_consent_sdk.cli.commands.report.reading import read_report
from diijam_consent_sdk.report import Report
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.vocabulary import LANGUAGES, Language
from examples import report

from .test_accessibility import PHONE, WIDE, findings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

A4_PIXELS = {"width": 672, "height": 1000}  # the width that the margins of 16 mm leave


@cache
def told() -> Report:
    """The report on the story."""
    clock = report.StoryClock(datetime.now(UTC))
    with closing(MemoryStore(clock=clock)) as store:
        report.tell(store, clock)
        return read_report(store)


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing(browser: Browser, language: Language, viewport: dict[str, int]) -> None:
    """In each language, wide and on a phone, it can be used by everybody, and does not scroll sideways."""
    asked: list[str] = []
    options: dict[str, Any] = {"viewport": viewport, "bypass_csp": True}  # axe-core runs in the page
    context = browser.new_context(**options)
    context.on("request", lambda request: asked.append(request.url))
    shown = context.new_page()
    shown.set_content(told().to_html(language))
    assert findings(shown) == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert asked == []
    context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_fits_on_paper(browser: Browser, language: Language) -> None:
    """Printed on A4 nothing is wider than the page, tables and charts included."""
    context = browser.new_context(viewport=A4_PIXELS)  # type: ignore[arg-type,unused-ignore]
    shown = context.new_page()
    shown.emulate_media(media="print")
    shown.set_content(told().to_html(language))
    widest = "Math.max(...[...document.querySelectorAll('table, svg')].map(it => it.getBoundingClientRect().right))"
    assert shown.evaluate(widest) <= A4_PIXELS["width"] + 1
    context.close()


def test_the_charts_are_drawn_under_its_own_policy(browser: Browser) -> None:
    """The policy of the page lets its style colour the charts: a yes and a no differ."""
    shown = browser.new_page()
    shown.set_content(told().to_html("vi"))
    yes, no = (
        shown.evaluate(f"getComputedStyle(document.querySelector('svg .part-{name}')).fill") for name in ("yes", "no")
    )
    assert "rgb(0, 0, 0)" not in {yes, no}
    assert yes != no
    shown.close()
