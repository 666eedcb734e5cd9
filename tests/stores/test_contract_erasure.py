"""The contract of every store: after `Erased` only a tombstone of the user stays."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent, VersionConflict
from diijam_consent_sdk.record import unopened
from diijam_consent_sdk.stores import Store
from diijam_consent_sdk.vocabulary import Account
from tests.domain.samples import NEEDED
from tests.strategies import START

from .contract import AGREED, OPENED, TOLD, Batch, Home, erase, folded, head, record_of, repeat_of, sign_up

DETAILS = ("n-1", "n-9", "acme-records", "q-1", "h-1", "k-1", "marketing")


def live(store: Store, user_id: str) -> None:
    """A user with much in the ledger."""
    store.append(user_id, [OPENED, *NEEDED], idempotency_key="k-1")
    store.append(user_id, [AGREED, e.Granted("marketing", "n-9", ["email"])], idempotency_key="k-2")


def test_only_the_tombstone_stays(home: Home) -> None:
    """History, record and answer show that the user was erased, when and how, and nothing else."""
    store = home.open()
    live(store, "u-1")
    home.clock.tick(60)
    appended = erase(store, "u-1", anonymised=True)
    at = START + timedelta(seconds=60)
    tombstone = attrs.evolve(
        unopened("u-1"), version=9, account=Account.ERASED, account_changed_at=at, anonymised=True
    )  # fmt: skip
    assert appended.record == tombstone
    assert store.load(["u-1"]).records == (tombstone,)
    assert store.history("u-1") == [e.LedgerEntry(9, "u-1", 9, at, e.Erased(anonymised=True))]
    assert not [detail for detail in DETAILS if detail in str(appended) + str(store.history("u-1"))]


def test_others_are_untouched(store: Store) -> None:
    """Erasing one user leaves every other as it was, also one whose entries lie between."""
    for user_id in ("u-1", "u-2"):
        sign_up(store, user_id)
    kept = store.append("u-2", [TOLD, AGREED], idempotency_key="k-1")
    store.append("u-1", [TOLD, AGREED], idempotency_key="k-1")
    history, record = store.history("u-2"), store.load(["u-2"]).records
    erase(store, "u-1")
    assert (store.history("u-2"), store.load(["u-2"]).records) == (history, record)
    assert store.append("u-2", [TOLD, AGREED], idempotency_key="k-1") == repeat_of(kept)


def test_positions_go_on_after_an_erasure(store: Store) -> None:
    """The next entry takes the next position, and the tombstone keeps the user's version."""
    live(store, "u-1")
    erased = erase(store, "u-1")
    assert sign_up(store, "u-2").cursor.position == erased.cursor.position + 1
    assert erased.version == store.history("u-1")[0].version == erased.cursor.position


def test_nothing_happens_to_the_erased(store: Store) -> None:
    """A user id is never used again; the version can still be expected."""
    live(store, "u-1")
    before = erase(store, "u-1")
    for event in (OPENED, e.Withdrawn("surveys"), e.Erased()):
        with pytest.raises(InvalidEvent):
            store.append("u-1", [event])
    with pytest.raises(VersionConflict):
        store.append("u-1", [OPENED], expected_version=0)
    assert head(store) == before.cursor


def test_kept_answers_are_forgotten(store: Store) -> None:
    """The keys of before are free, so that their answers cannot be asked for; the events are refused now."""
    live(store, "u-1")
    before = erase(store, "u-1", key="k-9")
    batches: list[Batch] = [[OPENED, *NEEDED], [OPENED], [AGREED]]
    for events in batches:
        with pytest.raises(InvalidEvent) as caught:
            store.append("u-1", events, idempotency_key="k-1")
        assert not [detail for detail in DETAILS if detail in str(caught.value)]
    assert head(store) == before.cursor


@pytest.mark.parametrize("key", ["k-1", "k-9"], ids=["used before by another user", "new"])
def test_the_erasures_own_answer_is_kept(key: str, home: Home) -> None:
    """The same erasure under the same key answers as the first did, also after later writes, and writes nothing."""
    store = home.open()
    live(store, "u-2")
    sign_up(store, "u-1")
    store.append("u-1", [TOLD, AGREED], idempotency_key="k-3")
    batch: Batch = [e.AccountClosed(), e.Erased(anonymised=True)]
    first = store.append("u-1", batch, idempotency_key=key)
    assert store.append("u-1", batch, idempotency_key=key) == repeat_of(first)
    home.clock.tick(5)
    last = sign_up(store, "u-3")
    assert store.append("u-1", batch, idempotency_key=key) == repeat_of(first)
    with pytest.raises(InvalidEvent):
        store.append("u-1", [e.AccountClosed(), e.Erased()], idempotency_key=key)
    with pytest.raises(ValueError, match="idempotency_key"):
        store.append("u-1", [e.AccountOpened()], idempotency_key=key)
    assert head(store) == last.cursor


def test_the_erasures_own_answer_is_kept_past_reopening(lasting_home: Home) -> None:
    """Another store on the ledger gives the same answer to the same erasure."""
    store = lasting_home.open()
    live(store, "u-1")
    first = erase(store, "u-1", key="k-9")
    lasting_home.close()
    store = lasting_home.open()
    batch: Batch = [e.AccountClosed(), e.HoldReleased("h-1"), e.Erased()]
    assert store.append("u-1", batch, idempotency_key="k-9") == repeat_of(first)
    assert store.history("u-1") == [e.LedgerEntry(9, "u-1", 9, START, e.Erased())]


def test_changes_tell_of_the_erased(store: Store) -> None:
    """A follower from any earlier cursor, also from an entry that was erased, finds the erased user once."""
    cursors = [head(store), sign_up(store, "u-1").cursor, store.append("u-1", [TOLD]).cursor]
    cursors.append(sign_up(store, "u-2").cursor)
    erased = erase(store, "u-1").cursor
    assert [store.changes(cursor, wait=0).user_ids for cursor in cursors] == [
        {"u-2": 3, "u-1": 5}, {"u-2": 3, "u-1": 5}, {"u-2": 3, "u-1": 5}, {"u-1": 5},
    ]  # fmt: skip
    assert all(store.changes(cursor, wait=0).cursor == erased for cursor in cursors)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_past_erased_entries(limit: int, store: Store) -> None:
    """Pages of changes reach the head also where entries were erased, whose users the tombstones name."""
    start = head(store)
    for user_id in ("u-1", "u-2", "u-3"):
        store.append(user_id, [OPENED, TOLD])
    erase(store, "u-1")
    erase(store, "u-3")
    told: dict[str, int] = {}
    page = store.changes(start, wait=0, limit=limit)
    while not page.complete:
        told.update(page.user_ids)
        page = store.changes(page.cursor, wait=0, limit=limit)
        assert page.is_continuation()
    told.update(page.user_ids)
    assert (told, page.cursor) == ({"u-1": 8, "u-2": 4, "u-3": 10}, head(store))


def test_an_erasure_of_somebody_without_details(store: Store) -> None:
    """A closed account of which nothing else is known is erased like any other."""
    store.append("u-1", [OPENED, e.AccountClosed()])
    record = record_of(store.append("u-1", [e.Erased()]))
    assert (record.version, record.account) == (3, Account.ERASED)
    assert folded("u-1", store.history("u-1")) == record


def test_an_open_account_whose_erasure_is_requested(store: Store) -> None:
    """`Erased` resolves the request, of which nothing stays."""
    store.append("u-1", [OPENED, e.RequestFiled("q-1", "erasure")])
    record = record_of(store.append("u-1", [e.Erased()]))
    assert (record.requests, record.is_erasing()) == ({}, False)


def test_a_live_hold_keeps_a_user_from_being_erased(store: Store) -> None:
    """An erasure that the policy refuses takes nothing away."""
    live(store, "u-1")
    history = store.history("u-1")
    with pytest.raises(InvalidEvent, match="h-1"):
        store.append("u-1", [e.AccountClosed(), e.Erased()], idempotency_key="k-9")
    assert store.history("u-1") == history
    assert store.append("u-1", [AGREED, e.Granted("marketing", "n-9", ["email"])], idempotency_key="k-2")
