"""One user's standing, read by one statement: the same as by a load of several, or not at all."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.stores.sqlite.one_standing import MAX_BYTES
from tests.strategies import START

from ..contract import AGREED, OPENED, TOLD, erase

LARGE = (OPENED, *(e.HoldPlaced(f"h-{n}", "tax", ["payment"], START + timedelta(days=9 + n)) for n in range(99)))
ENDING = (OPENED, e.Granted("surveys", "n-9", expires_at=START + timedelta(hours=1)))


@attrs.define
class Wall:
    """A clock that is set by hand."""

    now: datetime = START

    def __call__(self) -> datetime:
        """What it shows."""
        return self.now


@pytest.mark.parametrize(
    ("events", "hours", "is_stored"),
    [
        ((), 0, True), ((OPENED, TOLD, AGREED), 0, True), ((OPENED, TOLD, AGREED), 9, True), (ENDING, 0, True),
        (ENDING, 2, False), (LARGE, 0, False),
    ],
    ids=["unknown", "known", "later", "before an end", "after an end", "large"],
)  # fmt: skip
def test_it_is_what_a_load_of_several_gives(
    tmp_path: Path, events: tuple[e.Event, ...], hours: int, is_stored: bool
) -> None:
    """Whoever the user is, and whenever; a thread has to make those that no stored one answers."""
    wall = Wall()
    with closing(SqliteStore(tmp_path / "ledger.db", clock=wall)) as store:
        store.append("u-2", [OPENED])
        if events:
            store.append("u-1", events)
        wall.now += timedelta(hours=hours)
        several = store.standings(["u-1", "u-2"])
        alone = attrs.evolve(several, users=several.users[:1])
        assert store.standings(["u-1"]) == alone
        assert store.standing_at_once("u-1") == (alone if is_stored else None)
        assert (len(several.users[0].standing) > MAX_BYTES) == (events is LARGE)


def test_it_holds_every_append(store: SqliteStore) -> None:
    """The connection that waits for nobody sees each commit, an erasure too."""
    for event in (e.Objected("surveys"), e.ObjectionLifted("surveys")):
        appended = store.append("u-1", [event])
        found = store.standing_at_once("u-1")
        assert found is not None
        assert (found.cursor, found.users[0].version) == (appended.cursor, appended.version)
        assert found.users == store.standings(["u-1", "u-2"]).users[:1]
    erase(store, "u-1")
    found = store.standing_at_once("u-1")
    assert found is not None
    assert found.users == store.standings(["u-1", "u-2"]).users[:1]


def _close(store: SqliteStore) -> None:
    store.close()


def _replace(store: SqliteStore) -> None:
    store.path.write_bytes(b"")


def _outdate(store: SqliteStore) -> None:
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("PRAGMA user_version=99")


@pytest.mark.parametrize("spoil", [_close, _replace, _outdate], ids=["closed", "emptied", "of another format"])
def test_what_is_wrong_is_said_by_the_waiting_read(store: SqliteStore, spoil: Callable[[SqliteStore], None]) -> None:
    """A read at once gives nothing where a store is closed, and a file emptied or of a newer format."""
    assert store.standing_at_once("u-1") is not None
    spoil(store)
    assert store.standing_at_once("u-1") is None
    with pytest.raises(Exception, match=r"closed|empty|format|damaged"):
        store.standings(["u-1"])


def test_it_waits_for_no_lock(path: Path) -> None:
    """Where another program holds the file locked, it gives up at once, and not after `busy_seconds`."""
    with closing(SqliteStore(path, busy_seconds=5)) as store:
        store._database._pool.release()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode=EXCLUSIVE")
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            assert store.standing_at_once("u-1") is None
            assert time.monotonic() - began < 2.5
        assert store.standing_at_once("u-1") is not None
