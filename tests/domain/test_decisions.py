"""The decision table, row by row: for every kind of ask, what is allowed and what is denied, and why."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import STALE, UNAVAILABLE, Ask, Decision, Market, Process, Retain, Share, Show, decide
from diijam_consent_sdk.policy import BASIS, PUBLISHABLE, Basis
from diijam_consent_sdk.vocabulary import Channel, Field, HoldKind, Purpose, Reason, RequestKind

from .history import History, opened, seconds
from .samples import EACH_ASK

OPT_IN = [purpose for purpose in Purpose if BASIS[purpose] is Basis.OPT_IN and purpose is not Purpose.MARKETING]
SERVICE = [purpose for purpose in Purpose if BASIS[purpose] is Basis.SERVICE]

Steps = tuple[e.Event | int, ...]
Answer = tuple[bool, str, int]  # allowed, reason, clause

each_ask = pytest.mark.parametrize("ask", EACH_ASK, ids=str)


def answer(history: History, ask: Ask) -> Answer:
    """What a customer's history makes of an ask now."""
    decision = history.decide(ask)
    assert bool(decision) is decision.allowed
    return decision.allowed, str(decision.reason), decision.clause


def told(notice: str, data: list[str], purpose: str = "marketing", recipient: str = "acme-records") -> e.Notified:
    """A notice, to the recipient of most tests."""
    return e.Notified(notice, recipient, data, purpose)


def hold(kind: str, data: list[str], name: str = "h-1", until: int | None = None) -> e.HoldPlaced:
    """A hold, perhaps for some seconds."""
    return e.HoldPlaced(name, kind, data, None if until is None else seconds(until))


TOLD, AGREED = told("n-1", ["email", "username"]), e.Agreed("n-1")
GRANTED = e.Granted("surveys", "n-1")
PROMOTED = e.Granted("marketing", "n-1", ["email"])
ERASURE, ACCESS = e.RequestFiled("q-1", "erasure"), e.RequestFiled("q-2", "access")
REFUSED = e.RequestResolved("q-1", "refused", "not-yours")
SHARE, SURVEY, MAIL = Share("acme-records", ["email"], "marketing"), Process("surveys"), Market("email")

# Each row: the steps on an opened account, the ask, the answer.
ROWS: dict[str, tuple[Steps, Ask, Answer]] = {
    "4 email": ((), Show("email"), (False, "not_publishable", 7)),
    "5 open": ((), Retain("email"), (True, "in_service", 6)),
    "5 other request": ((ACCESS,), Retain("email"), (True, "in_service", 6)),
    "5 erasure refused": ((ERASURE, REFUSED), Retain("email"), (True, "in_service", 6)),
    "5 erasure pending": ((ERASURE,), Retain("email"), (False, "erasure_requested", 1)),
    "5 closed": ((e.AccountClosed(),), Retain("email"), (False, "account_closed", 6)),
    "5 reopened": ((e.AccountClosed(), e.AccountOpened()), Retain("email"), (True, "in_service", 6)),
    "5 restricted": ((e.Restricted(),), Retain("email"), (True, "in_service", 6)),
    "6 held, erasure pending": ((hold("debt", ["email"]), ERASURE), Retain("email"), (True, "held", 6)),
    "6 held, closed": ((hold("debt", ["email"]), e.AccountClosed()), Retain("email"), (True, "held", 6)),
    "6 by the second": (
        (hold("debt", ["phone"]), hold("tax", ["email", "phone"], "h-2"), ERASURE), Retain("email"), (True, "held", 6)
    ),
    "6 other field held": ((hold("debt", ["phone"]), ERASURE), Retain("email"), (False, "erasure_requested", 1)),
    "6 released": (
        (hold("debt", ["email"]), ERASURE, e.HoldReleased("h-1")), Retain("email"), (False, "erasure_requested", 1)
    ),
    "6 not run out": ((hold("debt", ["email"], until=9), ERASURE, 8), Retain("email"), (True, "held", 6)),
    "6 run out": ((hold("debt", ["email"], until=9), ERASURE, 9), Retain("email"), (False, "erasure_requested", 1)),
    "6 run out, closed": (
        (hold("debt", ["email"], until=9), e.AccountClosed(), 9), Retain("email"), (False, "account_closed", 6)
    ),
    "7 rights, no request": ((), Process("rights_handling", ["email"]), (False, "no_duty", 6)),
    "7 rights, a hold is no request": (
        (hold("legal", ["email"]),), Process("rights_handling", ["email"]), (False, "no_duty", 6)
    ),
    "7 rights, resolved": (
        (ACCESS, e.RequestResolved("q-2", "fulfilled")), Process("rights_handling"), (False, "no_duty", 6)
    ),
    "7 rights, another open": (
        (ERASURE, ACCESS, e.RequestResolved("q-2", "fulfilled")), Process("rights_handling"), (True, "held", 1)
    ),
    "7 debt, a request is no hold": ((ACCESS,), Process("debt_settlement", ()), (False, "no_duty", 6)),
    "7 debt, no hold": ((), Process("debt_settlement", ()), (False, "no_duty", 6)),
    "7 all the data": (
        (hold("debt", ["email", "phone"]),), Process("debt_settlement", ["email", "phone"]), (True, "held", 6)
    ),
    "7 some of the data": (
        (hold("debt", ["email", "phone"]),), Process("debt_settlement", ["phone"]), (True, "held", 6)
    ),
    "7 none of the data": ((hold("debt", ["email"]),), Process("debt_settlement", ()), (True, "held", 6)),
    "7 any data": ((hold("debt", [*Field]),), Process("debt_settlement"), (False, "no_duty", 6)),
    "7 more data": (
        (hold("debt", ["email"]),), Process("debt_settlement", ["email", "phone"]), (False, "no_duty", 6)
    ),
    "7 two holds together": (
        (hold("debt", ["email"]), hold("debt", ["phone"], "h-2")),
        Process("debt_settlement", ["email", "phone"]),
        (False, "no_duty", 6),
    ),
    "7 two kinds of hold together": (
        (hold("tax", ["email"]), hold("audit", ["phone"], "h-2")),
        Process("legal_obligation", ["email", "phone"]),
        (False, "no_duty", 6),
    ),
    "7 the second hold": (
        (hold("tax", ["email"]), hold("audit", ["phone"], "h-2")),
        Process("legal_obligation", ["phone"]),
        (True, "held", 6),
    ),
    "7 a hold of another kind names it": (
        (hold("debt", ["email"]), hold("dispute", ["phone"], "h-2")),
        Process("debt_settlement", ["phone"]),
        (False, "no_duty", 6),
    ),
    "7 released": (
        (hold("debt", ["email"]), e.HoldReleased("h-1")), Process("debt_settlement", ["email"]), (False, "no_duty", 6)
    ),
    "7 not run out": ((hold("debt", ["email"], until=9), 8), Process("debt_settlement", ["email"]), (True, "held", 6)),
    "7 run out": ((hold("debt", ["email"], until=9), 9), Process("debt_settlement", ["email"]), (False, "no_duty", 6)),
    "10 a field": ((GRANTED, e.Restricted(["email"])), Process("surveys", ["email"]), (False, "restricted", 1)),
    "10 one of the fields": (
        (GRANTED, e.Restricted(["email"])), Process("surveys", ["phone", "email"]), (False, "restricted", 1)
    ),
    "10 another field": ((GRANTED, e.Restricted(["phone"])), Process("surveys", ["email"]), (True, "consented", 4)),
    "10 any data": ((GRANTED, e.Restricted(["phone"])), Process("surveys", None), (False, "restricted", 1)),
    "10 no data": ((GRANTED, e.Restricted(["phone"])), Process("surveys", ()), (True, "consented", 4)),
    "10 any data, all restricted": ((GRANTED, e.Restricted()), Process("surveys", None), (False, "restricted", 1)),
    "10 no data, all restricted": ((GRANTED, e.Restricted()), Process("surveys", ()), (False, "restricted", 1)),
    "10 no data, each restricted": ((GRANTED, e.Restricted(Field)), Process("surveys", ()), (False, "restricted", 1)),
    "10 a field, all restricted": ((GRANTED, e.Restricted()), Process("surveys", ["email"]), (False, "restricted", 1)),
    "10 lifted": (
        (GRANTED, e.Restricted(["email"]), e.RestrictionLifted(["email"])), Process("surveys"), (True, "consented", 4)
    ),
    "10 all lifted": (
        (GRANTED, e.Restricted(["email"]), e.Restricted(), e.RestrictionLifted()), SURVEY, (True, "consented", 4)
    ),
    "10 all, then some": (
        (GRANTED, e.Restricted(), e.Restricted(["phone"])), Process("surveys", ()), (False, "restricted", 1)
    ),
    "10 show": ((e.Published("avatar"), e.Restricted(["avatar"])), Show("avatar"), (False, "restricted", 1)),
    "10 show, all": ((e.Published("avatar"), e.Restricted()), Show("avatar"), (False, "restricted", 1)),
    "10 show, another": ((e.Published("avatar"), e.Restricted(["email"])), Show("avatar"), (True, "published", 7)),
    "10 share": ((TOLD, AGREED, e.Restricted(["email"])), SHARE, (False, "restricted", 1)),
    "10 share, all": ((TOLD, AGREED, e.Restricted()), SHARE, (False, "restricted", 1)),
    "10 share, another": ((TOLD, AGREED, e.Restricted(["username"])), SHARE, (True, "agreed", 5)),
    "10 market, its own field": ((PROMOTED, e.Restricted(["email"])), MAIL, (False, "restricted", 1)),
    "10 market, its data": (
        (PROMOTED, e.Restricted(["phone"])), Market("email", ["phone"]), (False, "restricted", 1)
    ),
    "10 market, its own field beside its data": (
        (PROMOTED, e.Restricted(["email"])), Market("email", ["phone"]), (False, "restricted", 1)
    ),
    "10 market, another": ((PROMOTED, e.Restricted(["phone"])), MAIL, (True, "consented", 4)),
    "10 market, all": ((PROMOTED, e.Restricted()), MAIL, (False, "restricted", 1)),
    "10 service, any data": ((e.Restricted(["email"]),), Process("payment"), (False, "restricted", 1)),
    "10 service, no data": ((e.Restricted(["email"]),), Process("payment", ()), (True, "needed_for_service", 4)),
    "11 opt-in": ((GRANTED, e.Objected("surveys")), SURVEY, (False, "objected", 1)),
    "11 service": ((e.Objected("payment"),), Process("payment"), (False, "objected", 1)),
    "11 market": ((PROMOTED, e.Objected("marketing")), MAIL, (False, "objected", 1)),
    "11 share": ((TOLD, AGREED, e.Objected("marketing")), SHARE, (False, "objected", 1)),
    "11 share for a service purpose": (
        (told("n-1", ["email"], "payment"), AGREED, e.Objected("payment")),
        Share("acme-records", ["email"], "payment"),
        (False, "objected", 1),
    ),
    "11 another purpose": ((GRANTED, e.Objected("contests")), SURVEY, (True, "consented", 4)),
    "11 share for another purpose": ((TOLD, AGREED, e.Objected("surveys")), SHARE, (True, "agreed", 5)),
    "11 beats a newer consent": ((e.Objected("surveys"), 1, GRANTED), SURVEY, (False, "objected", 1)),
    "11 lifted": ((GRANTED, e.Objected("surveys"), e.ObjectionLifted("surveys")), SURVEY, (True, "consented", 4)),
    "11 service lifted": (
        (e.Objected("payment"), e.ObjectionLifted("payment")), Process("payment"), (True, "needed_for_service", 4)
    ),
    "11 kept over closing": (
        (e.Objected("payment"), e.AccountClosed(), e.AccountOpened()), Process("payment"), (False, "objected", 1)
    ),
    "12 published": ((e.Published("avatar"),), Show("avatar"), (True, "published", 7)),
    "12 not published": ((e.Published("username"),), Show("avatar"), (False, "not_published", 7)),
    "12 hidden": ((e.Published("avatar"), e.Hidden("avatar")), Show("avatar"), (False, "not_published", 7)),
    "12 ended by closing": (
        (e.Published("avatar"), e.AccountClosed(), e.AccountOpened()), Show("avatar"), (False, "not_published", 7)
    ),
    "13 less data": ((TOLD, AGREED), SHARE, (True, "agreed", 5)),
    "13 all the data": ((TOLD, AGREED), Share("acme-records", ["email", "username"], "marketing"), (True, "agreed", 5)),
    "13 not run out": ((TOLD, e.Agreed("n-1", seconds(9)), 8), SHARE, (True, "agreed", 5)),
    "13 the second notice": (
        (told("n-1", ["phone"]), told("n-2", ["email"]), e.Agreed("n-2")), SHARE, (True, "agreed", 5)
    ),
    "13 beside one withdrawn": (
        (TOLD, told("n-2", ["email"]), e.Agreed("n-2"), AGREED, e.AgreementWithdrawn("n-1")), SHARE, (True, "agreed", 5)
    ),
    "13 for a duty": (
        (told("n-1", ["email"], "legal_obligation"), AGREED),
        Share("acme-records", ["email"], "legal_obligation"),
        (True, "agreed", 5),
    ),
    "13 needs no consent to the purpose": ((TOLD, AGREED, e.Withdrawn("marketing")), SHARE, (True, "agreed", 5)),
    "14 another purpose": ((told("n-1", ["email"], "surveys"), AGREED), SHARE, (False, "beyond_notice", 5)),
    "14 more data": (
        (TOLD, AGREED), Share("acme-records", ["email", "phone"], "marketing"), (False, "beyond_notice", 5)
    ),
    "14 two agreements together": (
        (told("n-1", ["email"]), told("n-2", ["phone"]), AGREED, e.Agreed("n-2")),
        Share("acme-records", ["email", "phone"], "marketing"),
        (False, "beyond_notice", 5),
    ),
    "14 data of one, purpose of another": (
        (told("n-1", ["email"], "surveys"), told("n-2", ["phone"]), AGREED, e.Agreed("n-2")),
        SHARE,
        (False, "beyond_notice", 5),
    ),
    "14 withdrawn": ((TOLD, AGREED, e.AgreementWithdrawn("n-1")), SHARE, (False, "withdrawn", 5)),
    "14 declined": ((TOLD, e.AgreementWithdrawn("n-1")), SHARE, (False, "withdrawn", 5)),
    "14 withdrawn, then run out": (
        (TOLD, e.Agreed("n-1", seconds(9)), e.AgreementWithdrawn("n-1"), 9), SHARE, (False, "withdrawn", 5)
    ),
    "14 withdrawn from another notice": (
        (TOLD, told("n-2", ["phone"], "surveys"), e.AgreementWithdrawn("n-2")), SHARE, (False, "withdrawn", 5)
    ),
    "14 run out": ((TOLD, e.Agreed("n-1", seconds(9)), 9), SHARE, (False, "expired", 5)),
    "14 run out and agreed again": ((TOLD, e.Agreed("n-1", seconds(9)), 9, AGREED), SHARE, (True, "agreed", 5)),
    "14 agreed again for a while": ((TOLD, AGREED, e.Agreed("n-1", seconds(9)), 9), SHARE, (False, "expired", 5)),
    "14 told": ((TOLD,), SHARE, (False, "not_agreed", 5)),
    "14 told for another purpose": ((told("n-1", ["phone"], "surveys"),), SHARE, (False, "not_agreed", 5)),
    "14 ended by closing": (
        (TOLD, AGREED, e.AccountClosed(), e.AccountOpened()), SHARE, (False, "not_agreed", 5)
    ),
    "14 withdrawn before closing": (
        (TOLD, e.AgreementWithdrawn("n-1"), e.AccountClosed(), e.AccountOpened()), SHARE, (False, "withdrawn", 5)
    ),
    "14 withdrawn while closed": (
        (TOLD, AGREED, e.AccountClosed(), e.AgreementWithdrawn("n-1"), e.AccountOpened()),
        SHARE,
        (False, "withdrawn", 5),
    ),
    "14 never told": ((), SHARE, (False, "not_notified", 5)),
    "14 another recipient": (
        (told("n-1", ["email"], recipient="bolt-ads"), AGREED), SHARE, (False, "not_notified", 5)
    ),
    "14 another recipient's withdrawal": (
        (told("n-1", ["email"], recipient="bolt-ads"), e.AgreementWithdrawn("n-1"), told("n-2", ["email"])),
        SHARE,
        (False, "not_agreed", 5),
    ),
    "14 consent and publication give no right to share": (
        (PROMOTED, e.Published("username")),
        Share("acme-records", ["username"], "marketing"),
        (False, "not_notified", 5),
    ),
    "14 service needs agreement": ((), Share("acme-records", ["payment"], "payment"), (False, "not_notified", 5)),
    "14 a hold gives no right to share": (
        (hold("legal", ["email"]),), Share("acme-records", ["email"], "legal_obligation"), (False, "not_notified", 5)
    ),
    "15 service operation": ((), Process("service_operation"), (True, "needed_for_service", 6)),
    "15 withdrawals elsewhere": ((e.Withdrawn("surveys"),), Process("payment", Field), (True, "needed_for_service", 4)),
    "16 market": ((PROMOTED,), MAIL, (True, "consented", 4)),
    "16 not run out": ((e.Granted("surveys", "n-1", expires_at=seconds(9)), 8), SURVEY, (True, "consented", 4)),
    "16 granted again": ((GRANTED, e.Withdrawn("surveys"), GRANTED), SURVEY, (True, "consented", 4)),
    "16 granted beyond the end": (
        (e.Granted("surveys", "n-1", expires_at=seconds(9)), GRANTED, 9), SURVEY, (True, "consented", 4)
    ),
    "16 another channel withdrawn": ((PROMOTED, e.Withdrawn("marketing", ["call"])), MAIL, (True, "consented", 4)),
    "17 never granted": ((), SURVEY, (False, "not_consented", 4)),
    "17 another purpose": ((e.Granted("contests", "n-1"),), SURVEY, (False, "not_consented", 4)),
    "17 another channel": ((PROMOTED,), Market("notification"), (False, "not_consented", 4)),
    "17 publication is no consent": (
        (e.Published("username"), TOLD, AGREED), Market("email", ["username"]), (False, "not_consented", 4)
    ),
    "17 ended by closing": ((GRANTED, e.AccountClosed(), e.AccountOpened()), SURVEY, (False, "not_consented", 4)),
    "17 withdrawn": ((GRANTED, e.Withdrawn("surveys")), SURVEY, (False, "withdrawn", 4)),
    "17 declined": ((e.Withdrawn("surveys"),), SURVEY, (False, "withdrawn", 4)),
    "17 withdrawn before closing": (
        (GRANTED, e.Withdrawn("surveys"), e.AccountClosed(), e.AccountOpened()), SURVEY, (False, "withdrawn", 4)
    ),
    "17 withdrawn while closed": (
        (GRANTED, e.AccountClosed(), e.Withdrawn("surveys"), e.AccountOpened()), SURVEY, (False, "withdrawn", 4)
    ),
    "17 withdrawn from the channel": ((PROMOTED, e.Withdrawn("marketing", ["email"])), MAIL, (False, "withdrawn", 4)),
    "17 withdrawn from all channels": ((PROMOTED, e.Withdrawn("marketing")), MAIL, (False, "withdrawn", 4)),
    "17 declined in all channels": ((e.Withdrawn("marketing"),), Market("call"), (False, "withdrawn", 4)),
    "17 withdrawn, then run out": (
        (e.Granted("surveys", "n-1", expires_at=seconds(9)), e.Withdrawn("surveys"), 9), SURVEY, (False, "withdrawn", 4)
    ),
    "17 run out, then withdrawn": (
        (e.Granted("surveys", "n-1", expires_at=seconds(9)), 9, e.Withdrawn("surveys")), SURVEY, (False, "withdrawn", 4)
    ),
    "17 run out": ((e.Granted("surveys", "n-1", expires_at=seconds(9)), 9), SURVEY, (False, "expired", 4)),
    "17 run out after a withdrawal": (
        (e.Withdrawn("surveys"), e.Granted("surveys", "n-1", expires_at=seconds(9)), 9), SURVEY, (False, "expired", 4)
    ),
    "17 market run out": (
        (e.Granted("marketing", "n-1", ["email"], seconds(9)), 9), MAIL, (False, "expired", 4)
    ),
    **{f"4 {field}": ((), Show(field), (False, "not_publishable", 7)) for field in Field if field not in PUBLISHABLE},
    **{f"7 rights, {kind}": ((e.RequestFiled("q-1", kind),), Process("rights_handling", data), (True, "held", 1))
       for kind in RequestKind for data in (None, (), ["email"])},
    **{f"7 {purpose} under {kind}": ((hold(kind, ["email"]),), Process(purpose, ["email"]), result)
       for purpose, kinds in {
           "legal_obligation": ("legal", "tax", "accounting", "audit"),
           "dispute_resolution": ("dispute",),
           "debt_settlement": ("debt",),
       }.items()
       for kind in HoldKind
       for result in [(True, "held", 6) if kind in kinds else (False, "no_duty", 6)]},
    **{f"7 survives {type(step).__name__}": (
           (hold("debt", ["email"]), step), Process("debt_settlement", ["email"]), (True, "held", 6))
       for step in (e.Restricted(), e.AccountClosed(), ERASURE, e.Objected("payment"))},
    **{f"7 rights survive {type(step).__name__}": ((ACCESS, step), Process("rights_handling"), (True, "held", 1))
       for step in (e.Restricted(), e.AccountClosed(), ERASURE)},
    **{f"10 market {channel} touches {field}": (
           (e.Granted("marketing", "n-1", Channel), e.Restricted([field])), Market(channel), result)
       for channel, own in {"email": "email", "message": "phone", "call": "phone", "notification": "device"}.items()
       for field in ("email", "phone", "device", "username")
       for result in [(False, "restricted", 1) if field == own else (True, "consented", 4)]},
    **{f"12 {field}": ((e.Published(field),), Show(field), (True, "published", 7)) for field in sorted(PUBLISHABLE)},
    **{f"13 for {purpose}": (
           (told("n-1", ["email"], purpose), AGREED), Share("acme-records", ["email"], purpose), (True, "agreed", 5))
       for purpose in Purpose},
    **{f"15 {purpose}": ((), Process(purpose), (True, "needed_for_service", 4))
       for purpose in ("payment", "fraud_detection", "troubleshooting")},
    **{f"16 {purpose}": ((e.Granted(purpose, "n-1"),), Process(purpose), (True, "consented", 4)) for purpose in OPT_IN},
    **{f"16 {channel}": ((e.Granted("marketing", "n-1", [channel]),), Market(channel), (True, "consented", 4))
       for channel in Channel},
}  # fmt: skip


@pytest.mark.parametrize(("steps", "ask", "expected"), ROWS.values(), ids=list(ROWS))
def test_row(steps: Steps, ask: Ask, expected: Answer) -> None:
    """Each row of the decision table answers with its reason and clause."""
    assert answer(opened(*steps), ask) == expected


def test_row_1() -> None:
    """Where nothing trustworthy is known, two answers deny, by clause 3."""
    assert (UNAVAILABLE.allowed, UNAVAILABLE.reason, UNAVAILABLE.clause) == (False, Reason.UNAVAILABLE, 3)
    assert (STALE.allowed, STALE.reason, STALE.clause) == (False, Reason.STALE, 3)
    assert not UNAVAILABLE
    assert not STALE


@each_ask
def test_row_2(ask: Ask) -> None:
    """A user who was never opened is unknown, whatever is asked."""
    assert answer(History(), ask) == (False, "unknown_user", 3)


@each_ask
@pytest.mark.parametrize("steps", [(e.AccountClosed(),), (ERASURE,)], ids=["closed", "asked"])
def test_row_3(ask: Ask, steps: Steps) -> None:
    """An erased user is erased, whatever is asked and whatever was allowed before."""
    history = opened(TOLD, AGREED, GRANTED, PROMOTED, e.Published("avatar"), *steps, e.Erased())
    assert answer(history, ask) == (False, "erased", 6)


@each_ask
def test_row_8(ask: Ask) -> None:
    """While an erasure is pending all is denied, but what rows 4 to 7 decide."""
    decided_before = {
        Show("email"): (False, "not_publishable", 7),
        Process("debt_settlement", ()): (False, "no_duty", 6),
        Process("rights_handling"): (True, "held", 1),
    }
    history = opened(TOLD, AGREED, GRANTED, e.Granted("marketing", "n-1", Channel), e.Published("avatar"), ERASURE)
    assert answer(history, ask) == decided_before.get(ask, (False, "erasure_requested", 1))


@each_ask
def test_row_9(ask: Ask) -> None:
    """On a closed account all is denied, but what rows 4 to 7 decide."""
    decided_before = {
        Show("email"): (False, "not_publishable", 7),
        Process("debt_settlement", ()): (False, "no_duty", 6),
        Process("rights_handling"): (False, "no_duty", 6),
    }
    history = opened(TOLD, AGREED, GRANTED, e.Granted("marketing", "n-1", Channel), e.Published("avatar"))
    assert answer(history.append(e.AccountClosed()), ask) == decided_before.get(ask, (False, "account_closed", 6))


@pytest.mark.parametrize(
    ("ask", "yes", "no"),
    [
        (SURVEY, (True, "consented", 4), (False, "expired", 4)),
        (MAIL, (True, "consented", 4), (False, "expired", 4)),
        (SHARE, (True, "agreed", 5), (False, "expired", 5)),
        (Process("debt_settlement", ["email"]), (True, "held", 6), (False, "no_duty", 6)),
        (Retain("email"), (True, "held", 6), (False, "account_closed", 6)),
    ],
    ids=["Process", "Market", "Share", "duty", "Retain"],
)
def test_end_to_the_microsecond(ask: Ask, yes: Answer, no: Answer) -> None:
    """What ends at an instant is live to just before it, and not at it."""
    history = opened(
        TOLD,
        e.Agreed("n-1", seconds(9)),
        e.Granted("surveys", "n-1", expires_at=seconds(9)),
        e.Granted("marketing", "n-1", ["email"], seconds(9)),
        hold("debt", ["email"], until=9),
    )
    if isinstance(ask, Retain):
        history.append(e.AccountClosed())
    assert answer(history.tick(8.999999), ask) == yes
    assert answer(history.tick(0.000001), ask) == no
    assert answer(history.tick(1e6), ask) == no


@pytest.mark.parametrize(
    ("ask", "yes", "no"),
    [
        (SURVEY, (True, "consented", 4), (False, "not_consented", 4)),
        (MAIL, (True, "consented", 4), (False, "not_consented", 4)),
        (SHARE, (True, "agreed", 5), (False, "not_agreed", 5)),
        (Process("debt_settlement", ["email"]), (True, "held", 6), (False, "no_duty", 6)),
        (Process("legal_obligation", ()), (True, "held", 6), (False, "no_duty", 6)),
    ],
    ids=["Process", "Market", "Share", "duty", "duty without data"],
)
def test_beginning_to_the_microsecond(ask: Ask, yes: Answer, no: Answer) -> None:
    """What was given at an instant is live from it on, and not before."""
    history = opened(
        5, TOLD, AGREED, GRANTED, PROMOTED, hold("debt", ["email"]), hold("tax", ["email"], "h-2")
    )  # fmt: skip
    history.at = seconds(4.999999)
    assert answer(history, ask) == no
    history.at = seconds(5)
    assert answer(history, ask) == yes


@pytest.mark.parametrize("ask", [Show("avatar"), *(Process(purpose) for purpose in SERVICE)], ids=str)
def test_time_alone_changes_nothing_else(ask: Ask) -> None:
    """Publications, and what the service needs, do not run out."""
    history = opened(e.Published("avatar"))
    assert history.decide(ask)
    assert history.decide(ask) is history.tick(1e9).decide(ask)


def test_origin_never_changes_an_answer() -> None:
    """Customers who came through Facebook or Google are answered as those who came directly."""
    steps = (TOLD, AGREED, GRANTED, e.Published("avatar"), ACCESS)
    answers: set[tuple[Decision, ...]] = set()
    for origin in ("direct", "facebook", "google"):
        history = History().append(e.AccountOpened(origin), *steps)
        answers.add(tuple(history.decide(ask) for ask in EACH_ASK))
    assert len(answers) == 1


@pytest.mark.parametrize("odd", [None, "email", object(), e.Hidden("avatar")], ids=lambda odd: type(odd).__name__)
def test_what_is_no_ask_has_no_answer(odd: Any) -> None:
    """A value other than the five asks is never allowed: it has no answer at all."""
    with pytest.raises(TypeError):
        opened(e.Published("avatar")).decide(odd)


def test_where_no_row_hits_there_is_no_answer() -> None:
    """Keeping data is decided by row 9 at the latest: on a record that no fold makes, there is no yes either."""
    record = attrs.evolve(opened().record, account=None)  # type: ignore[arg-type]
    with pytest.raises(StopIteration):
        decide(record, Retain("email"), seconds(0))
