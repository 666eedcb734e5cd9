"""What holds for every history and every ask."""

from __future__ import annotations

import pickle
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import DECISIONS, Ask, Decision, decide
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.vocabulary import Account
from tests.strategies import EVERY_ASK, HOLDS, START, asks, events, instants, moves, saying_no

from .history import History
from .oracle import Oracle

Moves = list[tuple[int, e.Event]]

INSTANT = timedelta(microseconds=1)
AGES = timedelta(days=400_000)

many = settings(max_examples=100)


def played(moves: Moves) -> History:
    """The history of what the policy accepts of these moves."""
    history = History()
    for wait, event in moves:
        history.tick(wait).attempt(event)
    return history


def answers(record: ConsentRecord, at: datetime) -> dict[Ask, Decision]:
    """The answer to every ask."""
    return {ask: decide(record, ask, at) for ask in EVERY_ASK}


def turned_to_yes(before: dict[Ask, Decision], after: dict[Ask, Decision]) -> list[Ask]:
    """The asks that were denied and are allowed."""
    return [ask for ask, decision in after.items() if decision and not before[ask]]


# Withdrawing, objecting, restricting, hiding and closing; and where nothing is left to allow, releasing and erasing.
TAKING_AWAY = saying_no() | st.sampled_from([*map(e.HoldReleased, HOLDS), e.Erased()])


@settings(many, max_examples=200)
@given(moves(), TAKING_AWAY)
def test_taking_away_never_gives(moves: Moves, event: e.Event) -> None:
    """Saying no, leaving, the release of a hold and an erasure turn no denial into a permission, for any ask."""
    history = played(moves)
    before = answers(history.record, history.at)
    history.attempt(event)
    assert turned_to_yes(before, answers(history.record, history.at)) == []


@many
@given(moves(), instants())
def test_every_record_answers_every_ask(moves: Moves, at: datetime) -> None:
    """Nothing that the policy accepts breaks the fold, and no record breaks a decision, at any time."""
    history = played(moves)
    for when in (history.at, at, START - AGES, START + AGES):
        assert set(answers(history.record, when).values()) <= set(DECISIONS.values())
    assert history.record.version == len(history.entries)


@many
@given(moves(), st.integers(0, 60))
def test_time_never_gives(moves: Moves, wait: int) -> None:
    """Time alone turns no denial into a permission: what needs a yes of the customer waits for it, all else as well."""
    history = played(moves)
    before = answers(history.record, history.at)
    assert turned_to_yes(before, answers(history.record, history.tick(wait).at)) == []


def in_words(decision: Decision) -> str:
    """A decision as the policy's table writes it."""
    return f"{'allow' if decision else 'deny'} {decision.reason.upper()}, {decision.clause}"


@settings(many, max_examples=200)
@given(moves(), st.lists(asks(), min_size=5, max_size=20), instants() | st.none())
def test_oracle_agrees(moves: Moves, some: list[Ask], at: datetime | None) -> None:
    """An independent reading of the policy, over the ledger, gives the same answer to any ask at any time."""
    history = played(moves)
    for when in {at or history.at, history.at}:
        oracle = Oracle(history.entries, when)
        for ask in (*EVERY_ASK, *some):
            assert in_words(decide(history.record, ask, when)) == oracle.answer(ask)


@many
@given(moves(), st.integers(0, 10))
def test_answers_hold_until_they_turn(moves: Moves, wait: int) -> None:
    """From any instant on, no answer changes before `next_change_at`, and none at all if that is never."""
    history = played(moves).tick(wait)
    at, turns = history.at, history.record.next_change_at(history.at)
    assert turns is None or turns > at
    last = at + AGES if turns is None else turns - INSTANT
    before = answers(history.record, at)
    for when in (at + (last - at) / 2, last):
        assert answers(history.record, when) == before


@many
@given(moves())
def test_turn_after_turn_comes_to_an_end(moves: Moves) -> None:
    """Following `next_change_at` from turn to turn visits the ends of what is live, each once, then rests."""
    history = played(moves)
    record, at = history.record, history.at
    ends = {
        *(p.expires_at for p in (*record.consents.values(), *record.notices.values()) if p.reason_at(at) is p.GIVEN),
        *(hold.until for hold in record.live_holds(at)),
    } - {None}
    visited = []
    turns = record.next_change_at(at)
    while turns is not None:
        visited.append(turns)
        turns = record.next_change_at(turns)
    assert visited == sorted(end for end in ends if end is not None)


@many
@given(moves(), st.lists(events(), min_size=1, max_size=6))
def test_refused_events_leave_the_record_alone(moves: Moves, batch: list[e.Event]) -> None:
    """A batch is taken whole or leaves record and ledger as they were, whatever came before the event refused."""
    history = played(moves)
    record, before = history.record, pickle.dumps((history.record, history.entries))
    if history.attempt(*batch):
        assert history.record.version == record.version + len(batch)
    else:
        assert history.record is record
        assert pickle.dumps((history.record, history.entries)) == before


@many
@given(moves())
def test_refusals_change_nothing_and_accepted_events_count(moves: Moves) -> None:
    """The record is the fold of what was accepted, as if what was refused had never been tried."""
    history, again = played(moves), History()
    for entry in history.entries:
        again.at = entry.at
        again.append(entry.event)
    assert again.record == history.record
    assert again.entries == history.entries


@many
@given(moves())
def test_erased_record_is_a_tombstone(moves: Moves) -> None:
    """Of an erased user the record keeps no more than that, whatever came before."""
    history = played([*moves, (0, e.AccountClosed())])
    holds = history.record.live_holds(history.at)
    for hold in holds:
        history.append(e.HoldReleased(hold.hold))
    if history.attempt(e.Erased()):
        record = history.record
        details = (record.consents, record.objected, record.restricted, record.published, record.notices)
        rest = (record.publications, record.holds, record.requests)
        assert not any((*details, *rest, record.all_restricted, record.origin))
        assert record.account is Account.ERASED
