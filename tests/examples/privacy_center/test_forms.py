"""What can be said in the centre ends up in the ledger, and what must not, does not."""

from __future__ import annotations

import pytest

from diijam_consent_sdk import Channel, Field, Outcome, Purpose, RequestKind
from diijam_consent_sdk.events import (
    AccountClosed,
    Agreed,
    AgreementWithdrawn,
    Erased,
    Event,
    Granted,
    Hidden,
    Objected,
    ObjectionLifted,
    Published,
    RequestFiled,
    RequestResolved,
    Restricted,
    RestrictionLifted,
    Withdrawn,
)
from diijam_consent_sdk.stores import MemoryStore
from examples.privacy_center.notices import notices
from tests.examples.visitor import Visitor

from .conftest import LAN, NAM, said

PROMOTIONS, SURVEYS = (notices()[purpose].notice for purpose in (Purpose.MARKETING, Purpose.SURVEYS))


@pytest.mark.parametrize(
    ("page", "key", "said_by_it"),
    [
        (
            "choices", "marketing-email",
            [Granted(Purpose.MARKETING, PROMOTIONS, {Channel.EMAIL}), Withdrawn(Purpose.MARKETING, {Channel.EMAIL})],
        ),
        ("choices", "surveys", [Granted(Purpose.SURVEYS, SURVEYS), Withdrawn(Purpose.SURVEYS)]),
        ("profile", "public-avatar", [Published(Field.AVATAR), Hidden(Field.AVATAR)]),
        ("limits", "object-payment", [Objected(Purpose.PAYMENT), ObjectionLifted(Purpose.PAYMENT)]),
        ("limits", "restrict-all", [Restricted(), RestrictionLifted()]),
        ("limits", "restrict-email", [Restricted({Field.EMAIL}), RestrictionLifted({Field.EMAIL})]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_switch(lan: Visitor, store: MemoryStore, page: str, key: str, said_by_it: list[Event]) -> None:
    """Pressing a switch says so, shows it, and pressing it again says the opposite."""
    assert not lan.open(f"/{page}").on[key]
    assert lan.press(key).on[key]
    assert (lan.status, lan.path, said(store)[2:]) == (200, f"/{page}", said_by_it[:1])
    assert not lan.press(key).on[key]
    assert said(store)[2:] == said_by_it


def test_sharing(lan: Visitor, store: MemoryStore) -> None:
    """A sharing can be agreed to, withdrawn, and refused without ever having been agreed to."""
    lan.open("/sharing")
    lan.press("notice-1-yes")
    assert "You agreed" in lan.html
    page = lan.press("notice-1-no")
    assert said(store)[2:] == [Agreed("n-1"), AgreementWithdrawn("n-1")]
    assert "notice-1-no" not in page.buttons
    assert "notice-1-yes" in page.buttons


def test_requests(lan: Visitor, store: MemoryStore) -> None:
    """Each kind of request can be filed and shows its due date; it can be cancelled, and is listed afterwards."""
    lan.open("/requests")
    for kind in RequestKind:
        lan.press(f"file-{kind}")
    filed = [event for event in said(store) if isinstance(event, RequestFiled)]
    assert [event.kind for event in filed] == list(RequestKind)
    assert lan.html.count("Due by") == 4
    assert [lan.html.count(f"{days} days left") for days in (10, 20)] == [3, 1]
    lan.press("request-4-cancel")  # the erasure is due last
    assert said(store)[-1] == RequestResolved(filed[2].request, Outcome.CANCELLED)
    assert "Cancelled on" in lan.html


def test_all_channels_off(lan: Visitor, store: MemoryStore) -> None:
    """With two channels on, one button switches all off."""
    assert "all-off" not in lan.press("marketing-email").buttons
    assert "all-off" in lan.press("marketing-call").buttons
    lan.press("all-off")
    assert said(store)[-1] == Withdrawn(Purpose.MARKETING)


def test_services_obey_at_once(lan: Visitor) -> None:
    """The page that follows a press shows the services' new answers, as their clients received them."""
    assert lan.answers()["email"] == "not_consented"
    lan.press("marketing-email")
    assert lan.answers()["email"] == "consented"
    assert "All three services knew" in lan.note()
    lan.press("marketing-email")
    assert lan.answers()["email"] == "withdrawn"
    lan.open("/limits")
    lan.press("object-fraud_detection")
    assert lan.answers()["fraud"] == "objected"


def test_yes_on_a_page_that_is_out_of_date(lan: Visitor, store: MemoryStore) -> None:
    """A yes does not count once something was said elsewhere; the page shows what, and the next press counts."""
    store.append(LAN, [Objected(Purpose.MARKETING)])
    page = lan.press("marketing-email")
    assert "changed somewhere else" in lan.note()
    assert not page.on["marketing-email"]
    assert said(store)[-1] == Objected(Purpose.MARKETING)
    lan.press("marketing-email")
    assert isinstance(said(store)[-1], Granted)
    assert "You objected" in lan.html


def test_no_on_a_page_that_is_out_of_date(lan: Visitor, store: MemoryStore) -> None:
    """A no counts whatever happened meanwhile, also when sent twice from the same old page."""
    lan.press("marketing-email")
    old = lan.page().buttons["marketing-email"]
    lan.send(*old)
    store.append(LAN, [Granted(Purpose.MARKETING, "elsewhere", {Channel.EMAIL})])
    assert not lan.send(*old).on["marketing-email"]
    assert said(store)[-1] == Withdrawn(Purpose.MARKETING, {Channel.EMAIL})
    assert lan.answers()["email"] == "withdrawn"


def test_refused(lan: Visitor, store: MemoryStore) -> None:
    """A refusal by the policy is shown in words, and nothing is written: here a request that was cancelled already."""
    lan.open("/requests")
    lan.press("file-access")
    old = lan.page().buttons["request-1-cancel"]
    lan.press("request-1-cancel")
    before = said(store)
    lan.send(old[0], {**old[1], "version": str(len(before))})
    assert "cannot be done any more" in lan.note()
    assert said(store) == before


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"say": "erase"},
        {"say": "grant", "purpose": "surveys", "version": ""},
        {"say": "grant", "purpose": "survey", "version": "2"},
        {"say": "withdraw"},
        {"say": "withdraw", "purpose": "marketing", "channel": "fax"},
        {"say": "agree", "notice": "", "version": "2"},
        {"say": "publish", "field": "shoe_size", "version": "2"},
        {"say": "file", "kind": "access", "request": "\x07"},
    ],
    ids=str,
)
def test_form_that_says_nothing(lan: Visitor, store: MemoryStore, form: dict[str, str]) -> None:
    """A form that lacks or misspells something is a 400 in words; nothing is written."""
    token = lan.page().forms[0]["_csrf_token"]
    lan.send("/say", {"_csrf_token": token, **form})
    assert (lan.status, lan.note()) == (400, "Nothing changed. Please open the page again and retry.")
    assert len(said(store)) == 2


def test_only_what_customers_say(lan: Visitor, store: MemoryStore) -> None:
    """No form can tell a notice, place or release a hold, resolve a request otherwise than as cancelled, or erase."""
    lan.open("/requests")
    lan.press("file-complaint")
    cancel = lan.page().buttons["request-1-cancel"][1]
    lan.send("/say", {**cancel, "outcome": "fulfilled"})
    assert said(store)[-1] == RequestResolved(cancel["request"], Outcome.CANCELLED)


def test_closed_account(lan: Visitor, store: MemoryStore) -> None:
    """A closed account offers no yes and says why; saying no and asking still work."""
    store.append(LAN, [Restricted({Field.EMAIL}), AccountClosed()])
    page = lan.open("/choices")
    assert set(page.on) <= page.locked
    assert "Your account is closed" in lan.html
    assert "restrict-email" in lan.open("/limits").locked
    assert "restrict-phone" not in lan.page().locked
    lan.press("restrict-phone")
    assert said(store)[-1] == Restricted({Field.PHONE})
    assert set(lan.open("/sharing").buttons) >= {"notice-1-no"}
    assert "notice-1-yes" not in lan.page().buttons
    lan.open("/requests")
    assert "file-erasure" not in lan.press("file-erasure").buttons  # once is enough
    assert isinstance(said(store)[-1], RequestFiled)


def test_erased_account(lan: Visitor, store: MemoryStore) -> None:
    """Every page of an erased account shows just that, and nothing can be pressed; the services are denied."""
    store.append(LAN, [AccountClosed(), Erased()])
    for page in ("choices", "sharing", "profile", "limits", "requests", "timeline"):
        assert list(lan.open(f"/{page}").buttons) == ["language-vi"]
        assert "Diijam erased your data on" in lan.html
    assert set(lan.answers().values()) == {"erased"}


def test_unknown_account(visitor: Visitor, store: MemoryStore) -> None:
    """Somebody the ledger does not know can say no and ask for something, and allow nothing."""
    visitor.sign_in(1)
    assert visitor.status == 200
    assert "There is no account here" in visitor.html
    assert set(visitor.answers().values()) == {"unknown_user"}
    assert {"marketing-email", "surveys"} <= visitor.page().locked
    visitor.open("/limits")
    visitor.press("object-fraud_detection")
    visitor.open("/requests")
    visitor.press("file-access")
    assert "All three services knew" in visitor.note()
    assert said(store, NAM)[0] == Objected("fraud_detection")
    assert isinstance(said(store, NAM)[1], RequestFiled)


def test_too_many_requests(lan: Visitor, store: MemoryStore) -> None:
    """A customer who files without end gets a message in words, and can still refuse."""
    lan.open("/requests")
    for number in range(60):
        lan.press("file-access", request=f"r-{number}")
    assert "You have too many requests already" in lan.note()
    assert (lan.status, lan.path) == (200, "/requests")
    assert sum(isinstance(event, RequestFiled) for event in said(store)) == 50
    lan.press("file-access", request="r-1")
    assert "perhaps because it was done already" in lan.note()
    lan.open("/limits")
    lan.press("object-payment")
    assert said(store)[-1] == Objected("payment")
