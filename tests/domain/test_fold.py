"""What every accepted event does to the record, and that it does nothing else."""

from __future__ import annotations

import pickle
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import Show
from diijam_consent_sdk.holders import Erasure
from diijam_consent_sdk.record import (
    Consent,
    Hold,
    Notice,
    Publication,
    Request,
    fold,
    fold_all,
    refusal,
    unopened,
)
from diijam_consent_sdk.vocabulary import (
    Account,
    Channel,
    Field,
    HoldKind,
    Origin,
    Outcome,
    Purpose,
    RequestKind,
)

from ..strategies import moves
from .history import USER_ID, History, opened, seconds
from .samples import EACH_EVENT

TOLD = e.Notified("n-1", "acme-records", ["email", "username"], "marketing")
NOTICE = Notice(
    given_at=None,
    expires_at=None,
    withdrawn_at=None,
    entry_version=None,
    said_at=None,
    notice="n-1",
    recipient="acme-records",
    data=frozenset({Field.EMAIL, Field.USERNAME}),
    purpose=Purpose.MARKETING,
    told_at=seconds(0),
)
HOLD = Hold(
    hold="h-1",
    kind=HoldKind.DEBT,
    data=frozenset({Field.PAYMENT}),
    placed_at=seconds(0),
    until=None,
    released_at=None,
)
DEBT = e.HoldPlaced("h-1", "debt", ["payment"])


def consent(purpose: str, channel: str | None = None, **said: Any) -> Consent:
    """A consent of which nothing is said but *said*, in the user's second entry unless it says otherwise."""
    unsaid = {**dict.fromkeys(("given_at", "expires_at", "withdrawn_at", "said_at", "notice")), "entry_version": 2}
    return Consent(
        purpose=Purpose(purpose), channel=None if channel is None else Channel(channel), **{**unsaid, **said}
    )


def publication(field: str, entry_version: int) -> dict[Field, Publication]:
    """The last word on a field, said here."""
    return {Field(field): Publication(field=Field(field), entry_version=entry_version, said_at=None)}


def changed(history: History, *events: e.Event, **changes: Any) -> bool:
    """Whether *events* change the record of *history* by just these *changes*, and its version."""
    before = history.record
    history.append(*events)
    return history.record == attrs.evolve(before, version=before.version + len(events), **changes)


def test_version_is_the_entrys() -> None:
    """A record has the version of the last entry that it holds."""
    entry = e.LedgerEntry(900, USER_ID, 41, seconds(1), e.AccountOpened())
    assert fold(unopened(USER_ID), entry).version == 41


def test_fold_leaves_its_argument_alone() -> None:
    """A record is a value: folding an entry into it makes another."""
    history = opened(TOLD, DEBT, e.Granted("surveys", "n-1"), e.RequestFiled("q-1", "erasure"))
    before = pickle.dumps(history.record)
    for event in EACH_EVENT:
        if not isinstance(event, e.HoldReleased | e.RequestResolved):
            fold(history.record, e.LedgerEntry(900, USER_ID, 9, seconds(1), event))
    assert pickle.dumps(history.record) == before


@pytest.mark.parametrize("origin", Origin)
def test_account_opened(origin: Origin) -> None:
    """Opening notes when, and where the account came from."""
    expected = {"account": Account.OPEN, "account_changed_at": seconds(3), "origin": origin}
    assert changed(History().tick(3), e.AccountOpened(origin), **expected)


def test_account_closed() -> None:
    """Closing notes when, and keeps where the account came from."""
    history = History().append(e.AccountOpened("facebook")).tick(3)
    erasure = Erasure(began_at=seconds(3), confirmed=frozenset())
    assert changed(history, e.AccountClosed(), account=Account.CLOSED, account_changed_at=seconds(3), erasure=erasure)
    assert history.record.origin is Origin.FACEBOOK


def test_reopened() -> None:
    """Reopening notes when, and the new origin, and ends the erasure that closing began."""
    history = opened(3, e.AccountClosed(), 4)
    expected = {"account": Account.OPEN, "account_changed_at": seconds(7), "origin": Origin.GOOGLE, "erasure": None}
    assert changed(history, e.AccountOpened("google"), **expected)


def test_closing_ends_consents_agreements_and_publications() -> None:
    """After closing nothing is given any more, until when or not; what the notices told, and what was said, stays."""
    history = opened(
        TOLD,
        e.Agreed("n-1", seconds(90)),
        e.Granted("surveys", "n-2"),
        e.Granted("marketing", "n-3", ["call"], seconds(80)),
        e.Published("avatar"),
        5,
    )
    assert changed(
        history,
        e.AccountClosed(),
        account=Account.CLOSED,
        account_changed_at=seconds(5),
        consents={
            "surveys": consent("surveys", notice="n-2", entry_version=4),
            "marketing:call": consent("marketing", "call", notice="n-3", entry_version=5),
        },
        notices={"n-1": attrs.evolve(NOTICE, entry_version=3)},
        published=frozenset(),
        erasure=Erasure(began_at=seconds(5), confirmed=frozenset()),
    )


def test_closing_keeps_every_no_and_every_duty() -> None:
    """Withdrawals, objections, restrictions, holds and requests outlive closing and reopening."""
    said_no = (
        TOLD,
        e.Agreed("n-1"),
        e.AgreementWithdrawn("n-1"),
        e.Granted("surveys", "n-1"),
        e.Withdrawn("surveys"),
        e.Withdrawn("marketing", ["call"]),
        e.Objected("payment"),
        e.Restricted(),
        e.Restricted(["email"]),
        DEBT,
        e.RequestFiled("q-1", "erasure"),
    )
    before = opened(*said_no).record
    after = opened(*said_no, e.AccountClosed(), e.AccountOpened()).record
    assert after.consents == {
        "surveys": consent("surveys", notice="n-1", withdrawn_at=seconds(0), entry_version=6),
        "marketing:call": consent("marketing", "call", withdrawn_at=seconds(0), entry_version=7),
    }
    assert after.notices == {"n-1": attrs.evolve(NOTICE, withdrawn_at=seconds(0), entry_version=4)}
    stays = ("objected", "all_restricted", "restricted", "holds", "requests")
    assert [getattr(after, name) for name in stays] == [getattr(before, name) for name in stays]
    assert all(getattr(after, name) for name in stays)


@pytest.mark.parametrize("purpose", ["surveys", "contests", "service_improvement"])
@pytest.mark.parametrize("expires_at", [None, seconds(60)], ids=["for good", "for a minute"])
def test_granted(purpose: str, expires_at: Any) -> None:
    """A grant notes when, on which notice, and until when."""
    given = consent(purpose, notice="n-1", given_at=seconds(2), expires_at=expires_at)
    assert changed(opened(2), e.Granted(purpose, "n-1", expires_at=expires_at), consents={purpose: given})


def test_granted_marketing() -> None:
    """A grant of marketing holds for its channels alone."""
    said = {"notice": "n-1", "given_at": seconds(2), "expires_at": seconds(9)}
    given = {f"marketing:{channel}": consent("marketing", channel, **said) for channel in ("email", "call")}
    assert changed(opened(2), e.Granted("marketing", "n-1", ["email", "call"], seconds(9)), consents=given)


def test_later_grant_replaces() -> None:
    """A later grant replaces the earlier one of the same purpose and channel, also one that never ends."""
    history = opened(
        e.Granted("marketing", "n-1", ["email", "call"]), e.Granted("surveys", "n-1", expires_at=seconds(9)), 4
    )
    first = history.record.consents
    said = {"given_at": seconds(4), "expires_at": seconds(8), "entry_version": 4}
    later = consent("marketing", "email", notice="n-2", **said)
    granted = e.Granted("marketing", "n-2", ["email"], seconds(8))
    assert changed(history, granted, consents={**first, "marketing:email": later})
    later_still = consent("surveys", notice="n-3", given_at=seconds(4), entry_version=5)
    assert changed(history, e.Granted("surveys", "n-3"), consents={**history.record.consents, "surveys": later_still})


def test_grant_after_withdrawal() -> None:
    """A grant after a withdrawal counts: the withdrawal is gone."""
    history = opened(e.Withdrawn("surveys"), 4)
    given = consent("surveys", notice="n-2", given_at=seconds(4), entry_version=3)
    assert changed(history, e.Granted("surveys", "n-2"), consents={"surveys": given})


def test_withdrawn() -> None:
    """A withdrawal notes when, and leaves on record what had been given."""
    history = opened(e.Granted("surveys", "n-1", expires_at=seconds(9)), e.Granted("contests", "n-1"), 4)
    given = consent("surveys", notice="n-1", given_at=seconds(0), expires_at=seconds(9), entry_version=2)
    said = attrs.evolve(given, withdrawn_at=seconds(4), entry_version=4)
    assert changed(history, e.Withdrawn("surveys"), consents={**history.record.consents, "surveys": said})


def test_withdrawn_that_was_never_granted() -> None:
    """A no that answers no yes is recorded all the same."""
    said = consent("surveys", withdrawn_at=seconds(4))
    assert changed(opened(4), e.Withdrawn("surveys"), consents={"surveys": said})


@pytest.mark.parametrize(
    ("channels", "over"),
    [((), tuple(Channel)), (tuple(Channel), tuple(Channel)), (("email", "call"), ("email", "call"))],
    ids=["none", "all", "two"],
)
def test_withdrawn_marketing(channels: tuple[str, ...], over: tuple[str, ...]) -> None:
    """A withdrawal from marketing is for its channels; without channels it is for all four."""
    said = {f"marketing:{channel}": consent("marketing", channel, withdrawn_at=seconds(4)) for channel in over}
    assert changed(opened(4), e.Withdrawn("marketing", channels), consents=said)


def test_withdrawn_from_one_channel() -> None:
    """A withdrawal from one channel leaves the others as they are."""
    history = opened(e.Granted("marketing", "n-1", ["email", "call"]), 4)
    given = consent("marketing", "call", notice="n-1", given_at=seconds(0))
    said = attrs.evolve(given, withdrawn_at=seconds(4), entry_version=3)
    withdrawn = {**history.record.consents, "marketing:call": said}
    assert changed(history, e.Withdrawn("marketing", ["call"]), consents=withdrawn)


def test_objected_and_lifted() -> None:
    """Objections are kept by purpose, each until it is lifted."""
    history = opened()
    assert changed(history, e.Objected("payment"), objected={"payment"})
    assert changed(history, e.Objected("surveys"), objected={"payment", "surveys"})
    assert changed(history, e.Objected("surveys"))
    assert changed(history, e.ObjectionLifted("payment"), objected={"surveys"})
    assert changed(history, e.ObjectionLifted("surveys"), objected=frozenset())


def test_restricted_and_lifted_by_field() -> None:
    """Restrictions add up field by field, and are lifted field by field."""
    history = opened()
    assert changed(history, e.Restricted(["email"]), restricted={"email"})
    assert changed(history, e.Restricted(["email", "phone"]), restricted={"email", "phone"})
    assert changed(history, e.RestrictionLifted(["email", "device"]), restricted={"phone"})
    assert changed(history, e.RestrictionLifted(["phone"]), restricted=frozenset())


def test_restricted_and_lifted_as_a_whole() -> None:
    """All data restricted stays so, whatever fields are named after, until all is lifted: then nothing is left."""
    history = opened(e.Restricted(["phone"]))
    assert changed(history, e.Restricted(), all_restricted=True)
    assert changed(history, e.Restricted(["email"]), restricted={"email", "phone"})
    assert changed(history, e.Restricted())
    assert changed(history, e.RestrictionLifted(), all_restricted=False, restricted=frozenset())


def test_notified() -> None:
    """A notice records what the customer was notified of, and when; nothing is agreed by it."""
    history = opened(2)
    told = attrs.evolve(NOTICE, told_at=seconds(2))
    assert changed(history, TOLD, notices={"n-1": told})
    other = e.Notified("n-2", "bolt-ads", ["phone"], "legal_obligation")
    second = attrs.evolve(
        told, notice="n-2", recipient="bolt-ads", data=frozenset({Field.PHONE}), purpose=Purpose.LEGAL_OBLIGATION
    )
    assert changed(history, other, notices={"n-1": told, "n-2": second})


@pytest.mark.parametrize("said", [(), (e.Agreed("n-1"),), (e.AgreementWithdrawn("n-1"),)], ids=["", "yes", "no"])
def test_notified_again(said: tuple[e.Event, ...]) -> None:
    """The same notice again changes neither the time of the first nor the customer's answer to it."""
    assert changed(opened(TOLD, *said, 5), TOLD)


def test_agreed() -> None:
    """An agreement notes when and until when, and a later one replaces it."""
    history = opened(TOLD, 2)
    given = attrs.evolve(NOTICE, given_at=seconds(2), expires_at=seconds(9), entry_version=3)
    assert changed(history, e.Agreed("n-1", seconds(9)), notices={"n-1": given})
    history.tick(1)
    given = attrs.evolve(NOTICE, given_at=seconds(3), entry_version=4)
    assert changed(history, e.Agreed("n-1"), notices={"n-1": given})


def test_agreement_withdrawn() -> None:
    """A withdrawn agreement notes when; a later agreement counts again."""
    history = opened(TOLD, attrs.evolve(TOLD, notice="n-2"), e.Agreed("n-1"), 2)
    notices = history.record.notices
    said = attrs.evolve(NOTICE, given_at=seconds(0), withdrawn_at=seconds(2), entry_version=5)
    assert changed(history, e.AgreementWithdrawn("n-1"), notices={**notices, "n-1": said})
    said = attrs.evolve(NOTICE, given_at=seconds(2), entry_version=6)
    assert changed(history, e.Agreed("n-1"), notices={**notices, "n-1": said})


def test_agreement_withdrawn_that_was_never_given() -> None:
    """A no to what was only told is recorded."""
    said = attrs.evolve(NOTICE, withdrawn_at=seconds(2), entry_version=3)
    assert changed(opened(TOLD, 2), e.AgreementWithdrawn("n-1"), notices={"n-1": said})


def test_published_and_hidden() -> None:
    """Fields become public and private one by one; of each the entry of the last word is kept."""
    history = opened()
    said = publication("avatar", 2)
    assert changed(history, e.Published("avatar"), published={"avatar"}, publications=said)
    said |= publication("username", 3)
    assert changed(history, e.Published("username"), published={"avatar", "username"}, publications=said)
    said |= publication("avatar", 4)
    assert changed(history, e.Hidden("avatar"), published={"username"}, publications=said)
    said |= publication("avatar", 5)
    assert changed(history, e.Hidden("avatar"), publications=said)
    said |= publication("email", 6)
    assert changed(history, e.Hidden("email"), publications=said)


@pytest.mark.parametrize(("kind", "days"), [("access", 10), ("rectification", 10), ("erasure", 20), ("complaint", 10)])
@pytest.mark.parametrize("processor", [False, True])
@pytest.mark.parametrize("received_at", [None, seconds(-86_400)], ids=["typed in at once", "typed in a day later"])
def test_request_filed(kind: str, days: int, received_at: datetime | None, *, processor: bool) -> None:
    """A reply and the deed are due so many days of 24 hours after a request was received, filed later or not."""
    start = received_at or seconds(2)
    filed = Request(
        request="q-1",
        kind=RequestKind(kind),
        processor=processor,
        filed_at=seconds(2),
        received_at=start,
        reply_due_at=start + timedelta(hours=48),
        replied_at=None,
        due_at=start + timedelta(hours=24 * days * (1.5 if processor else 1)),
        extension_reason=None,
        outcome=None,
        reason=None,
        resolved_at=None,
    )
    erasure = Erasure(began_at=seconds(2), confirmed=frozenset()) if kind == "erasure" else None
    asked = e.RequestFiled("q-1", kind, processor, received_at)
    assert changed(opened(2), asked, requests={"q-1": filed}, erasure=erasure)


def test_request_replied() -> None:
    """A reply is kept with its instant, and moves no deadline."""
    history = opened(e.RequestFiled("q-1", "access"), e.RequestFiled("q-2", "access"), 5)
    first, second = history.record.requests.values()
    replied = attrs.evolve(first, replied_at=seconds(5))
    assert changed(history, e.RequestReplied("q-1"), requests={"q-1": replied, "q-2": second})


@pytest.mark.parametrize(("kind", "days"), [("access", 20), ("erasure", 40), ("complaint", 20)])
def test_request_extended(kind: str, days: int) -> None:
    """An extension adds the kind's own days to the deed, and none to the reply."""
    history = opened(e.RequestFiled("q-1", kind), 5)
    (filed,) = history.record.requests.values()
    extended = attrs.evolve(filed, due_at=filed.received_at + timedelta(days=days), extension_reason="archive")
    assert changed(history, e.RequestExtended("q-1", "archive"), requests={"q-1": extended})


@pytest.mark.parametrize(("kind", "days"), [("access", 10), ("erasure", 20)])
def test_request_filed_at_the_end_of_the_calendar(kind: str, days: int) -> None:
    """A request whose due time no calendar has is due when the calendar ends."""
    end = datetime.max.replace(tzinfo=UTC)
    for before, due_before in ((days + 1, 1), (days, 0), (days - 1, 0), (0, 0)):
        history = opened()
        history.at = end - timedelta(days=before)
        filed = history.append(e.RequestFiled("q-1", kind)).record.requests["q-1"]
        assert (filed.filed_at, filed.due_at) == (history.at, end - timedelta(days=due_before))


@pytest.mark.parametrize("outcome", Outcome)
def test_request_resolved(outcome: Outcome) -> None:
    """A request keeps its outcome and when it came; the other requests stay open."""
    history = opened(e.RequestFiled("q-1", "access"), e.RequestFiled("q-2", "access"), 5)
    first, second = history.record.requests.values()
    assert history.record.open_requests() == [first, second]
    ended = attrs.evolve(first, outcome=outcome, reason="because", resolved_at=seconds(5))
    assert changed(history, e.RequestResolved("q-1", outcome, "because"), requests={"q-1": ended, "q-2": second})
    assert history.record.open_requests() == [second]


@pytest.mark.parametrize("until", [None, seconds(9)], ids=["for good", "for a while"])
def test_hold_placed(until: Any) -> None:
    """A hold notes its kind, its data, when it was placed and until when it binds."""
    history = opened(2)
    placed = attrs.evolve(HOLD, placed_at=seconds(2), until=until)
    assert changed(history, e.HoldPlaced("h-1", "debt", ["payment"], until), holds={"h-1": placed})
    second = attrs.evolve(placed, hold="h-2", until=None)
    assert changed(history, e.HoldPlaced("h-2", "debt", ["payment"]), holds={"h-1": placed, "h-2": second})


def test_hold_released() -> None:
    """A released hold notes when; the others stay."""
    history = opened(DEBT, attrs.evolve(DEBT, hold="h-2"), 2)
    second = attrs.evolve(HOLD, hold="h-2")
    released = attrs.evolve(HOLD, released_at=seconds(2))
    assert changed(history, e.HoldReleased("h-1"), holds={"h-1": released, "h-2": second})
    assert history.record.live_holds(history.at) == [second]


@pytest.mark.parametrize("anonymised", [True, False])
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "erasure pending"])
def test_erased(anonymised: bool, closed: bool) -> None:
    """After `Erased` nothing is left of the user but that, when and how it was done."""
    history = opened(
        TOLD,
        e.Agreed("n-1"),
        e.Granted("marketing", "n-1", ["email"]),
        e.Withdrawn("surveys"),
        e.Objected("payment"),
        e.Restricted(["email"]),
        e.Restricted(),
        e.Published("avatar"),
        DEBT,
        e.HoldReleased("h-1"),
        e.RequestFiled("q-1", "access"),
        e.AccountClosed() if closed else e.RequestFiled("q-2", "erasure"),
        7,
        e.Erased(anonymised),
    )
    assert history.record == attrs.evolve(
        unopened(USER_ID),
        version=14,
        account=Account.ERASED,
        account_changed_at=seconds(7),
        anonymised=anonymised,
    )


@pytest.mark.parametrize("odd", [None, "withdrawn", object(), Show("avatar")], ids=lambda odd: type(odd).__name__)
def test_what_is_no_event_is_never_folded(odd: Any) -> None:
    """A value that is not an event is never folded as one."""
    with pytest.raises(AssertionError):
        fold(opened().record, e.LedgerEntry(900, USER_ID, 2, seconds(1), odd))


@given(moves())
def test_all_entries_at_once_make_the_same_record(said: list[tuple[int, e.Event]]) -> None:
    """Folding all entries together gives what folding one after another gives, and leaves the start alone."""
    start = record = unopened(USER_ID)
    entries: list[e.LedgerEntry] = []
    at = seconds(0)
    for wait, event in said:
        at += timedelta(seconds=wait)
        if refusal(record, event, at) is None:
            entries.append(e.LedgerEntry(len(entries) + 1, USER_ID, record.version + 1, at, event))
            record = fold(record, entries[-1])
    assert fold_all(start, entries) == record
    assert start == unopened(USER_ID)
    assert all(type(known) is dict for known in (record.requests, fold_all(start, entries).requests))


def test_many_entries_take_linear_time() -> None:
    """Four times as many entries take about four times as long, not sixteen times."""

    def cost(count: int) -> float:
        entries = [
            e.LedgerEntry(number, USER_ID, number, seconds(0), e.HoldPlaced(f"h-{number}", "debt", {"payment"}))
            for number in range(1, count + 1)
        ]
        started = time.process_time()
        assert len(fold_all(unopened(USER_ID), entries).holds) == count
        return time.process_time() - started

    assert min(cost(20_000) for _ in range(2)) < 9 * min(cost(5_000) for _ in range(3))
