"""A customer's file in a real browser: axe-core finds nothing, and nothing is asked of any host."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.vocabulary import LANGUAGES, Language
from examples import audit

from .test_accessibility import PHONE, WIDE, findings

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing(browser: Browser, language: Language, viewport: dict[str, int]) -> None:
    """In each language, wide and on a phone, it can be used by everybody, and does not scroll sideways."""
    clock = audit.StoryClock()
    with closing(MemoryStore(clock=clock)) as store, closing(ConsentClient(store, follow=False)) as consent:
        audit.tell(store, clock)
        page = consent.customer_file(audit.CUSTOMER, language).to_html()
    asked: list[str] = []
    options: dict[str, Any] = {"viewport": viewport, "bypass_csp": True}  # axe-core runs in the page
    context = browser.new_context(**options)
    context.on("request", lambda request: asked.append(request.url))
    shown = context.new_page()
    shown.set_content(page)
    assert findings(shown) == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert asked == []
    context.close()
