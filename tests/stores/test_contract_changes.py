"""The contract of every store: who changed since a cursor."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import Changes, Cursor, Store

from .contract import AGREED, OPENED, TOLD, Batch, Home, append_each, at_once, head, insist, sign_up

SOON = 0.25  # the seconds within which a poll finds a change


def test_changes_are_those_after_the_cursor(store: Store) -> None:
    """The entry at `after` does not count, the one at `cursor` does."""
    start = head(store)
    cursors = [sign_up(store, user_id).cursor for user_id in ("u-1", "u-2", "u-3")]
    everything = store.changes(start, wait=0)
    assert everything == Changes(
        start, cursors[2], {"u-1": 1, "u-2": 2, "u-3": 3}, complete=True, waited=everything.waited
    )
    assert store.changes(cursors[0], wait=0).user_ids == {"u-2": 2, "u-3": 3}
    assert store.changes(cursors[1], wait=0).user_ids == {"u-3": 3}


def test_changed_users_come_in_order_of_their_last_change(store: Store) -> None:
    """Each user is named once, with the position of the last change, in order of these positions."""
    start = head(store)
    batches: list[tuple[str, Batch]] = [("b", [OPENED, TOLD]), ("a", [OPENED]), ("c", [OPENED]), ("b", [AGREED])]
    last = append_each(store, [*batches, ("a", [TOLD])])[-1].cursor
    changes = store.changes(start, wait=0)
    assert list(changes.user_ids.items()) == [("c", 4), ("b", 5), ("a", 6)]
    assert (changes.after, changes.cursor, changes.complete) == (start, last, True)
    assert changes.is_continuation()


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 1000, 2**70])
def test_pages_of_changes(limit: int, store: Store) -> None:
    """A limit cuts the changes into pages that follow on each other; the last is complete, no other is."""
    start = head(store)
    batches: list[tuple[str, Batch]] = [("a", [OPENED, TOLD]), ("b", [OPENED]), ("a", [AGREED]), ("c", [OPENED, TOLD])]
    last = append_each(store, batches)[-1].cursor
    pages = [store.changes(start, wait=0, limit=limit)]
    while not pages[-1].complete:
        pages.append(store.changes(pages[-1].cursor, wait=0, limit=limit))
    assert [page.after for page in pages] == [start, *[page.cursor for page in pages[:-1]]]
    assert pages[-1].cursor == last
    sizes = [page.cursor.position - page.after.position for page in pages]
    assert sizes == [limit] * (6 // limit) + [6 % limit] * (6 % limit > 0)
    assert all(page.after.position < p <= page.cursor.position for page in pages for p in page.user_ids.values())
    assert {user_id: p for page in pages for user_id, p in page.user_ids.items()} == {"b": 3, "a": 4, "c": 6}


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_holds_something(limit: int, store: Store) -> None:
    """A limit below 1 is a mistake."""
    start = head(store)
    sign_up(store, "u-1")
    with pytest.raises(ValueError, match="limit"):
        store.changes(start, wait=0, limit=limit)


def test_nothing_new(store: Store) -> None:
    """At the head there is nothing to tell, and no waiting unless asked for."""
    for user_id in ("u-1", "u-2"):
        cursor = head(store)
        started = time.monotonic()
        changes = store.changes(cursor, wait=0)
        assert time.monotonic() - started < SOON
        assert changes == Changes(cursor, cursor, {}, complete=True, waited=changes.waited)
        assert changes.is_continuation()
        assert 0 <= changes.waited < SOON
        sign_up(store, user_id)


def test_a_long_poll_waits_and_says_how_long(store: Store) -> None:
    """With nothing new `changes` blocks as long as it may; `waited` is most of that, and never more than it took."""
    cursor = sign_up(store, "u-1").cursor
    started = time.monotonic()
    changes = store.changes(cursor, wait=0.4)
    took = time.monotonic() - started
    assert changes == Changes(cursor, cursor, {}, complete=True, waited=changes.waited)
    assert 0.4 <= took < 0.4 + SOON
    assert 0.3 < changes.waited <= took


def test_a_long_poll_ends_when_somebody_writes(store: Store) -> None:
    """A change ends the wait soon; `waited` ends no later than the answer, and not before the change."""
    cursor = sign_up(store, "u-1").cursor
    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        polled = pool.submit(lambda: (store.changes(cursor, wait=20), time.monotonic()))
        time.sleep(0.3)
        assert not polled.done()
        wrote = time.monotonic()
        appended = store.append("u-2", [OPENED, TOLD])
        acknowledged = time.monotonic()
        changes, returned = polled.result(20)
    assert changes == Changes(cursor, appended.cursor, {"u-2": 3}, complete=True, waited=changes.waited)
    assert returned < acknowledged + SOON
    assert wrote - started - SOON < changes.waited <= returned - started


def test_a_refused_batch_is_no_change(store: Store) -> None:
    """A long poll tells nothing of what was not written."""
    cursor = sign_up(store, "u-1").cursor
    with ThreadPoolExecutor(1) as pool:
        polled = pool.submit(store.changes, cursor, wait=0.3)
        with pytest.raises(ValueError, match="refused"):
            store.append("u-1", [TOLD, OPENED])
        assert polled.result(20).user_ids == {}


def foreign(cursor: Cursor) -> dict[str, Cursor]:
    """Cursors that are not in a history with this one as its head."""
    other = "0" * 64 if cursor.hash != "0" * 64 else "1" * 64
    return {
        "epoch": attrs.evolve(cursor, epoch="0123456789abcdef0123456789abcdef"),
        "start of another epoch": Cursor("0123456789abcdef0123456789abcdef", 0, "0" * 64),
        "hash": attrs.evolve(cursor, hash=other),
        "hash of the start": Cursor(cursor.epoch, 0, cursor.hash),
        "position behind": attrs.evolve(cursor, position=1),
        "next position": attrs.evolve(cursor, position=cursor.position + 1),
        "far position": attrs.evolve(cursor, position=9_999_999_999_999_999_999),
        "negative position": attrs.evolve(cursor, position=-1),
        "not hexadecimal": attrs.evolve(cursor, hash="…"),
        "no hash": attrs.evolve(cursor, hash=""),
        "upper case": attrs.evolve(cursor, hash=cursor.hash.upper() + "A"),
    }


@pytest.mark.parametrize("kind", foreign(Cursor("", 3, "")))
def test_a_cursor_of_another_history(kind: str, store: Store) -> None:
    """An `after` that is not in this history gives at once the head and no users, however long one would wait."""
    last = sign_up(store, "u-1", "u-2", "u-3").cursor
    after = foreign(last)[kind]
    started = time.monotonic()
    changes = store.changes(after, wait=20)
    assert time.monotonic() - started < 2
    assert changes == Changes(after, last, {}, complete=True, waited=changes.waited)
    assert changes.waited <= time.monotonic() - started
    assert not changes.is_continuation()


def test_a_cursor_holds_past_reopening(lasting_home: Home) -> None:
    """Another store on the ledger has the same history: no epoch or hash changed."""
    store = lasting_home.open()
    start = head(store)
    cursor = sign_up(store, "u-1").cursor
    lasting_home.close()
    store = lasting_home.open()
    assert head(store) == cursor
    assert store.changes(start, wait=0).user_ids == {"u-1": 1}
    assert store.changes(cursor, wait=0).is_continuation()


def test_a_cursor_survives_being_printed(store: Store) -> None:
    """A token that went through another process finds the same place."""
    token = sign_up(store, "u-1").token
    sign_up(store, "u-2")
    assert store.changes(Cursor.parse(token), wait=0).user_ids == {"u-2": 2}


def test_a_follower_misses_nothing(store: Store) -> None:
    """A poll page by page while eight threads write finds each user's last change, in order, and no other."""
    start = head(store)
    told: dict[str, int] = {}
    written = threading.Event()

    def follow() -> Cursor:
        after = start
        while True:
            is_last = written.is_set()
            changes = insist(store.changes, after, wait=0.05, limit=3)
            assert changes.is_continuation()
            assert list(changes.user_ids.values()) == sorted(changes.user_ids.values())
            assert all(after.position < p <= changes.cursor.position for p in changes.user_ids.values())
            told.update(changes.user_ids)
            after = changes.cursor
            if is_last and changes.complete:
                return after

    def write(number: int) -> None:
        for turn in range(6):
            insist(store.append, f"u-{number}-{turn % 4}", [TOLD] if turn > 3 else [OPENED])

    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(follow)
        at_once(write)
        written.set()
        assert following.result(30) == head(store)
    users = [f"u-{number}-{turn}" for number in range(8) for turn in range(4)]
    assert told == {user_id: store.history(user_id)[-1].position for user_id in users}


def test_closing_ends_a_long_poll(store: Store) -> None:
    """A wait on a store that is closed ends soon."""
    cursor = sign_up(store, "u-1").cursor
    with ThreadPoolExecutor(1) as pool:
        polled = pool.submit(store.changes, cursor, wait=20)
        time.sleep(0.1)
        started = time.monotonic()
        store.close()
        with pytest.raises(StoreUnavailable):
            polled.result(20)
    assert time.monotonic() - started < 2
