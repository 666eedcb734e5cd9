"""The contract of every SQL store: standings are what the records give, at the time of the reading, to the byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import TooLarge
from diijam_consent_sdk.record import unopened
from diijam_consent_sdk.standing import EVERY_ASK, standing_of
from diijam_consent_sdk.stores import Store, wire
from diijam_consent_sdk.stores.protocol import StandingRow, Standings, StandingsPage
from diijam_consent_sdk.stores.sql import standings as sql_standings
from diijam_consent_sdk.stores.standings import decode_standing, encode_standing
from tests.strategies import START

from .contract import AGREED, OPENED, TOLD, Batch, Home, erase, head, sign_up


def made(store: Store, *user_ids: str) -> tuple[StandingRow, ...]:
    """The rows that the records of these users give now."""
    loaded = store.load(user_ids)
    return tuple(
        StandingRow(record.user_id, record.version, encode_standing(standing_of(record, loaded.at)))
        for record in loaded.records
    )


def listed(store: Store, limit: int) -> list[StandingsPage]:
    """All pages of all users."""
    pages = [store.list_standings(None, limit)]
    while pages[-1].after is not None:
        pages.append(store.list_standings(pages[-1].after, limit))
    return pages


def grant(seconds: float, purpose: str = "surveys") -> e.Granted:
    """A consent that ends so long after the start."""
    return e.Granted(purpose, "n-9", expires_at=START + timedelta(seconds=seconds))


def test_no_ids_give_just_the_head(store: Store) -> None:
    """Standings of nobody tell where the ledger ends, also where it is empty."""
    assert store.standings([]) == Standings(head(store), START, EVERY_ASK, ())
    appended = sign_up(store, "u-1")
    assert store.standings([]).cursor == appended.cursor


def test_an_unknown_user_has_version_0(store: Store) -> None:
    """A user without entries has a standing all the same, of version 0, which allows nothing."""
    (row,) = store.standings(["u-1"]).users
    assert (row.user_id, row.version) == ("u-1", 0)
    assert decode_standing(row.standing, EVERY_ASK) == standing_of(unopened("u-1"), START)


def test_one_row_per_id_in_order(store: Store) -> None:
    """Each id asked for has its row at its first place, and only there."""
    sign_up(store, "u-1", "u-2", "ư-3")
    store.append("u-1", [TOLD, AGREED])
    asked = ["ư-3", "nobody", "u-1", "ư-3", "u-2", "nobody"]
    found = store.standings(asked)
    assert found.users == made(store, "ư-3", "nobody", "u-1", "u-2")
    assert (found.cursor, found.at, found.view) == (head(store), START, EVERY_ASK)


@pytest.mark.parametrize("collection", [tuple, set, iter, dict.fromkeys], ids=["tuple", "set", "iterator", "dict"])
def test_ids_come_in_any_iterable(collection: Callable[[list[str]], Any], store: Store) -> None:
    """What can be iterated over names users."""
    sign_up(store, "u-1")
    assert [row.version for row in store.standings(collection(["u-1"])).users] == [1]


@pytest.mark.parametrize("bad", ["u-1", b"u-1"], ids=repr)
def test_one_id_is_no_list(bad: Any, store: Store) -> None:
    """One id in place of a list is a mistake."""
    with pytest.raises(TypeError):
        store.standings(bad)


@pytest.mark.parametrize("bad", ["", " u", "u\n1", "u" * 257])
def test_malformed_ids_are_refused(bad: str, store: Store) -> None:
    """Ids are checked by each call."""
    with pytest.raises(ValueError, match="id"):
        store.standings(["u-1", bad])
    with pytest.raises(ValueError, match="id"):
        store.list_standings(bad)


def test_standings_hold_every_acknowledged_append(store: Store) -> None:
    """What was appended before shows, at its cursor and version."""
    batches: list[Batch] = [[OPENED], [TOLD, AGREED], [grant(60)], [e.Withdrawn("surveys")], [e.AccountClosed()]]
    for batch in batches:
        appended = store.append("u-1", batch)
        found = store.standings(["u-1"])
        assert found.cursor == appended.cursor
        assert found.users == made(store, "u-1")
        assert found.users[0].version == appended.version


def test_an_end_that_passed_is_no_end(home: Home) -> None:
    """From the instant of an end on the standing is that of a consent that expired, whatever was stored before."""
    store = home.open()
    store.append("u-1", [OPENED, grant(60), grant(120, "contests")])
    before = store.standings(["u-1"]).users
    for seconds in (59, 1, 59, 1, 3600):
        home.clock.tick(seconds)
        found = store.standings(["u-1", "nobody"])
        assert found.users == made(store, "u-1", "nobody")
        ends = decode_standing(found.users[0].standing, EVERY_ASK).next_change_at
        assert ends is None or ends > found.at
    assert found.users[0] != before[0]
    assert listed(store, 10)[0].users == found.users[:1]


def test_a_hold_that_ended_is_gone(home: Home) -> None:
    """A hold with an end leaves the standing at that end."""
    store = home.open()
    store.append("u-1", [OPENED, e.HoldPlaced("h-1", "tax", ["payment"], until=START + timedelta(seconds=30))])
    home.clock.tick(30)
    (row,) = store.standings(["u-1"]).users
    assert decode_standing(row.standing, EVERY_ASK).holds == frozenset()


def test_an_end_that_comes_during_the_read(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standing that the store took for lasting, and whose end came before its time was known, is made again."""
    store = home.open()
    store.append("u-1", [OPENED, grant(1800)])
    monkeypatch.setattr(sql_standings, "READ_TIME", timedelta(hours=-1))
    home.clock.tick(1800)
    assert store.standings(["u-1"]).users == made(store, "u-1")
    assert store.list_standings(None).users == made(store, "u-1")


def test_of_those_without_an_end_only_standings_are_read(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an end came during the read, the stored ones without an end are still taken, not their records."""
    monkeypatch.setattr(sql_standings, "READ_TIME", timedelta(hours=-1))
    store = home.open()
    holds = (e.HoldPlaced(f"h-{n}", "tax", {"email"}) for n in range(20))
    store.append("u-1", [OPENED, *holds, *[e.HoldReleased(f"h-{n}") for n in range(20)]])
    store.append("u-2", [OPENED, grant(60)])
    home.clock.tick(60)
    sizes = [len(wire.encode(record)) for record in store.load(["u-1", "u-2"]).records]
    with smaller_reads(sizes[0]):
        assert store.standings(["u-1", "u-2"]).users == made(store, "u-1", "u-2")


def test_equal_standings_have_equal_bytes(home: Home) -> None:
    """Two users of whom the same holds have the same bytes, one read as it was stored and one made again."""
    store = home.open()
    store.append("u-1", [OPENED, grant(60)])
    home.clock.tick(60)
    store.append("u-2", [OPENED, grant(61)])
    home.clock.tick(1)
    first, second = store.standings(["u-1", "u-2"]).users
    assert first.standing == second.standing


def test_of_an_erased_user(store: Store) -> None:
    """The standing of an erased user says so, and no more; the list has the user too."""
    sign_up(store, "u-1", "u-2")
    store.append("u-1", [TOLD, AGREED, e.HoldPlaced("h-1", "tax", ["payment"])])
    erase(store, "u-1")
    found = store.standings(["u-1"])
    assert found.users == made(store, "u-1")
    assert b"acme" not in found.users[0].standing
    assert [row.user_id for row in store.list_standings(None).users] == ["u-1", "u-2"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_pages_have_everybody_in_order(limit: int, store: Store) -> None:
    """Pages of any size name each user with entries once, in order of the bytes of their ids."""
    users = ["ư-1", "u-1", "U-1", "u-10", "u-2", "\U0001f600", "ﬁ", "z"]
    sign_up(store, *users)
    pages = listed(store, limit)
    rows = [row for page in pages for row in page.users]
    assert [row.user_id for row in rows] == sorted(users, key=str.encode)
    assert tuple(rows) == made(store, *sorted(users))
    assert all(len(page.users) <= limit for page in pages)
    assert {(page.cursor, page.at, page.view) for page in pages} == {(head(store), START, EVERY_ASK)}


def test_an_empty_ledger_has_an_empty_page(store: Store) -> None:
    """Nobody is listed, and there is no next page."""
    assert store.list_standings(None) == StandingsPage(head(store), START, EVERY_ASK, (), None)


def test_a_page_after_the_last(store: Store) -> None:
    """After the last user comes an empty page."""
    sign_up(store, "u-1")
    page = store.list_standings("u-1")
    assert (page.users, page.after) == ((), None)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_has_at_least_one_user(limit: int, store: Store) -> None:
    """A page of none is a mistake."""
    with pytest.raises(ValueError, match="limit"):
        store.list_standings(None, limit)


@contextmanager
def smaller_reads(limit: int) -> Iterator[None]:
    """Let one read have at most *limit* bytes within the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sql_standings, "MAX_LOAD_BYTES", limit)
        yield


def test_standings_of_too_many_bytes(home: Home) -> None:
    """Standings that have more bytes together than one read may have are refused, and listed in shorter pages."""
    store = home.open()
    for user_id in "abcde":
        holds = (e.HoldPlaced(f"h-{n}", "tax", {"email"}, START + timedelta(n + 1)) for n in range(20))
        store.append(user_id, [OPENED, *holds])
    size = len(store.standings(["a"]).users[0].standing)
    with smaller_reads(2 * size):
        assert store.standings(["a", "b"]).users == made(store, "a", "b")
        for ids in (["a", "b", "c"], ["a", "nobody", "b", "c"]):
            with pytest.raises(TooLarge, match="ask for fewer users"):
                store.standings(ids)
        pages = listed(store, 1000)
        assert [len(page.users) for page in pages] == [1, 1, 1, 2]
        assert tuple(row for page in pages for row in page.users) == made(store, *"abcde")
    with smaller_reads(1):
        assert store.standings(["a"]).users == made(store, "a")
        assert [len(page.users) for page in listed(store, 1000)] == [1, 1, 1, 1, 1, 0]


def test_records_count_where_standings_are_made_again(home: Home) -> None:
    """What is read of records, for users whose ends passed, counts as well."""
    store = home.open()
    for user_id in "ab":
        store.append(user_id, [OPENED, grant(60)])
    sizes = sum(len(row.standing) for row in store.standings(["a", "b"]).users)
    with smaller_reads(sizes):
        assert len(store.standings(["a", "b"]).users) == 2
        home.clock.tick(60)
        with pytest.raises(TooLarge):
            store.standings(["a", "b"])
        assert [row.user_id for page in listed(store, 2) for row in page.users] == ["a", "b"]


def test_another_store_reads_what_was_stored(lasting_home: Home) -> None:
    """Standings outlive the store that wrote them."""
    store = lasting_home.open()
    store.append("u-1", [OPENED, TOLD, AGREED, grant(60)])
    rows = made(store, "u-1")
    lasting_home.close()
    store = lasting_home.open()
    assert store.standings(["u-1"]).users == rows
