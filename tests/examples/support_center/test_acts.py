"""What staff record: who did it, what is refused, and that nothing is lost or counted twice."""

from __future__ import annotations

import logging
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from diijam_consent_sdk import Method, Outcome, Provenance, Purpose, RequestKind
from diijam_consent_sdk.errors import ConsentError, NotEntitled, OutcomeUnknown, StoreUnavailable
from diijam_consent_sdk.events import Erased, Granted, RequestExtended, RequestFiled, RequestReplied, RequestResolved
from examples.support_center.acts import Deed, why_refused
from tests.examples.visitor import FailingStore

from .conftest import HA, LAN, Clock, Desk, said

REFUSED = {"outcome": "refused", "reason": "identity-not-shown"}


def test_reply_extend_resolve(ha: Desk, store: FailingStore) -> None:
    """Reply, extension and outcome are recorded as typed in by staff, with their reasons and the staff member's id."""
    ha.open_customer(LAN)
    ha.do("reply")
    assert "The reply is recorded" in ha.note()
    ha.do("extend", reason="archive-search")
    assert "The extension is recorded" in ha.note()
    assert "The archive has to be searched" in ha.html
    ha.do("resolve", outcome="fulfilled", reason="answered-in-full")
    assert "The request has ended" in ha.note()
    entries = store.history(LAN)[2:]
    assert [entry.event for entry in entries] == [
        RequestReplied("q-1"),
        RequestExtended("q-1", "archive-search"),
        RequestResolved("q-1", Outcome.FULFILLED, "answered-in-full"),
    ]
    assert {entry.provenance for entry in entries} == {Provenance(None, Method.STAFF, HA.staff_id)}


def test_what_is_done_is_not_offered_again(ha: Desk) -> None:
    """A reply that was given, an extension that was used, and a request that ended have no form any more."""
    page = ha.open_customer(LAN)
    assert {"request-1-reply", "request-1-extend", "request-1-resolve"} <= set(page.buttons)
    ha.do("reply")
    page = ha.do("extend", reason="archive-search")
    assert not {"request-1-reply", "request-1-extend"} & set(page.buttons)
    page = ha.do("resolve", outcome="cancelled", reason="filed-twice")
    assert "request-1-resolve" not in page.buttons
    assert "The same as another request" in ha.html


@pytest.mark.parametrize(
    ("act", "filled", "note"),
    [
        ("extend", {}, "needs a reason"),
        ("resolve", {"outcome": "refused"}, "needs a reason"),
        ("resolve", {"outcome": "cancelled", "reason": ""}, "needs a reason"),
        ("resolve", {"reason": "filed-twice"}, "choose an outcome"),
        ("resolve", {"outcome": "fulfilled", "reason": "identity-not-shown"}, "does not fit"),
        ("resolve", {"outcome": "refused", "other": "she is Mrs Lan"}, "cannot be used"),
    ],
)
def test_unfinished(ha: Desk, store: FailingStore, act: str, filled: dict[str, str], note: str) -> None:
    """A form that lacks something says what, keeps what was filled in, and records nothing."""
    ha.open_customer(LAN)
    ha.do(act, **filled)
    assert ha.status == 422
    assert note in ha.note()
    kept = ha.page().buttons[f"request-1-{act}"][1]
    assert {name: kept[name] for name in filled} == filled
    assert re.search(rf'<details class="sure" open>\s*<summary[^>]*id="request-1-{act}-open"', ha.html)
    assert len(said(store)) == 2


def test_the_id_of_a_letter(ha: Desk, store: FailingStore) -> None:
    """The id of a letter can be the reason, and goes before a chosen one."""
    ha.open_customer(LAN)
    ha.do("resolve", outcome="refused", reason="identity-not-shown", other=" CV-2026-118 ")
    assert said(store)[-1] == RequestResolved("q-1", Outcome.REFUSED, "CV-2026-118")


def test_second_staff_member_sees_what_the_first_did(ha: Desk, store: FailingStore) -> None:
    """Of two who act on one page's state, the second records nothing, reads what the first did, and keeps the words."""
    ha.open_customer(LAN)
    old = ha.html
    bao = Desk(ha.http)
    bao.open("/")
    bao.press("who-1")
    bao.open_customer(LAN)
    bao.do("extend", reason="archive-search")
    bao.open("/")
    bao.press("who-0")
    ha.html = old
    ha.do("resolve", **REFUSED)
    assert ha.status == 409
    assert "the file changed after you opened this page" in ha.note()
    assert "staff member staff-2" in ha.html
    assert "takes longer, for the reason “archive-search”" in ha.html
    assert len(said(store)) == 3
    ha.do("resolve")  # as it stands: the words were kept
    assert ha.status == 200
    assert said(store)[-1] == RequestResolved("q-1", Outcome.REFUSED, "identity-not-shown")


def test_the_customer_came_in_between(ha: Desk, store: FailingStore) -> None:
    """What the customer did meanwhile is shown as not the staff's."""
    ha.open_customer(LAN)
    store.append(LAN, [RequestResolved("q-1", Outcome.CANCELLED)])
    ha.do("reply")
    assert ha.status == 409
    assert "the customer or another system" in ha.html
    assert "was cancelled" in ha.html


def test_sent_twice_counts_once(ha: Desk, store: FailingStore) -> None:
    """The same form again, as after a double click, is recorded once, and the page says so."""
    ha.open_customer(LAN)
    action, form = ha.page().buttons["request-1-reply"]
    ha.send(action, form)
    ha.send(action, form)
    assert ha.status == 200
    assert "counts once" in ha.note()
    assert len(said(store)) == 3


def test_sent_and_changed(ha: Desk, store: FailingStore) -> None:
    """An old page that was sent, changed and sent again records nothing, and shows how things stand."""
    ha.open_customer(LAN)
    action, form = ha.page().buttons["request-1-extend"]
    ha.send(action, {**form, "reason": "archive-search"})
    ha.send(action, {**form, "reason": "identity-check"})
    assert ha.status == 409
    assert "was sent once already" in ha.note()
    assert len(said(store)) == 3


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (StoreUnavailable("away"), "nothing was changed"),
        (NotEntitled("lacks write:requests", ["write:requests"]), "This page lacks a right"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_store_away(
    ha: Desk, store: FailingStore, failure: ConsentError, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With the store away, the words are kept on a 503 page, from which they are sent again; nobody's id is logged."""
    caplog.set_level(logging.DEBUG)
    ha.open_customer(LAN)
    store.failure = failure
    ha.do("resolve", **REFUSED)
    assert ha.status == 503
    assert words in ha.html
    assert "could not be verified" in ha.html
    store.failure = None
    ha.press("again")
    assert ha.status == 200
    assert said(store)[-1] == RequestResolved("q-1", Outcome.REFUSED, "identity-not-shown")
    assert len(said(store)) == 3
    assert LAN not in caplog.text


def test_outcome_unknown_but_recorded(ha: Desk, store: FailingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form whose first sending was recorded after all counts once when it is sent again."""
    ha.open_customer(LAN)
    append = store.append

    def lose(*arguments: Any, **options: Any) -> None:
        append(*arguments, **options)
        raise OutcomeUnknown("lost", "key")

    with monkeypatch.context() as losing:
        losing.setattr(store, "append", lose)
        ha.do("reply")
    assert ha.status == 503
    assert "It is not clear whether it was recorded" in ha.html
    ha.press("again")
    assert ha.status == 200
    assert said(store)[2:] == [RequestReplied("q-1")]


def test_past_its_date(ha: Desk, store: FailingStore, clock: Clock) -> None:
    """A request that became overdue since the page was opened is not extended, and the page says what to do."""
    ha.open_customer(LAN)
    clock.now = datetime.now(UTC) + timedelta(days=11)
    action, form = ha.page().buttons["request-1-extend"]
    ha.send(action, {**form, "reason": "archive-search"})
    assert ha.status == 409
    assert ha.note().startswith("Not recorded")
    assert len(said(store)) == 2


def test_why_refused() -> None:
    """Each refusal that staff can meet has words that say what to do."""
    at = datetime.now(UTC)
    clock = Clock(at - timedelta(days=3))
    with closing(FailingStore(clock=clock)) as store:
        store.append(LAN, [RequestFiled("a", "access"), RequestFiled("b", "access"), RequestFiled("e", "erasure")])
        store.append(LAN, [RequestReplied("a"), RequestExtended("a", "r"), RequestResolved("b", Outcome.CANCELLED)])
        record = store.load([LAN]).records[0]
    met: list[tuple[Deed, datetime, str]] = [
        (RequestReplied("a"), at, "replied_already"),
        (RequestExtended("a", "s"), at, "extended_already"),
        (RequestExtended("e", "s"), at + timedelta(days=30), "too_late"),
        (RequestResolved("e", Outcome.FULFILLED), at, "erase_first"),
        (RequestReplied("b"), at, "ended_already"),
        (RequestReplied("nowhere"), at, "ended_already"),
        (RequestResolved("a", Outcome.REFUSED), at, "refused"),
    ]
    assert [why_refused(deed, record, now) for deed, now, _ in met] == [note for _, _, note in met]


def test_an_erasure_is_not_fulfilled_here(ha: Desk, store: FailingStore) -> None:
    """An erasure is offered no outcome that only the erasure itself is, and a form that says so is refused in words."""
    store.append(LAN, [RequestFiled("q-2", RequestKind.ERASURE)])
    ha.open_customer(LAN)
    (number,) = [n for n in "12" if "q-2" in ha.page().buttons[f"request-{n}-resolve"][1].values()]
    assert ha.html.count('value="fulfilled"') == 1
    ha.do("resolve", number, outcome="fulfilled")
    assert ha.status == 409
    assert "only when the data is really erased" in ha.note()


def test_erased_meanwhile(ha: Desk, store: FailingStore) -> None:
    """Of a customer who was erased since, the page shows that nothing is left, and no form."""
    store.append(LAN, [RequestFiled("q-2", RequestKind.ERASURE)])
    ha.open_customer(LAN)
    store.append(LAN, [Erased()])
    page = ha.do("reply")
    assert ha.status == 409
    assert "The data was erased" in ha.html
    assert not [key for key in page.buttons if key.startswith("request-")]


def test_forms_that_are_none(ha: Desk, store: FailingStore) -> None:
    """Whatever a form holds, nothing is recorded by one that the centre did not make, and the answer is a page."""
    ha.open_customer(LAN)
    action, form = ha.page().buttons["request-1-resolve"]
    whole = {**form, **REFUSED}
    odd = ["1" * 5000, "-1", "x" * 1000, "", "\0", "\u0661", "a\u0301", "\ufeff", "../..", "{{7*7}}", "erase"]
    for name in ("act", "request", "outcome", "reason", "version", "key"):
        for value in odd:
            ha.send(action, {**whole, name: value})
            assert 400 <= ha.status < 500, (name, value)
    for name in whole:
        ha.send(action, {key: value for key, value in whole.items() if key != name})
        assert 400 <= ha.status < 500 or name == "other", name
    for token in ("", "0" * 128):
        ha.send(action, {**whole, "_csrf_token": token})
        assert ha.status == 403
    assert {type(event) for event in said(store)[2:]} <= {RequestResolved}


def test_no_form_speaks_for_the_customer(ha: Desk, store: FailingStore) -> None:
    """A form can neither grant, erase nor place a hold."""
    store.append(LAN, [Granted(Purpose.SURVEYS, "n")])
    ha.open_customer(LAN)
    action, form = ha.page().buttons["request-1-reply"]
    for act in ("grant", "withdraw", "erase", "file", "hold_placed", "Erased"):
        ha.send(action, {**form, "act": act, "purpose": "surveys", "say": act})
        assert ha.status == 400
    assert len(said(store)) == 3
