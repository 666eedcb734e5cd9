"""`SqliteStore`: how a ledger begins, and how its work list is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import MemoryStore, SqliteStore, Write
from diijam_consent_sdk.stores.sqlite import dialect as sqlite_dialect

from ..contract import OPENED, head, sign_up
from .files import BUSY_SECONDS, version


def test_a_commit_is_on_the_disk_before_it_returns(store: SqliteStore) -> None:
    """Every connection writes ahead, syncs fully, and overwrites what it deletes."""
    with store._database.writing(None) as db:
        settings = [
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "secure_delete")
        ]
    assert settings == ["wal", 2, 1]


def test_a_copy_without_a_write_ahead_log_gets_one(path: Path) -> None:
    """After `VACUUM INTO` a power cut could undo a withdrawal that was acknowledged, and readers would hold it up."""
    copied = path.with_name("copy.db")
    with closing(sqlite3.connect(path)) as db:
        db.execute("VACUUM INTO ?", (str(copied),))
    with closing(SqliteStore(copied, busy_seconds=BUSY_SECONDS)) as store, store._database.reading() as reader:
        assert reader.execute("SELECT count(*) FROM entries").fetchone() == (3,)
        store.append("u-1", [e.Objected("surveys")])
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_missing_file_is_made(tmp_path: Path) -> None:
    """A ledger begins with its first store."""
    with closing(SqliteStore(tmp_path / "new.db")) as store:
        assert head(store).position == 0
        assert sign_up(store, "u-1").cursor.position == 1


def test_a_missing_file_may_not_be_made(tmp_path: Path) -> None:
    """With `create=False` a missing file is an error, and stays missing."""
    with pytest.raises(StoreUnavailable, match="folder"):
        SqliteStore(tmp_path / "new.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """A folder is never made."""
    with pytest.raises(StoreUnavailable, match="folder"):
        SqliteStore(tmp_path / "none" / "new.db")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A path that is a folder cannot be opened."""
    with pytest.raises(StoreUnavailable):
        SqliteStore(tmp_path)


@pytest.mark.parametrize(
    "name", ["a b.db", "100%.db", "%41.db", "what?mode=ro.db", "x#y.db", "Nguyễn 😀.db", "'q\".db"]
)
def test_any_file_name(name: str, tmp_path: Path) -> None:
    """No character in a path means anything."""
    with closing(SqliteStore(tmp_path / name)) as store:
        sign_up(store, "u-1")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("create", [True, False])
def test_a_file_of_no_bytes_is_an_empty_ledger(create: bool, tmp_path: Path) -> None:
    """What `touch` or a crash at the very start left is taken over."""
    path = tmp_path / "new.db"
    path.touch()
    with closing(SqliteStore(path, create=create)) as store:
        assert sign_up(store, "u-1").cursor.position == 1


def test_a_relative_path_stays_where_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changing the working folder changes no ledger."""
    monkeypatch.chdir(path.parent)
    with closing(SqliteStore("ledger.db")) as store:
        monkeypatch.chdir("/")
        assert version(store, "u-1") == 3


def test_open_requests_are_found_by_an_index(store: SqliteStore) -> None:
    """The work list reads the users with open requests and no others."""
    with store._database.reading() as db:
        plan = db.execute("EXPLAIN QUERY PLAN " + sqlite_dialect.DIALECT.requesting, ("", 10)).fetchall()
    assert "records USING INDEX records_requesting" in str(plan)
    ids = [f"u{number}" for number in range(5)]
    for user_id in ids:
        store.append(user_id, [OPENED, e.RequestFiled('q","outcome":null', "complaint")])
    for user_id in ids[1:4]:
        store.append(user_id, [e.RequestResolved('q","outcome":null', "cancelled")])
    assert [record.user_id for record in store.open_requests().records] == ["u0", "u4"]


def test_a_page_of_closed_accounts_costs_what_it_returns() -> None:
    """What comes before it in the list of what a holder owes is not passed over again, however much that is."""
    with closing(MemoryStore()) as store:
        store.register_holder("mailer")
        ids = [f"u{number:03}" for number in range(400)]
        store.append_many([Write(user_id, [OPENED, e.AccountClosed()]) for user_id in ids])
        steps: list[None] = []
        store._database._db.set_progress_handler(lambda: steps.append(None), 10)  # type: ignore[attr-defined]
        costs = []
        for after in (None, (None, ids[99]), (None, ids[299])):
            steps.clear()
            page = store.erasures("mailer", after, limit=10)
            costs.append(len(steps))
            first = 0 if after is None else ids.index(after[1]) + 1
            assert [owed.user_id for owed in page.erasures] == ids[first : first + 10]
    assert max(costs[1:]) * 3 < costs[0]
