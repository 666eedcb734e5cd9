"""What is no ledger of this version is refused, and never written to."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import LedgerBroken, StoreUnusable
from diijam_consent_sdk.standing import EVERY_ASK
from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.stores.sqlite.cells import PAGE_BYTES
from diijam_consent_sdk.stores.sqlite.schema import APPLICATION_ID, FORMAT, PAGES
from diijam_consent_sdk.stores.standings import decode_standing
from diijam_consent_sdk.stores.wire import Malformed

from ..contract import AGREED, OPENED, TOLD, sign_up
from .files import CALLS, version


def bytes_at_random(path: Path) -> None:
    """No database at all."""
    path.write_bytes(random.Random(7).randbytes(20_000))


def text(path: Path) -> None:
    """Somebody's notes."""
    path.write_text("user,consent\nu-1,yes\n" * 100)


def another_program(path: Path) -> None:
    """A database, but not ours."""
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE entries (position INTEGER PRIMARY KEY)")


def another_program_with_a_mark(path: Path) -> None:
    """A database with another program's mark."""
    another_program(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA application_id={APPLICATION_ID + 1}")


def newer(path: Path) -> None:
    """A ledger of a later format."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={FORMAT + 1}")


def older(path: Path) -> None:
    """A ledger of an earlier format."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=0")


def cut(path: Path) -> None:
    """Half of the pages."""
    os.truncate(path, path.stat().st_size // 2 // 1024 * 1024)


def cut_within_a_page(path: Path) -> None:
    """A page and a half."""
    os.truncate(path, 1500)


def cut_within_the_header(path: Path) -> None:
    """Less than a header."""
    os.truncate(path, 50)


def first_page_flipped(path: Path) -> None:
    """Every bit of the first page turned."""
    data = path.read_bytes()
    path.write_bytes(bytes(byte ^ 0xFF for byte in data[:1024]) + data[1024:])


UNUSABLE: dict[Callable[[Path], None], str] = {
    bytes_at_random: "no SQLite database",
    text: "no SQLite database",
    another_program: "another program",
    another_program_with_a_mark: "another program",
    newer: "upgrade",
    older: "format 0",
    cut: "damaged",
    cut_within_a_page: "damaged",
    cut_within_the_header: "damaged",
    first_page_flipped: "no SQLite database",
}


@pytest.mark.parametrize("spoil", UNUSABLE, ids=lambda spoil: spoil.__name__)
def test_what_is_no_ledger_is_refused_and_left_alone(spoil: Callable[[Path], None], path: Path) -> None:
    """A file that is damaged, of another program or of a newer version raises `StoreUnusable` and is not written to."""
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match=UNUSABLE[spoil]):
        SqliteStore(path).load(["u-1"])
    assert path.read_bytes() == before


EMPTY = {
    "page size": "PRAGMA page_size=4096; VACUUM",
    "log": "PRAGMA page_size=4096; PRAGMA journal_mode=WAL",
    "encoding": "PRAGMA page_size=2048; PRAGMA encoding='UTF-16le'; CREATE TABLE t (a); DROP TABLE t",
}


@pytest.mark.parametrize("statements", EMPTY.values(), ids=EMPTY)
def test_an_empty_database_with_other_pages_is_refused(statements: str, tmp_path: Path) -> None:
    """Whatever another page size or encoding would do to a ledger's rows, no ledger is begun in such a file."""
    path = tmp_path / "empty.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(statements)
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="with no tables"):
        SqliteStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("statements", ["", "PRAGMA page_size=2048; VACUUM"], ids=["no bytes", "same pages"])
def test_an_empty_database_becomes_a_ledger(statements: str, tmp_path: Path) -> None:
    """A file of no bytes, or an empty database with a ledger's pages, is made one."""
    path = tmp_path / "empty.db"
    path.touch()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(statements)
    with closing(SqliteStore(path)) as store:
        sign_up(store, "u-1")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute(PAGES).fetchone() == (PAGE_BYTES, "UTF-8")


PLANTED = {
    "CREATE TRIGGER swallow BEFORE INSERT ON entries BEGIN SELECT RAISE(IGNORE); END": "swallow",
    "CREATE VIEW everybody AS SELECT * FROM records": "everybody",
    "CREATE INDEX spare ON entries (at)": "spare",
    "CREATE TABLE more (value)": "more",
    "ALTER TABLE appends ADD COLUMN more": "appends",
    "DROP INDEX entries_of_user": "entries_of_user",
    "DROP TABLE records": "records",
}


def plant(path: Path, statement: str) -> None:
    """Change the schema behind every store's back."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)


@pytest.mark.parametrize(("statement", "name"), PLANTED.items(), ids=PLANTED.values())
def test_another_schema_is_refused_on_opening(statement: str, name: str, path: Path) -> None:
    """A trigger, a view, another index or an altered table is named, and nothing is answered on it."""
    plant(path, statement)
    with pytest.raises(StoreUnusable, match=name):
        SqliteStore(path)


@pytest.mark.parametrize("call", ["append", "verify"])
@pytest.mark.parametrize(("statement", "name"), PLANTED.items(), ids=PLANTED.values())
def test_a_schema_changed_under_a_store_is_refused(
    statement: str, name: str, call: str, path: Path, store: SqliteStore
) -> None:
    """A store that is open when the schema is changed writes nothing more, and verifies nothing."""
    store.load(["u-1"])
    plant(path, statement)
    with pytest.raises(StoreUnusable, match=name):
        CALLS[call](store)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("other", [newer, older], ids=["newer", "older"])
def test_a_format_changed_under_a_store_is_refused(
    other: Callable[[Path], None], call: str, path: Path, store: SqliteStore
) -> None:
    """A store that is open when another process changes the ledger's format reads and writes nothing more."""
    store.load(["u-1"])
    other(path)
    with pytest.raises(StoreUnusable, match="format"):
        CALLS[call](store)


def test_a_schema_that_is_right_again_is_used(path: Path, store: SqliteStore) -> None:
    """Once the trigger is dropped, an open store goes on."""
    statement, name = next(iter(PLANTED.items()))
    plant(path, statement)
    with pytest.raises(StoreUnusable):
        sign_up(store, "u-2")
    plant(path, f"DROP TRIGGER {name}")
    sign_up(store, "u-2")
    assert version(store, "u-2") == 1


def test_a_ledger_without_its_epoch(path: Path) -> None:
    """A ledger that lost the name of its history answers nothing."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM meta")
        db.commit()
    with closing(SqliteStore(path)) as store:
        for call in ("load", "append", "verify"):
            with pytest.raises(StoreUnusable):
                CALLS[call](store)


def outcome(store: SqliteStore, call: str) -> None:
    """Call a store on a damaged file: it may do its work, or say that the file is unusable, and nothing else."""
    with suppress(StoreUnusable):
        if call != "repeated append":
            CALLS[call](store)
            return
        with suppress(ValueError):  # what is kept of the key may be damaged so that nothing shows
            store.append("u-1", [OPENED, TOLD, AGREED], idempotency_key="k-1")


@pytest.mark.parametrize("column", ["at", "hash", "digest", "event", "user_id", "version", "salt"])
@pytest.mark.parametrize("value", ["NULL", "7", "'x'", "x'ff'", "CAST(x'ff' AS TEXT)"])
def test_a_last_entry_of_other_values(column: str, value: str, path: Path) -> None:
    """Whatever stands in the columns of the last entry, no method fails but with an error of ours."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        if value == "NULL" and column in {"hash", "digest"}:
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(f"UPDATE entries SET {column} = NULL")
            return
        db.execute(f"UPDATE entries SET {column} = {value} WHERE position = 3")
    with closing(SqliteStore(path)) as store:
        for call in (*CALLS, "repeated append"):
            outcome(store, call)
        with pytest.raises(LedgerBroken) as caught:
            store.verify()
        assert caught.value.position in {3, 4}


@pytest.mark.parametrize("record", ["record || x'2c' || record", "x''", "x'5b5d'", "x'6e756c6c'"])
def test_a_row_that_holds_not_one_record(record: str, path: Path) -> None:
    """Two records, none, or something else in place of one is refused."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"UPDATE records SET record = CAST({record} AS BLOB)")
    with closing(SqliteStore(path)) as store:
        for ids in (["u-1"], ["u-1", "u-2"]):
            with pytest.raises(StoreUnusable):
                store.load(ids)


def test_an_index_that_leads_to_another_user(path: Path) -> None:
    """Where a damaged index leads from one user to the row of another, nobody is given the other's standing."""
    with closing(SqliteStore(path)) as store:
        sign_up(store, "u-2", "u-3")
        store.append("u-2", [e.Restricted()])
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = path.read_bytes()
    rows = [data.index(b"\x13\x01u-" + number) for number in (b"2", b"3")]
    assert [data[row + 5] for row in rows] == [2, 3]  # the numbers of their rows, after their ids
    path.write_bytes(data[: rows[0] + 5] + b"\x03" + data[rows[0] + 6 :])
    with closing(SqliteStore(path)) as store:
        for ids in (["u-2"], ["u-1", "u-2"]):
            with pytest.raises(StoreUnusable, match="damaged"):
                store.standings(ids)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_bytes_never_surprise(seed: int, path: Path, tmp_path: Path) -> None:
    """Wherever bytes of the file are flipped, a call does its work or raises an error of ours, and makes no yes."""
    with closing(SqliteStore(path)) as store:
        for number in range(20):
            store.append(f"u-{number + 2}", [OPENED, TOLD, e.Withdrawn("marketing"), e.Restricted()])
    honest = path.read_bytes()
    chance = random.Random(seed)
    spoiled = tmp_path / "spoiled.db"
    for _ in range(25):
        data = bytearray(honest)
        start = chance.randrange(100, len(data) - 64)
        for place in range(start, start + chance.choice([1, 4, 64])):
            data[place] ^= chance.randrange(1, 256)
        for left in tmp_path.glob("spoiled.db*"):
            left.unlink()
        spoiled.write_bytes(data)
        try:
            with closing(SqliteStore(spoiled, busy_seconds=0)) as store:
                for call in (*CALLS, "repeated append"):
                    outcome(store, call)
                users = [f"u-{number}" for number in range(2, 22)]
                records = store.load(users).records
                assert all(record.all_restricted or record.version == 0 for record in records)
                for row in store.standings(users).users:
                    with suppress(Malformed):
                        assert row.version == 0 or decode_standing(row.standing, EVERY_ASK).all_restricted
        except StoreUnusable:
            continue
