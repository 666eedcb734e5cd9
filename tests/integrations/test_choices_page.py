"""The programs of docs/how-to/choices.md, played as customers play them: twice, from old pages, with the store down."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from diijam_consent_sdk.errors import OutcomeUnknown
from diijam_consent_sdk.events import Erased, RequestFiled
from diijam_consent_sdk.testing import ConsentForTests
from diijam_consent_sdk.vocabulary import Method, RequestKind

from . import choices_shops
from .choices_shops import Form, Shop, is_taken


@pytest.fixture
def fastapi(consent: ConsentForTests) -> Iterator[Shop]:
    """The program for FastAPI."""
    with choices_shops.fastapi(consent) as shop:
        yield shop


@pytest.fixture
def django(consent: ConsentForTests) -> Iterator[Shop]:
    """The program for Django."""
    with choices_shops.django(consent) as shop:
        yield shop


@pytest.fixture(params=["fastapi", "django"])
def shop(request: pytest.FixtureRequest) -> Shop:
    """Either."""
    found: Shop = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("email", [False, True])
def test_signing_up(shop: Shop, email: bool) -> None:
    """It opens the account, with the yes only if it was ticked, once however often the form comes; and keeps how."""
    form = {**shop.opened(), **({"email": True} if email else {})}
    assert is_taken(shop.post("/sign-up", form))
    assert is_taken(shop.post("/sign-up", form))
    assert shop.words() == ["AccountOpened", "Granted"][: 1 + email]
    assert shop.is_on() is email
    entry, registered = shop.consent.history("u-2")[-1], shop.consent.notice("promo-2026-11")
    assert registered is not None
    assert entry.notice_digest == (registered.digest if email else None)
    assert entry.provenance.method in {Method.APP, Method.WEB}
    assert (entry.provenance.language, bool(entry.provenance.evidence)) == ("vi", True)


def test_a_yes_sent_twice_counts_once(shop: Shop) -> None:
    """A double click writes one yes; sent again after a no, it is no new yes."""
    shop.signed_up()
    form = shop.opened()
    assert is_taken(shop.post(shop.yes, form))
    assert is_taken(shop.post(shop.yes, form))
    assert shop.words() == ["AccountOpened", "Granted"]
    assert is_taken(shop.post(shop.no, form))
    assert is_taken(shop.post(shop.yes, form))
    assert not shop.is_on()


def test_a_yes_from_an_old_page(shop: Shop) -> None:
    """A yes of a page that was open before a no is 409, and the no stands."""
    shop.signed_up()
    form = shop.opened()
    shop.consent.opted_out("u-2", "email")
    assert shop.post(shop.yes, form).status_code == 409
    assert not shop.is_on()
    assert is_taken(shop.post(shop.yes, shop.opened()))
    assert shop.is_on()


def test_a_no_from_an_old_page(shop: Shop) -> None:
    """It is meant each time, also when the same page said it before and there was a yes between."""
    shop.signed_up(email=True)
    form = shop.opened()
    for _ in range(2):
        assert is_taken(shop.post(shop.no, form))
        assert not shop.is_on()
        shop.consent.opted_in("u-2", "email")


def test_a_no_before_the_account(shop: Shop) -> None:
    """It is taken."""
    assert is_taken(shop.post(shop.no, shop.opened()))
    assert shop.words() == ["Withdrawn"]


def test_words_that_changed_while_the_page_was_open(shop: Shop) -> None:
    """Nobody consents to words that were not shown."""
    shop.signed_up()
    answer = shop.post(shop.yes, {**shop.opened(), "notice": "promo-2026-10"})
    assert answer.status_code in {302, 409}
    assert not shop.is_on()


@pytest.mark.parametrize("field", [{"key": "x"}, {"key": ""}, {"version": "-1"}, {"version": "9" * 40}, {"notice": ""}])
def test_a_form_that_was_tampered_with(shop: Shop, field: Form) -> None:
    """It is no 500, and writes nothing."""
    shop.signed_up()
    for url in (shop.yes, "/sign-up"):
        assert shop.post(url, {**shop.opened(), **field}).status_code < 500
    assert shop.words() == ["AccountOpened"]


def test_one_key_under_two_forms(shop: Shop) -> None:
    """A key that comes with another form is no 500."""
    form = shop.opened()
    assert is_taken(shop.post("/sign-up", form))
    assert shop.post("/sign-up", {**form, "email": True}).status_code == 409
    assert is_taken(shop.post(shop.yes, {**form, "version": shop.opened()["version"]}))


def test_a_store_that_is_down(shop: Shop) -> None:
    """A yes and a no are 503 with a time to try again, nothing is written, and the same forms are taken later."""
    shop.signed_up()
    form = shop.opened()
    for url in (shop.yes, shop.no):
        with shop.consent.offline():
            answer = shop.post(url, form)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert "chưa có gì được ghi nhận" in answer.text
        assert is_taken(shop.post(url, form))
    assert shop.words() == ["AccountOpened", "Granted", "Withdrawn"]


def test_an_unknown_outcome(fastapi: Shop) -> None:
    """503; the same form, sent again after the answer was lost, ends with one yes."""
    fastapi.signed_up()
    form = fastapi.opened()
    with fastapi.consent.failing(OutcomeUnknown("lost", "k"), written=True):
        answer = fastapi.post(fastapi.yes, form)
    assert answer.status_code == 503
    assert "gửi lại chính biểu mẫu này" in answer.text
    assert form["key"] not in answer.text
    assert is_taken(fastapi.post(fastapi.yes, form))
    assert fastapi.words() == ["AccountOpened", "Granted"]


def test_a_customer_who_was_erased(shop: Shop) -> None:
    """What the policy refuses is 409."""
    shop.signed_up()
    form = shop.opened()
    shop.consent.record("u-2", RequestFiled("q", RequestKind.ERASURE), Erased())
    assert shop.post(shop.no, form).status_code == 409


def test_a_browser_gets_a_page(django: Shop) -> None:
    """The page's middleware for Django makes a page of a problem, and keeps its status and headers."""
    form = django.opened()
    with django.consent.offline():
        answer = django.post(django.no, form)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Hệ thống đang bận</h1>" in answer.text
