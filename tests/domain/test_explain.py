"""`explain`: what a yes rests on."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import Ask, Explanation, Market, Process, Retain, Share, Show, decide, explain
from diijam_consent_sdk.record import ConsentRecord, record_at, unopened
from diijam_consent_sdk.vocabulary import Account
from tests import strategies

from .history import USER_ID, History, opened, seconds
from .samples import EACH_ASK

TOLD = e.Notified("n-1", "acme-records", ["email"], "marketing")
OTHER = e.Notified("n-2", "acme-records", ["email"], "surveys")
DEBT = e.HoldPlaced("h-1", "debt", ["phone"])
MORE_DEBT = e.HoldPlaced("h-2", "debt", ["email", "phone"])
ERASURE = e.RequestFiled("q-1", "erasure")

# What is asked after which steps, and where in the record the evidence is.
EVIDENCE: dict[str, tuple[tuple[e.Event | int, ...], Ask, tuple[str, str]]] = {
    "a consent": (
        (e.Granted("contests", "n-1"), e.Granted("surveys", "n-2", expires_at=seconds(9))),
        Process("surveys", ["email"]),
        ("consents", "surveys"),
    ),
    "a consent to a channel": (
        (e.Granted("marketing", "n-1", ["email"]), e.Granted("marketing", "n-2", ["call"])),
        Market("call"),
        ("consents", "marketing:call"),
    ),
    "an agreement": (
        (OTHER, TOLD, e.Agreed("n-1"), e.Agreed("n-2")),
        Share("acme-records", ["email"], "marketing"),
        ("notices", "n-1"),
    ),
    "an agreement beside a withdrawn one": (
        (TOLD, e.Notified("n-2", "acme-records", ["email"], "marketing"), e.Agreed("n-2"), e.AgreementWithdrawn("n-1")),
        Share("acme-records", ["email"], "marketing"),
        ("notices", "n-2"),
    ),
    "the hold of a duty": ((DEBT, MORE_DEBT), Process("debt_settlement", ["email"]), ("holds", "h-2")),
    "the hold of a duty without data": (
        (e.HoldPlaced("h-0", "tax", ["email"]), DEBT),
        Process("debt_settlement", ()),
        ("holds", "h-1"),
    ),
    "the hold that keeps a field": ((DEBT, MORE_DEBT, ERASURE), Retain("email"), ("holds", "h-2")),
    "the hold that keeps a field of a closed account": (
        (DEBT, e.AccountClosed()),
        Retain("phone"),
        ("holds", "h-1"),
    ),
    "a request": (
        (e.RequestFiled("q-0", "access"), e.RequestResolved("q-0", "fulfilled"), ERASURE),
        Process("rights_handling"),
        ("requests", "q-1"),
    ),
}


@pytest.mark.parametrize(("steps", "ask", "where"), EVIDENCE.values(), ids=list(EVIDENCE))
def test_evidence_of_a_yes(steps: tuple[e.Event | int, ...], ask: Ask, where: tuple[str, str]) -> None:
    """A yes that needs a consent, agreement, hold or request shows the one that it rests on."""
    history = opened(*steps)
    explanation = explain(history.record, ask, history.at)
    part, key = where
    assert explanation.evidence is getattr(history.record, part)[key]
    evidence = getattr(history.record, part)[key]
    entry_version = getattr(evidence, "entry_version", None)
    assert explanation == Explanation(
        history.decide(ask), evidence, history.record.version, history.at, entry_version, None
    )
    assert explanation.decision.allowed


@pytest.mark.parametrize(
    ("steps", "ask"),
    [
        ((), Process("payment")),
        ((), Process("service_operation", ["email"])),
        ((), Retain("email")),
        ((MORE_DEBT,), Retain("email")),
        ((e.Published("avatar"),), Show("avatar")),
    ],
    ids=["service", "service operation", "in service", "in service, held", "published"],
)
def test_yes_without_evidence(steps: tuple[e.Event, ...], ask: Ask) -> None:
    """A yes that needs nothing from the customer, and a publication, show nothing."""
    history = opened(*steps)
    explanation = explain(history.record, ask, history.at)
    assert explanation.decision.allowed
    assert explanation.evidence is None


@pytest.mark.parametrize("ask", EACH_ASK, ids=str)
def test_a_no_has_no_evidence(ask: Ask) -> None:
    """A no rests on nothing, also where there once was a yes."""
    granted = (TOLD, e.Agreed("n-1"), e.Granted("surveys", "n-1"), e.Granted("marketing", "n-1", ["call"]))
    histories = (
        History(),
        opened(*granted, ERASURE, e.Erased()),
        opened(*granted, e.Withdrawn("surveys"), e.Withdrawn("marketing"), e.AgreementWithdrawn("n-1")),
    )
    for history in histories:
        explanation = explain(history.record, ask, history.at)
        assert explanation.decision.allowed or explanation.evidence is None
    assert not explain(histories[0].record, ask, seconds(0)).decision


def test_explanation_tells_of_which_state_it_is() -> None:
    """An explanation carries the version it was made on, and for when it holds."""
    explanation = explain(opened(TOLD).record, Show("avatar"), seconds(3))
    assert (explanation.version, explanation.as_of) == (2, seconds(3))


@settings(max_examples=50)
@given(strategies.moves(), st.integers(0, 9))
def test_decision_of_an_explanation_is_the_decision(moves: list[tuple[int, e.Event]], wait: int) -> None:
    """`explain` decides as `decide` does, and shows evidence just for a yes of rows 6, 7, 13 and 16."""
    history = History()
    for delay, event in moves:
        history.tick(delay).attempt(event)
    history.tick(wait)
    for ask in strategies.EVERY_ASK:
        explanation = explain(history.record, ask, history.at)
        assert explanation.decision is decide(history.record, ask, history.at)
        rests_on = {"consented": "Consent", "agreed": "Notice", "held": "Hold"}.get(explanation.decision.reason)
        if (explanation.decision.reason, explanation.decision.clause) == ("held", 1):
            rests_on = "Request"
        assert rests_on == (explanation.evidence and type(explanation.evidence).__name__)


@settings(max_examples=50)
@given(strategies.moves())
def test_the_record_of_a_past_instant_is_what_it_was(moves: list[tuple[int, e.Event]]) -> None:
    """At each instant the entries up to it make the record of that time; before the first, the user is unknown."""
    history = History()
    then: dict[datetime, ConsentRecord] = {}
    for delay, event in moves:
        history.tick(delay).attempt(event)
        then[history.at] = history.record
    if history.record.account is Account.ERASED:  # the store has nothing else left
        history.entries[:-1] = []
        then = dict.fromkeys(then, history.record)
    for at, record in then.items():
        assert record_at(USER_ID, history.entries, at) == record


def test_the_record_of_an_instant_has_all_that_was_written_at_it() -> None:
    """All entries of one instant count at it, as of one append; none counts an instant before."""
    history = opened(5, TOLD, e.Agreed("n-1"))
    assert record_at(USER_ID, history.entries, seconds(5)) == history.record
    assert record_at(USER_ID, history.entries, seconds(4.999999)).version == 1
    assert record_at(USER_ID, history.entries, seconds(-1)) == record_at(USER_ID, [], seconds(9)) == unopened(USER_ID)
