"""A walk over a chain in pages finds what `verify` finds, and never accuses a ledger that is in use meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import HeadNotContinued, InvalidEvent, LedgerBroken, StoreUnusable
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.stores.protocol import Cursor
from diijam_consent_sdk.stores.sql.chain_walk import ChainWalk
from diijam_consent_sdk.stores.sql.store import SqlStore

from ..contract import OPENED, TOLD, Home, MemoryHome, PostgresHome, SqliteHome, erase, head

HOMES: dict[str, Callable[[Path], Home]] = {"memory": MemoryHome, "sqlite": SqliteHome, "postgres": PostgresHome}


@pytest.fixture(params=HOMES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    """An empty ledger of each kind."""
    home = HOMES[request.param](tmp_path)
    yield cast("SqlStore", home.open())
    home.close()


def walk_over(store: SqlStore, walk: ChainWalk, size: int = 2) -> Cursor:
    """Walk to the end in pages of this size."""
    while True:
        found = walk.add(store.chain_page(walk.position, size))
        if found is not None:
            return found


def fill(store: SqlStore) -> None:
    """Eight entries of three users."""
    for user_id in ("gone", "b", "c"):
        store.append(user_id, [OPENED, TOLD])
    store.append("gone", [e.Withdrawn("surveys")])
    store.append("b", [e.Withdrawn("surveys")])


@pytest.mark.parametrize("size", [1, 3, 4, 8, 9])
def test_a_walk_ends_at_the_head(store: SqlStore, size: int) -> None:
    """Whatever the size of a page, also of an empty ledger, it leads to the head."""
    assert walk_over(store, ChainWalk(), size) == head(store)
    fill(store)
    assert walk_over(store, ChainWalk(), size) == head(store) == store.verify()


@pytest.mark.parametrize("pages", range(5))
def test_an_append_and_an_erasure_meanwhile_are_no_break(store: SqlStore, pages: int) -> None:
    """Behind the walk or before it: the entries of the user are blanked, and others come."""
    fill(store)
    walk = ChainWalk()
    for _ in range(pages):
        walk.add(store.chain_page(walk.position, 2))
    erase(store, "gone")
    store.append("new", [OPENED])
    assert walk_over(store, walk) == head(store)
    assert walk_over(store, ChainWalk(head(store))) == head(store)


def test_a_chain_that_was_replaced_between_two_walks_is_found(store: SqlStore) -> None:
    """The next walk has to lead through the head of the last."""
    fill(store)
    kept = head(store)
    with pytest.raises(HeadNotContinued):
        walk_over(store, ChainWalk(attrs.evolve(kept, hash="ab" * 32)))
    with pytest.raises(HeadNotContinued):
        walk_over(store, ChainWalk(attrs.evolve(kept, position=kept.position + 1)))
    assert walk_over(store, ChainWalk(attrs.evolve(kept, epoch="another"))) == kept


def test_a_ledger_that_was_cut_during_a_walk_is_found(store: SqlStore) -> None:
    """What the walk has passed is not there any more."""
    fill(store)
    walk = ChainWalk()
    walk.add(store.chain_page(0, 6))
    shorter = MemoryStore()
    shorter.append("u", [OPENED])
    with pytest.raises(LedgerBroken) as caught:
        walk.add(shorter.chain_page(walk.position, 6))
    assert caught.value.position == 7
    shorter.close()


@pytest.mark.parametrize("claimed", [{"position": 9}, {"position": 7}, {"hash": "ab" * 32}], ids=str)
def test_what_the_database_claims_of_the_end_is_checked(store: SqlStore, claimed: dict[str, object]) -> None:
    """A head further on, or with another hash, than the last entry is a break."""
    fill(store)
    page = store.chain_page(0, 100)
    page = attrs.evolve(page, head=attrs.evolve(page.head, **claimed))  # type: ignore[arg-type]
    walk = ChainWalk()
    with pytest.raises(LedgerBroken):
        assert [walk.add(attrs.evolve(page, links=links)) for links in (page.links, [])] == [None, None]


STEPS = st.lists(st.sampled_from(["page", "a", "b", "c", "erase a", "erase b"]), max_size=40)


@given(STEPS, STEPS, st.integers(1, 4))
@settings(max_examples=150)
def test_no_order_of_appends_erasures_and_pages_is_a_break(before: list[str], during: list[str], size: int) -> None:
    """Whatever happens before each page, the walk leads to the head of its last page."""
    store, walk = MemoryStore(), ChainWalk()
    for step in [*(step for step in before if step != "page"), *during]:
        if step == "page":
            walk.add(store.chain_page(walk.position, size))
        else:
            play(store, step)
    assert walk_over(store, walk, size) == store.verify()
    store.close()


def play(store: MemoryStore, step: str) -> None:
    """Append to a user, or erase one, if the policy allows it."""
    user_id = step[-1]
    batches: tuple[list[e.Event], ...] = ([OPENED], [e.Withdrawn("surveys")])
    if step.startswith("erase"):
        batches = ([e.AccountClosed()], [e.Erased()])
    for batch in batches:
        with suppress(InvalidEvent):
            store.append(user_id, batch)


@given(STEPS, st.integers(0), st.integers(1, 4))
@settings(max_examples=150)
def test_a_blanked_entry_is_found_in_pages_too(before: list[str], where: int, size: int) -> None:
    """An entry that was blanked without a tombstone keeps the chain whole, and still shows at the end."""
    store = MemoryStore()
    store.append("d", [OPENED])
    for step in before:
        if step != "page":
            play(store, step)
    with store._database.writing(None) as db:
        db.execute("BEGIN IMMEDIATE")
        places = [at for (at,) in db.execute("SELECT position FROM entries WHERE user_id IS NOT NULL")]
        blank = "UPDATE entries SET user_id = NULL, version = NULL, at = NULL, event = NULL, salt = NULL"
        db.execute(f"{blank} WHERE position = ?", (places[where % len(places)],))
    with pytest.raises(StoreUnusable):  # `LedgerBroken`, but of the last entry, which is the head
        walk_over(store, ChainWalk(), size)
    store.close()
