"""The work list: what is owed, in order, and which erasures may be done."""

from __future__ import annotations

from datetime import timedelta

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.due import due
from diijam_consent_sdk.record import ConsentRecord, fold, unopened
from tests.strategies import START

ERASURE = e.RequestFiled("q-1", "erasure")


def made(user_id: str, *events: e.Event, at: int = 0) -> ConsentRecord:
    """The record that these events make, all of one day."""
    record = unopened(user_id)
    for number, event in enumerate([e.AccountOpened(), *events], start=1):
        record = fold(record, e.LedgerEntry(number, user_id, number, START + timedelta(days=at), event))
    return record


def test_nothing_is_owed() -> None:
    """Users without requests, or whose requests are resolved, are on no list."""
    resolved = made("u-2", e.RequestFiled("q", "access"), e.RequestResolved("q", "fulfilled"))
    owed = due([made("u-1"), resolved, unopened("u-3")], START)
    assert owed.at == START
    assert (owed.requests, owed.erasable, owed.held) == ((), (), ())


def test_requests_come_in_the_order_they_are_due() -> None:
    """The request that is due first comes first, whichever user filed it, and whenever."""
    records = [made("u-1", ERASURE, at=0), made("u-2", e.RequestFiled("q-2", "access"), at=5)]
    records += [made("u-3", e.RequestFiled("q-3", "complaint"), e.RequestFiled("q-4", "rectification"), at=1)]
    owed = due(records, START + timedelta(days=6))
    assert [(it.user_id, it.request.request) for it in owed.requests] == [
        ("u-3", "q-3"), ("u-3", "q-4"), ("u-2", "q-2"), ("u-1", "q-1"),
    ]  # fmt: skip
    assert [it.request.due_at for it in owed.requests] == sorted(it.request.due_at for it in owed.requests)


@pytest.mark.parametrize(
    ("events", "hours", "state"),
    [
        ((), 0, "on_track"),
        ((), 36, "on_track"),  # a quarter of two days is left for the reply: that is not less
        ((), 36.001, "due_soon"),
        ((), 48, "overdue"),
        ((e.RequestReplied("q-2"),), 49, "on_track"),
        ((e.RequestReplied("q-2"),), 180, "on_track"),
        ((e.RequestReplied("q-2"),), 180.001, "due_soon"),
        ((e.RequestReplied("q-2"),), 239.999, "due_soon"),
        ((e.RequestReplied("q-2"),), 240, "overdue"),
        ((e.RequestReplied("q-2"), e.RequestExtended("q-2", "archive")), 360, "on_track"),
        ((e.RequestReplied("q-2"), e.RequestExtended("q-2", "archive")), 360.001, "due_soon"),
        ((e.RequestReplied("q-2"), e.RequestExtended("q-2", "archive")), 480, "overdue"),
        ((e.RequestExtended("q-2", "archive"),), 48, "overdue"),  # the reply, which no extension moves
    ],
)
def test_state_of_a_request(events: tuple[e.Event, ...], hours: float, state: str) -> None:
    """Overdue from the instant of the deed on, or of the reply until one is given; due soon in its last quarter."""
    owed = due([made("u-1", e.RequestFiled("q-2", "access"), *events)], START + timedelta(hours=hours))
    assert [it.state for it in owed.requests] == [state]


def test_state_counts_from_receipt() -> None:
    """A request that was typed in nine days late has one day left."""
    late = e.RequestFiled("q-2", "access", received_at=START - timedelta(days=9))
    record = made("u-1", late, e.RequestReplied("q-2"))
    assert due([record], START).requests[0].state == "due_soon"
    assert due([record], START + timedelta(days=1)).requests[0].state == "overdue"


def test_erasures_are_split_by_their_holds() -> None:
    """What no live hold keeps may be erased; the others name their holds, and when the last of them ends."""
    later = [START + timedelta(days=days) for days in (3, 9)]
    held = [e.HoldPlaced("h-1", "tax", ["payment"], later[0]), e.HoldPlaced("h-2", "audit", ["payment"], later[1])]
    records = [
        made("free", ERASURE, at=1),
        made("held", *held, ERASURE),
        made("for good", *held, e.HoldPlaced("h-3", "dispute", ["email"]), ERASURE),
        made("released", held[0], e.HoldReleased("h-1"), ERASURE),
    ]
    owed = due(records, START + timedelta(days=1))
    assert [it.user_id for it in owed.erasable] == ["released", "free"]
    assert [(it.user_id, [hold.hold for hold in it.holds], it.until) for it in owed.held] == [
        ("held", ["h-1", "h-2"], later[1]), ("for good", ["h-1", "h-2", "h-3"], None),
    ]  # fmt: skip
    owed = due(records, later[0])
    assert [[hold.hold for hold in it.holds] for it in owed.held] == [["h-2"], ["h-2", "h-3"]]
    owed = due(records, later[1])
    assert {it.user_id for it in owed.erasable} == {"free", "held", "released"}


def test_who_is_on_a_list_is_not_in_its_repr() -> None:
    """Work lists in a log name nobody."""
    assert "u-secret" not in repr(due([made("u-secret", ERASURE)], START))
