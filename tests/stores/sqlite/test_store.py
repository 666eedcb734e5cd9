"""`SqliteStore` and its file: damaged, foreign, locked, read-only, full, gone or replaced: it says so."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import LedgerBroken, StoreUnavailable, StoreUnusable
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.stores import SqliteStore, Store
from diijam_consent_sdk.stores.sql import repeats
from diijam_consent_sdk.stores.sqlite import errors, file_systems
from diijam_consent_sdk.stores.sqlite import store as sqlite_store
from diijam_consent_sdk.stores.sqlite.errors import translated
from diijam_consent_sdk.stores.sqlite.schema import APPLICATION_ID, FORMAT

from ..contract import AGREED, OPENED, TOLD, erase, folded, head, sign_up
from ..programs import heard, locking, run, running, tell

BUSY_SECONDS = 0.3
CALLS: dict[str, Callable[[SqliteStore], object]] = {
    "load": lambda store: store.load(["u-1"]),
    "append": lambda store: store.append("new", [OPENED]),
    "changes": lambda store: store.changes(head(store), wait=0),
    "history": lambda store: store.history("u-1"),
    "verify": lambda store: store.verify(),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of one user, closed."""
    path = tmp_path / "ledger.db"
    with closing(SqliteStore(path)) as store:
        store.append("u-1", [OPENED, TOLD, AGREED], idempotency_key="k-1")
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """A store on that ledger that does not wait long."""
    with closing(SqliteStore(path, busy_seconds=BUSY_SECONDS)) as store:
        yield store


def version(store: Store, user_id: str) -> int:
    """The version of a user's record."""
    return store.load([user_id]).records[0].version


# Opening


def test_a_commit_is_on_the_disk_before_it_returns(store: SqliteStore) -> None:
    """Every connection writes ahead, syncs fully, and overwrites what it deletes."""
    with store._database.writing(None) as db:
        settings = [
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "secure_delete")
        ]
    assert settings == ["wal", 2, 1]


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


# What is no ledger


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
                records = store.load([f"u-{number}" for number in range(2, 22)]).records
                assert all(record.all_restricted or record.version == 0 for record in records)
        except StoreUnusable:
            continue


# Locked


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_locked_ledger_is_read_and_not_written(lock: str, path: Path, store: SqliteStore) -> None:
    """While another process writes, an append waits `busy_seconds` and says so, and reading goes on."""
    with locking(path, lock):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="locked"):
            store.append("u-1", [e.AgreementWithdrawn("n-1")], idempotency_key="k-2")
        assert BUSY_SECONDS * 0.9 <= time.monotonic() - started < BUSY_SECONDS + 1
        assert version(store, "u-1") == 3
        assert len(store.history("u-1")) == 3
        with closing(SqliteStore(path, busy_seconds=BUSY_SECONDS)) as another:
            assert version(another, "u-1") == 3
    assert store.append("u-1", [e.AgreementWithdrawn("n-1")], idempotency_key="k-2").record.version == 4
    assert store.verify().position == 4


def test_an_append_gets_its_turn(path: Path, store: SqliteStore) -> None:
    """A lock that is let go in time is waited for."""
    code = """
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        say("locked")
        time.sleep(0.5)
        db.execute("ROLLBACK")
        db.close()
    """
    with closing(SqliteStore(path, busy_seconds=20)) as patient, running(path, code) as program:
        assert heard(program) == "locked"
        started = time.monotonic()
        assert patient.append("u-1", [TOLD]).record.version == 4
        assert time.monotonic() - started > 0.2


EXCLUSIVELY = ("PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE", "UPDATE meta SET value = value", "COMMIT")


def test_a_store_can_be_made_on_a_file_locked_against_readers(path: Path) -> None:
    """Making a store on a wholly locked file raises nothing; its calls do, in time, until the lock is gone."""
    with locking(path, *EXCLUSIVELY):
        store = SqliteStore(path, busy_seconds=BUSY_SECONDS)
        for call in CALLS.values():
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                call(store)
            assert time.monotonic() - started < BUSY_SECONDS + 1
    assert version(store, "u-1") == 3
    assert sign_up(store, "u-2").cursor.position == 4
    store.close()


def test_a_store_can_be_made_on_a_new_file_that_is_locked(tmp_path: Path) -> None:
    """The same goes for a file that is no ledger yet."""
    path = tmp_path / "new.db"
    with locking(path, "BEGIN EXCLUSIVE"):
        store = SqliteStore(path, busy_seconds=BUSY_SECONDS)
        with pytest.raises(StoreUnavailable):
            store.load([])
    assert sign_up(store, "u-1").cursor.position == 1
    store.close()


# Read-only

READ_ONLY: dict[str, tuple[int, int]] = {
    "file and folder": (0o444, 0o555),
    "file": (0o444, 0o777),
    "folder": (0o666, 0o555),
    "no right to read": (0o000, 0o777),
}


@pytest.mark.parametrize("kind", READ_ONLY)
def test_a_read_only_ledger_is_not_written(kind: str, path: Path) -> None:
    """A process without the right to write gets `StoreUnavailable` from an append, and the file stays as it was."""
    file_mode, folder_mode = READ_ONLY[kind]
    folder = Path(tempfile.mkdtemp(prefix="read-only-"))  # pytest's own folders cannot be entered by another user
    try:
        copied = Path(shutil.copy(path, folder))
        copied.chmod(file_mode)
        folder.chmod(folder_mode)
        before = copied.read_bytes() if os.access(copied, os.R_OK) else b""
        code = """
            import encodings.idna, logging, traceback, urllib.parse
            if os.getuid() == 0:
                os.setgroups([]); os.setgid(65534); os.setuid(65534)
            try:
                store = SqliteStore(path, busy_seconds=0.3)
                store.append("u-2", [AccountOpened()])
            except StoreUnavailable as error:
                say("unavailable")
            else:
                say("written")
        """
        assert run(copied, code) == ["unavailable"]
        folder.chmod(0o700)
        copied.chmod(0o600)
        assert not before or copied.read_bytes() == before
        with closing(SqliteStore(copied)) as store:
            assert (version(store, "u-1"), version(store, "u-2"), store.verify().position) == (3, 0, 3)
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)


@pytest.fixture
def sealed(path: Path) -> Iterator[Path]:
    """A closed ledger in a folder where this user, or nobody for root, may write nothing."""
    folder = Path(tempfile.mkdtemp(prefix="sealed-"))
    copied = Path(shutil.copy(path, folder))
    copied.chmod(0o644)
    folder.chmod(0o555)
    yield copied
    folder.chmod(0o700)
    shutil.rmtree(folder)


SEALED = """
import encodings.idna, logging, traceback, urllib.parse
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
store = SqliteStore(path, busy_seconds=0.3)
while True:
    try:
        say(store.load(["u-1"]).records[0].version, store.verify().position)
    except StoreUnavailable as error:
        say("unavailable:", error)
    sys.stdin.readline()
"""


def test_a_sealed_ledger_is_read(sealed: Path) -> None:
    """A closed ledger is read and verified where nothing can be written beside it, and nothing is left there."""
    with running(sealed, SEALED) as program:
        assert heard(program) == "3 3"
        assert [path.name for path in sealed.parent.iterdir()] == [sealed.name]


def test_a_sealed_ledger_that_is_written_elsewhere_is_read_anew(sealed: Path) -> None:
    """What another place writes to the file is seen: it is never taken for unchanging while a log lies beside it."""
    with running(sealed, SEALED) as program:
        assert heard(program) == "3 3"
        sealed.parent.chmod(0o755)
        with closing(SqliteStore(sealed)) as writer:
            writer.append("u-1", [e.Withdrawn("marketing")])
            tell(program)
            said = heard(program)
            assert said == "4 4" or said.startswith("unavailable:")
        sealed.parent.chmod(0o555)
        tell(program)
        assert heard(program) == "4 4"


def test_a_log_in_a_sealed_place_is_told(sealed: Path) -> None:
    """A ledger that was sealed while it was open cannot be read whole, and that is what is said."""
    sealed.parent.chmod(0o755)
    with closing(SqliteStore(sealed)) as writer:
        writer.append("u-1", [e.Withdrawn("marketing")])
        log = Path(f"{sealed}-wal").read_bytes()
    Path(f"{sealed}-wal").write_bytes(log)
    Path(f"{sealed}-wal").chmod(0o644)
    sealed.parent.chmod(0o555)
    code = SEALED.replace("store = SqliteStore", "try: SqliteStore").replace(
        "0.3)\n", "0.3)\nexcept StoreUnavailable as error: say(error); sys.exit()\n", 1
    )
    (said,) = run(sealed, code)
    assert "write-ahead log" in said


# File systems


def test_a_file_system_without_locks_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no file can be locked SQLite says that somebody holds the lock; the error names the file system instead."""

    def lockf(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", lockf)
    file_systems.has_locks.cache_clear()
    with closing(SqliteStore(path, busy_seconds=0)) as store, closing(sqlite3.connect(path)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            StoreUnavailable, match=r"the file system of the database \(\w+\) has no working file locks"
        ):
            store.append("u-2", [OPENED])
    file_systems.has_locks.cache_clear()


@pytest.mark.parametrize("code", errors.FILE_SYSTEM_LACKS)
def test_what_a_file_system_lacks_is_named(code: int, path: Path) -> None:
    """Shared memory or locks that fail are no broken disk: the error says which file system it is, and where to go."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    with (
        pytest.raises(StoreUnavailable, match=r"the file system of the database \(\w+\) .* local disk"),
        translated(path),
    ):
        raise error


def test_a_network_file_system_is_told(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger on NFS is whole, and `verify` says that one machine alone may use it."""
    monkeypatch.setattr(file_systems, "kind_of", lambda _: "nfs4")
    assert ["one machine" in remark and "(nfs4)" in remark for remark in store.remarks()] == [True]


def test_a_file_system_is_found_by_its_mount(path: Path, tmp_path: Path) -> None:
    """The name is the mount's; where nothing tells it is unknown."""
    assert re.fullmatch(r"[\w.]+", file_systems.kind_of(path))
    assert file_systems.kind_of(Path("/proc/self")) == "proc"
    assert file_systems.kind_of(tmp_path / "missing") == "unknown"


# Full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.getuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(store: SqliteStore) -> int:
    """Append until there is no room any more; how many were acknowledged."""
    for number in range(10_000):
        try:
            store.append(f"u-{number}", [OPENED, TOLD])
        except StoreUnavailable:
            return number
    raise AssertionError("the disk does not fill up")


def test_a_full_disk(small_disk: Path) -> None:
    """Without room an append raises and writes nothing; with room again all goes on, and nothing is lost."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    with closing(SqliteStore(small_disk / "ledger.db")) as store:
        count = fill(store)
        before = head(store)
        assert before.position == 2 * count > 0
        with pytest.raises(StoreUnavailable, match="disk is full"):
            store.append(f"u-{count}", [OPENED, TOLD], idempotency_key="k-1")
        assert head(store) == before
        assert version(store, f"u-{count}") == 0
        assert store.verify() == before
        ballast.unlink()
        assert store.append(f"u-{count}", [OPENED, TOLD], idempotency_key="k-1").cursor.position == before.position + 2
        assert store.verify().position == before.position + 2
        assert {version(store, f"u-{number}") for number in range(count + 1)} == {2}


def test_a_database_at_its_limit(store: SqliteStore) -> None:
    """A database that may not grow is a full disk too."""
    sign_up(store, "u-0")
    (connection, _) = store._database._pool._idle[-1]
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    before = head(store)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        store.append("u-2", [OPENED, *[e.Granted("surveys", f"{number:0>200}") for number in range(50)]])
    assert head(store) == before  # over a new connection, without that limit
    assert sign_up(store, "u-2").cursor.position == before.position + 1


# Gone or replaced


def remove(path: Path) -> None:
    """Delete a database whole."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("whole", [True, False], ids=["with its log", "without its log"])
def test_a_deleted_file_is_no_empty_ledger(call: str, whole: bool, path: Path, store: SqliteStore) -> None:
    """A running store whose file was deleted raises, and never makes an empty ledger in its place."""
    sign_up(store, "u-2")
    if whole:
        remove(path)
    else:
        path.unlink()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            CALLS[call](store)
    assert not path.exists()


def test_a_file_that_comes_back_is_used_again(path: Path, store: SqliteStore) -> None:
    """A file that was moved away and put back is the ledger it was."""
    before = sign_up(store, "u-2").cursor
    store._database._pool.release()  # so that all of it is in the file
    path.rename(path.with_name("away.db"))
    with pytest.raises(StoreUnavailable):
        store.load([])
    path.with_name("away.db").rename(path)
    assert head(store) == before
    assert sign_up(store, "u-3").cursor.position == before.position + 1


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another ledger, closed."""
    path = tmp_path / "other.db"
    with closing(SqliteStore(path)) as store:
        sign_up(store, "x", "y", "z", "u-1")
    return path


def test_a_replaced_file_is_seen(path: Path, other: Path, store: SqliteStore) -> None:
    """A running store whose file was replaced by another ledger answers from that one: another history."""
    before = sign_up(store, "u-2").cursor
    remove(path)
    other.rename(path)
    assert [version(store, user_id) for user_id in ("u-1", "u-2", "x")] == [1, 0, 1]
    changes = store.changes(before, wait=5)
    assert (changes.cursor.position, changes.is_continuation()) == (4, False)
    assert sign_up(store, "u-2").cursor.position == 5
    assert store.verify().position == 5


def test_a_file_replaced_during_a_long_poll_is_seen(path: Path, other: Path, store: SqliteStore) -> None:
    """Who waits for changes of a ledger that was replaced is told soon."""
    cursor = sign_up(store, "u-2").cursor
    code = "time.sleep(0.3); [os.remove(path + end) for end in ('-wal', '-shm')]; os.replace(sys.argv[2], path)"
    with closing(SqliteStore(path)) as waiting:
        started = time.monotonic()
        with running(path, code, other):
            changes = waiting.changes(cursor, wait=20)
        assert time.monotonic() - started < 15
        assert not changes.is_continuation()


def test_a_file_replaced_beside_its_log_is_refused(path: Path, other: Path, store: SqliteStore) -> None:
    """A new file is never read through the old one's write-ahead log, which would mix the two, until that is gone."""
    sign_up(store, "u-2")
    other.replace(path)
    untouched = path.read_bytes()
    for call in CALLS.values():
        with pytest.raises(StoreUnusable, match="-wal"):
            call(store)
    assert path.read_bytes() == untouched
    for end in ("-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)
    assert [version(store, user_id) for user_id in ("u-1", "u-2", "x")] == [1, 0, 1]
    assert store.verify().position == 4


def test_a_file_replaced_just_while_it_is_opened(path: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was opened on a file a moment before it was replaced is not kept."""
    with closing(SqliteStore(path)) as store:
        connect, replaced = store._database._pool._connect, list[bool]()

        def replacing() -> sqlite3.Connection:
            connection = connect()
            if not replaced:
                replaced.append(True)
                remove(path)
                other.rename(path)
            return connection

        store._database._pool.release()
        monkeypatch.setattr(store._database._pool, "_connect", replacing)
        assert [version(store, user_id) for user_id in ("x", "y")] == [1, 1]
        assert sign_up(store, "u-2").cursor.position == 5
    with closing(SqliteStore(path)) as store:
        assert store.verify().position == 5


def test_a_file_emptied_under_a_store_is_no_empty_ledger(path: Path, store: SqliteStore) -> None:
    """A running store never begins anew in a file that was a ledger and holds nothing now."""
    sign_up(store, "u-2")
    remove(path)
    path.touch()
    for call in CALLS.values():
        with pytest.raises(StoreUnusable, match="empty"):
            call(store)
    assert path.stat().st_size == 0


def test_a_restored_backup_is_another_history_to_whoever_was_further(path: Path) -> None:
    """A copy of an earlier state, put back and overtaken, does not know the cursors of what was lost."""
    backup = Path(shutil.copy(path, path.with_name("backup.db")))
    with closing(SqliteStore(path)) as store:
        lost = [sign_up(store, "u-2").cursor, erase(store, "u-1").cursor]
        kept = store.changes(lost[0], wait=0)
        assert kept.is_continuation()
    remove(path)
    backup.rename(path)
    with closing(SqliteStore(path)) as store:
        assert not store.changes(lost[0], wait=5).is_continuation()
        sign_up(store, "u-7", "u-8", "u-9", "u-10")
        assert [store.changes(cursor, wait=5).is_continuation() for cursor in lost] == [False, False]


# Who may read it


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_a_new_ledger_is_its_owners_alone(umask: int, tmp_path: Path) -> None:
    """The database, its log and its shared memory are of mode 0600, whatever the umask."""
    program = f"""
import os, sys
from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.stores import SqliteStore
os.umask({umask})
store = SqliteStore(sys.argv[1])
store.append("u-1", [AccountOpened()])
print({{name: oct(os.stat(name).st_mode & 0o777) for name in os.listdir()}})
"""
    made = subprocess.run(
        [sys.executable, "-c", program, "new.db"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert eval(made.stdout) == dict.fromkeys(("new.db", "new.db-wal", "new.db-shm"), "0o600")


def test_the_owner_may_open_a_ledger_to_others(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The mode of a file that is there stays as it is; the log says that others may read it."""
    caplog.set_level(logging.INFO)
    with closing(SqliteStore(path)):
        assert "store.remark" not in caplog.text
    path.chmod(0o640)
    with closing(SqliteStore(path)) as store:
        sign_up(store, "u-2")
        assert path.stat().st_mode & 0o777 == 0o640
    assert "others than its owner may read" in caplog.text


# A repeat


def test_a_repeat_holds_up_no_writer(path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a repeat is answered from a user's history, another process writes at once."""
    events: list[e.Event] = [OPENED, TOLD, AGREED]
    store.append("u-1", [e.Withdrawn("marketing")])
    first = store.history("u-1")[:3]
    others = iter(range(100))

    def fold_all(record: ConsentRecord, entries: list[e.LedgerEntry]) -> ConsentRecord:
        with closing(SqliteStore(path, busy_seconds=0)) as other:
            sign_up(other, f"other-{next(others)}")
        return folded(record.user_id, entries)

    monkeypatch.setattr(repeats, "fold_all", fold_all)
    appended = store.append("u-1", events, idempotency_key="k-1")
    assert appended.record == folded("u-1", first)
    assert next(others) == 1


def test_a_repeat_is_answered_while_another_process_writes(path: Path, store: SqliteStore) -> None:
    """A repeat waits for no lock of the writer."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert store.append("u-1", [OPENED, TOLD, AGREED], idempotency_key="k-1").record.version == 3


def test_a_repeat_that_came_meanwhile_is_one(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same append of two processes is written once, also if both looked before either wrote."""
    begin = store._database.begin_write

    def begin_late(db: sqlite3.Connection) -> None:
        monkeypatch.setattr(store._database, "begin_write", begin)
        sign = store.append("u-2", [OPENED], idempotency_key="k-2")
        assert sign.record.version == 1
        begin(db)

    monkeypatch.setattr(store._database, "begin_write", begin_late)
    assert store.append("u-2", [OPENED], idempotency_key="k-2").record.version == 1
    assert len(store.history("u-2")) == 1


def test_of_long_histories_one_is_folded_at_a_time(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second repeat with a long history is refused at once: it would take the threads that others write in."""
    monkeypatch.setattr(repeats, "LONG_HISTORY", 2)
    store.append("u-1", [e.Withdrawn("marketing")])
    events: list[e.Event] = [OPENED, TOLD, AGREED]
    with store._long_folds.folding(3), pytest.raises(StoreUnavailable, match="try again"):
        store.append("u-1", events, idempotency_key="k-1")
    assert store.append("u-1", events, idempotency_key="k-1").record.version == 3


# The work list


def test_open_requests_are_found_by_an_index(store: SqliteStore) -> None:
    """The work list reads the users with open requests and no others."""
    with store._database.reading() as db:
        plan = db.execute("EXPLAIN QUERY PLAN " + sqlite_store.DIALECT.requesting, ("", 10)).fetchall()
    assert "records USING INDEX records_requesting" in str(plan)
    ids = [f"u{number}" for number in range(5)]
    for user_id in ids:
        store.append(user_id, [OPENED, e.RequestFiled('q","outcome":null', "complaint")])
    for user_id in ids[1:4]:
        store.append(user_id, [e.RequestResolved('q","outcome":null', "cancelled")])
    assert [record.user_id for record in store.open_requests().records] == ["u0", "u4"]
