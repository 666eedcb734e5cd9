"""A head that was kept proves that a ledger still continues it, on every store that verifies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import HeadNotContinued
from diijam_consent_sdk.stores import Cursor
from diijam_consent_sdk.stores.sql.store import SqlStore

from .contract import OPENED, TOLD, Home, MemoryHome, PostgresHome, SqliteHome, append_each, erase, head

HOMES: dict[str, Callable[[Path], Home]] = {"memory": MemoryHome, "sqlite": SqliteHome, "postgres": PostgresHome}


@pytest.fixture(params=HOMES)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], SqlStore]]:
    """Make empty ledgers of one kind."""
    homes: list[Home] = []

    def store() -> SqlStore:
        folder = tmp_path / str(len(homes))
        folder.mkdir()
        homes.append(HOMES[request.param](folder))
        return cast("SqlStore", homes[-1].open())

    yield store
    for home in homes:
        home.close()


def fill(store: SqlStore) -> Cursor:
    """Append four entries of two users, and return the head."""
    append_each(store, [("a", [OPENED]), ("b", [OPENED, TOLD]), ("a", [TOLD])])
    return head(store)


def test_a_ledger_continues_its_own_heads(make: Callable[[], SqlStore]) -> None:
    """Every head that it ever had is still in it: that of no entry, and of one that was erased since."""
    store = make()
    batches = ([OPENED], [TOLD], [e.Withdrawn("surveys")])
    kept = [head(store), *(store.append("gone", batch).cursor for batch in batches)]
    erase(store, "gone")
    store.append("a", [OPENED])
    for one in (*kept, head(store)):
        assert store.verify(since=str(one)) == head(store)


def test_another_epoch_is_no_forgery(make: Callable[[], SqlStore]) -> None:
    """A restart, or a copy, has another epoch and the same hashes."""
    store = make()
    kept = fill(store)
    assert store.verify(since=str(attrs.evolve(kept, epoch="another"))) == kept


def test_a_ledger_that_ends_before_the_head_does_not_continue_it(make: Callable[[], SqlStore]) -> None:
    """Cut short, an older copy, or empty: the first entry that is missing is named."""
    store, older = make(), make()
    kept = fill(store)
    with pytest.raises(HeadNotContinued) as caught:
        older.verify(since=str(kept))
    assert caught.value.position == 1
    assert store.verify(since=str(kept)) == kept
    with pytest.raises(HeadNotContinued) as caught:
        store.verify(since=str(attrs.evolve(kept, position=kept.position + 3)))
    assert caught.value.position == kept.position + 1


def test_a_ledger_written_again_does_not_continue_the_head(make: Callable[[], SqlStore]) -> None:
    """The same events under another chain, which verifies, are another ledger; more of them make it no better."""
    kept, forged = fill(make()), make()
    fill(forged)
    forged.append("a", [e.Withdrawn("surveys")])
    assert forged.verify().position > kept.position
    with pytest.raises(HeadNotContinued) as caught:
        forged.verify(since=str(kept))
    assert caught.value.position == kept.position
    with pytest.raises(HeadNotContinued) as caught:
        forged.verify(since=str(Cursor(kept.epoch, 0, kept.hash)))
    assert caught.value.position == 0


@pytest.mark.parametrize(
    "part", ["", "no head", "e.1", "e.1.ff", "e.one." + "0" * 64, "e.1." + "0" * 63, "e.1." + "G" * 64]
)
def test_what_is_no_head_is_refused(make: Callable[[], SqlStore], part: str) -> None:
    """A head that was copied in part proves nothing, so it is an error and no forgery."""
    with pytest.raises(ValueError, match="malformed"):
        make().verify(since=part)
