"""Somebody wrote to the file past this library: what verify sees of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from diijam_consent_sdk import NoticeText
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import LedgerBroken, StoreUnusable
from diijam_consent_sdk.stores import MemoryStore, SqliteStore
from diijam_consent_sdk.stores.sql.notices import row_from


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger with an open request."""
    path = tmp_path / "ledger.db"
    with closing(SqliteStore(path)) as store:
        store.append("u", [e.AccountOpened(), e.RequestFiled("r", "access")])
        store.append("u", [e.Objected("surveys")], idempotency_key="k")
    return path


@contextmanager
def planting(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that may write the schema's own table."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db
        ((number,),) = db.execute("PRAGMA schema_version")
        db.execute(f"PRAGMA schema_version={number + 1}")


def test_an_index_that_hides_rows_is_found(ledger: Path) -> None:
    """An index made of no rows and then named as the ledger's hides open requests, and no hash is wrong."""
    with planting(ledger) as db:
        ((sql,),) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'records_requesting'")
        db.execute("DROP INDEX records_requesting")
        db.execute(f"{sql.partition(' WHERE ')[0]} WHERE user_id < ''")
        db.execute("PRAGMA writable_schema=ON")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'records_requesting'", (sql,))
    with closing(SqliteStore(ledger)) as store, pytest.raises(StoreUnusable, match="damaged: restore"):
        store.verify()


@pytest.mark.parametrize("column", ["made_at = 'x'", "next_change_at = 'x'", "version = 7.5, standing_version = 7.5"])
def test_a_standing_of_other_types_is_no_answer(ledger: Path, column: str) -> None:
    """What a column cannot hold is a damaged ledger to whoever asks, for one user or several, and no wrong argument."""
    with closing(sqlite3.connect(ledger)) as db, db:
        db.execute(f"UPDATE records SET {column}")
    with closing(SqliteStore(ledger)) as store:
        assert store.standing_at_once("u") is None
        for users in (["u"], ["u", "v"]):
            with pytest.raises(StoreUnusable):
                store.standings(users)


def test_two_tables_in_one_place_are_found(ledger: Path) -> None:
    """A table that was pointed to another's pages is no table of the ledger, whatever it is called."""
    with planting(ledger) as db:
        ((root,),) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'records'")
        db.execute("PRAGMA writable_schema=ON")
        db.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = 'appends'", (root,))
    with closing(SqliteStore(ledger)) as store, pytest.raises(StoreUnusable, match="damaged: restore"):
        store.verify()


ALTERED = [
    "UPDATE notices SET texts = replace(CAST(texts AS TEXT), 'lời', 'lờI')",
    "UPDATE notices SET terms = replace(CAST(terms AS TEXT), 'surveys', 'contests')",
    "UPDATE notices SET notice = 'n-2'",
    "UPDATE notices SET texts = x'7b7d'",
    "UPDATE notices SET registered_at = 'then'",
]


@pytest.mark.parametrize("statement", ALTERED)
def test_an_altered_notice_is_found(ledger: Path, statement: str) -> None:
    """Words, purposes or id that are not under the digest any more, and rows that hold no notice, break the ledger."""
    with closing(SqliteStore(ledger)) as store:
        store.register_notice(NoticeText("n-1", {"vi": "lời"}, ["surveys"]))
        store.verify()
        with closing(sqlite3.connect(ledger)) as db, db:
            db.execute(statement)
            db.execute("UPDATE notices SET texts = CAST(texts AS BLOB), terms = CAST(terms AS BLOB)")
        with pytest.raises(LedgerBroken, match="position 3: a registered notice is not what its digest says"):
            store.verify()


FORGED = [
    ("DELETE FROM notices", "is not registered"),
    ("UPDATE notices SET notice = 'n-2'", "is not registered"),
    ("UPDATE notices SET texts = CAST(replace(CAST(texts AS TEXT), 'lời', 'lờI') AS BLOB)", "was altered"),
    ("INSERT OR REPLACE INTO notices SELECT 'n-1', registered_at, writer, terms, texts FROM other", "was altered"),
]


@pytest.mark.parametrize(("statement", "why"), FORGED)
def test_a_notice_that_an_entry_names_is_proved_by_the_chain(ledger: Path, statement: str, why: str) -> None:
    """One that is gone, was altered, or was replaced as a whole with a digest that fits its words, breaks its entry."""
    with closing(SqliteStore(ledger)) as store:
        store.register_notice(NoticeText("n-1", {"vi": "lời"}, ["surveys"]))
        store.append("u", [e.ObjectionLifted("surveys"), e.Granted("surveys", "n-1")])
        store.verify()
        with closing(sqlite3.connect(ledger)) as db, db, closing(MemoryStore()) as another:
            other = row_from(another.register_notice(NoticeText("n-1", {"vi": "lời khác"}, ["surveys"])))
            db.execute("CREATE TEMP TABLE other (notice, registered_at, writer, terms, texts)")
            db.execute("INSERT INTO other VALUES (?, ?, ?, ?, ?)", tuple(other))
            db.execute(statement)
        with pytest.raises(LedgerBroken, match=f"position 5: the notice that it names {why}"):
            store.verify()


@pytest.mark.parametrize("statement", ["CREATE VIEW v AS SELECT 1", "PRAGMA user_version=7", "PRAGMA application_id=7"])
def test_the_file_is_named(ledger: Path, statement: str) -> None:
    """What cannot be used is named: an operator may have several."""
    with planting(ledger) as db:
        db.execute(statement)
    with pytest.raises(StoreUnusable) as caught:
        SqliteStore(ledger)
    assert str(caught.value).endswith(f"file {str(ledger)!r}")
