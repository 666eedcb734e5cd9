"""The contract of every store: the ledger in order, from a cursor on."""

from __future__ import annotations

import threading
import time
from typing import Any

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.events import LedgerEntry
from diijam_consent_sdk.stores import Cursor, Store
from diijam_consent_sdk.stores.protocol import Entries
from diijam_consent_sdk.vocabulary import Field

from .contract import AGREED, OPENED, TOLD, Batch, Home, append_each, erase, head, sign_up


@pytest.fixture
def store(served_home: Home) -> Store:
    """A store on an empty ledger, also behind a consent service."""
    return served_home.open()


BATCHES: list[tuple[str, Batch]] = [("a", [OPENED, TOLD]), ("b", [OPENED]), ("a", [AGREED]), ("c", [OPENED, TOLD])]


def follow(store: Store, after: Cursor, limit: int = 1000) -> list[Entries]:
    """The pages from a cursor to the head."""
    pages = [store.entries(after, wait=0, limit=limit)]
    while not pages[-1].complete:
        pages.append(store.entries(pages[-1].cursor, wait=0, limit=limit))
    return pages


def read(store: Store, after: Cursor) -> list[LedgerEntry]:
    """The entries from a cursor to the head."""
    return [entry for page in follow(store, after) for entry in page.entries]


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 7, 2**70])
def test_the_ledger_comes_in_order(limit: int, store: Store) -> None:
    """Pages follow on each other, each entry is there once, as its user's history has it; the last page is complete."""
    beginning = head(store).beginning()
    last = append_each(store, BATCHES)[-1].cursor
    pages = follow(store, beginning, limit)
    assert [page.after for page in pages] == [beginning, *[page.cursor for page in pages[:-1]]]
    assert (pages[-1].cursor, pages[-1].token) == (last, str(last))
    assert all(len(page.entries) <= limit and page.is_continuation() for page in pages)
    entries = [entry for page in pages for entry in page.entries]
    assert [entry.position for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert all(page.cursor.hash == page.entries[-1].hash for page in pages)
    for user_id in "abc":
        assert [entry for entry in entries if entry.user_id == user_id] == store.history(user_id)


def test_nothing_new(store: Store) -> None:
    """At the head there is nothing, also in an empty ledger, and no waiting unless asked for."""
    for _ in range(2):
        cursor = head(store)
        assert store.entries(cursor, wait=0) == Entries(cursor, cursor, (), complete=True)
        sign_up(store, "u-1" if cursor.position == 0 else "u-2")


def test_what_was_erased_is_left_out(store: Store) -> None:
    """Of an erased user only the `Erased` comes, to whoever was half-way as to whoever begins."""
    beginning = head(store).beginning()
    halfway = append_each(store, BATCHES)[1].cursor
    erase(store, "a")
    for after, others in ((beginning, ["b", "c", "c"]), (halfway, ["c", "c"])):
        entries = read(store, after)
        assert [entry.user_id for entry in entries if entry.user_id != "a"] == others
        (tombstone,) = [entry for entry in entries if entry.user_id == "a"]
        assert isinstance(tombstone.event, e.Erased)
        assert tombstone.position == head(store).position


@pytest.mark.parametrize("other", [{"epoch": "f" * 32}, {"hash": "ab" * 32}, {"position": 7}], ids=str)
def test_a_cursor_of_another_history(other: dict[str, Any], store: Store) -> None:
    """It is answered with the head and no entries, and is no continuation."""
    sign_up(store, "u-1", "u-2")
    cursor = head(store)
    elsewhere = attrs.evolve(cursor, **other)
    answer = store.entries(elsewhere, wait=5)
    assert answer == Entries(elsewhere, cursor, (), complete=True)
    assert not answer.is_continuation()


def test_a_wait_ends_with_news(store: Store) -> None:
    """Whoever waits gets the next entry soon after it was written."""
    cursor = head(store)
    thread = threading.Timer(0.2, sign_up, [store, "u-1"])
    thread.start()
    started = time.monotonic()
    answer = store.entries(cursor, wait=20)
    thread.join()
    assert time.monotonic() - started < 10
    assert [entry.user_id for entry in answer.entries] == ["u-1"]


def test_a_wait_ends_without_news(store: Store) -> None:
    """After the wait there is still nothing."""
    cursor = head(store)
    started = time.monotonic()
    assert store.entries(cursor, wait=0.3) == Entries(cursor, cursor, (), complete=True)
    assert time.monotonic() - started >= 0.29


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_holds_something(limit: int, store: Store) -> None:
    """A limit below 1 is a mistake."""
    with pytest.raises(ValueError, match="limit"):
        store.entries(head(store), wait=0, limit=limit)


def test_a_follower_misses_nothing(store: Store) -> None:
    """While others write, pages from the last token on have each entry once, in order."""
    cursor = head(store)
    writers = [threading.Thread(target=sign_up, args=(store, *[f"{n}-{i}" for i in range(15)])) for n in range(3)]
    for writer in writers:
        writer.start()
    seen: list[int] = []
    while len(seen) < 45:
        page = store.entries(cursor, wait=10, limit=4)
        seen += [entry.position for entry in page.entries]
        cursor = page.cursor
    for writer in writers:
        writer.join()
    assert seen == list(range(1, 46))


def test_a_page_over_http_is_cut_by_its_bytes(served_home: Home) -> None:
    """Thousands of the largest entries come on several pages, and none is lost."""
    store = served_home.open()
    beginning = head(store).beginning()
    for user_id in "xyz":
        store.append("\U0001f3b5" * 255 + user_id, [e.Restricted(Field)] * 1000)
    pages = follow(store, beginning)
    assert [entry.position for page in pages for entry in page.entries] == list(range(1, 3001))
