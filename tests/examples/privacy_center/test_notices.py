"""The centre's consents name registered notices, whose words are those of its pages."""

from __future__ import annotations

import re
from html import unescape

import pytest

from diijam_consent_sdk import Purpose
from diijam_consent_sdk.events import Granted
from diijam_consent_sdk.policy import BASIS, SENSITIVE, Basis
from diijam_consent_sdk.stores import MemoryStore
from examples.centers.words import Text
from examples.privacy_center.notices import notices
from examples.privacy_center.words import texts
from tests.examples.visitor import Visitor

from .conftest import said


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_registered_words_are_those_of_the_page(visitor: Visitor, store: MemoryStore, language: str) -> None:
    """Every line of every notice is shown on the page of choices, in both languages."""
    visitor.sign_in(language=language)
    visitor.open("/choices")
    shown = unescape(re.sub(r"<[^>]+>", "", visitor.html))
    registered = store.notices()
    assert {notice.text for notice in registered} == set(notices().values())
    for notice in registered:
        assert [line for line in notice.text.texts[language].splitlines() if line not in shown] == []


def test_each_purpose_that_needs_a_yes_has_its_notice() -> None:
    """A notice names one purpose; what it calls sensitive is what the law calls so."""
    assert set(notices()) == {purpose for purpose in Purpose if BASIS[purpose] is Basis.OPT_IN}
    for purpose, notice in notices().items():
        assert notice.purposes == {purpose}
        assert notice.sensitive == notice.data & SENSITIVE


def test_consents_are_accepted_where_notices_are_required(lan: Visitor, store: MemoryStore) -> None:
    """The ledger that requires notices takes the centre's consents."""
    store.require_notices()
    page = lan.open("/choices")
    for key in list(page.on):
        lan.press(key)
    granted = [event for event in said(store) if isinstance(event, Granted)]
    assert len(granted) == len(page.on)
    assert all(store.notice(event.notice) is not None for event in granted)


def test_a_changed_text_is_a_new_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another word on the page, and the notice is another, without anybody thinking of it."""
    before = notices()
    changed = {**texts(), "purpose.surveys.hint": Text("Hỏi bạn vài câu.", "Ask you a few questions.")}
    monkeypatch.setattr("examples.centers.words.read_texts", lambda _: changed)
    after = notices.__wrapped__()
    assert after[Purpose.SURVEYS].notice != before[Purpose.SURVEYS].notice
    assert after[Purpose.CONTESTS] == before[Purpose.CONTESTS]
