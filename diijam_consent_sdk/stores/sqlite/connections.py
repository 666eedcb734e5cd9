"""One SQLite database and this process's connections to it: opening, transactions, forks, and what errors mean."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..._logging import log
from ..._threads import Promise
from ...errors import ConsentError, OutcomeUnknown, StoreError, StoreUnavailable, StoreUnusable
from .. import wire
from .._fork_safety import gate, leak
from ..sql.operations import OPEN_REQUEST
from .file_systems import has_locks, kind_of, make_private, remarks_on
from .turns import Turns

APPLICATION_ID = 0x446A4353  # "DjCS", marks the file as ours
FORMAT = 1  # raised whenever an older version of this library could misread the file

# Deleted content is overwritten, but of rows that move to another page SQLite may leave copies behind. So records stand
# wholly on overflow pages, which never move: at this page size at most the first 989 bytes of a row are kept elsewhere
# (https://www.sqlite.org/fileformat2.html#b_tree_pages), and they are its filler. Entries are never moved.
PAGE_BYTES, FILLER_BYTES = 1024, 989

# Deleted content is overwritten; a commit is on the disk before it returns.
PRAGMAS = "PRAGMA secure_delete=ON; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY;"

REQUESTING = f"instr(record, x'{OPEN_REQUEST}') > 0"
SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    position INTEGER PRIMARY KEY, user_id TEXT, version INTEGER, at TEXT, event BLOB, salt BLOB,
    digest BLOB NOT NULL, hash BLOB NOT NULL
);
CREATE INDEX entries_of_user ON entries (user_id, version) WHERE user_id IS NOT NULL;
CREATE TABLE records (filler BLOB NOT NULL, record BLOB NOT NULL, user_id TEXT NOT NULL PRIMARY KEY);
CREATE INDEX records_requesting ON records (user_id) WHERE {REQUESTING};
CREATE TABLE appends (
    user_id TEXT, key BLOB, salt BLOB NOT NULL, fingerprint BLOB NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (user_id, key)
) WITHOUT ROWID;
PRAGMA application_id={APPLICATION_ID};
PRAGMA user_version={FORMAT};
"""

# What SQLite's primary result codes mean here: the error to raise, and what to do about it.
MEANINGS: dict[int, tuple[type[StoreError], str]] = {
    0: (StoreUnusable, "the database is damaged: restore it from a backup"),  # Python's own: text that is not UTF-8
    sqlite3.SQLITE_BUSY: (StoreUnavailable, "another process holds the database locked: try again"),
    sqlite3.SQLITE_LOCKED: (StoreUnavailable, "another thread holds the database locked: try again"),
    sqlite3.SQLITE_FULL: (StoreUnavailable, "the disk is full, nothing was written: free some space, then try again"),
    sqlite3.SQLITE_READONLY: (StoreUnavailable, "the database is read-only: make the file and its folder writable"),
    sqlite3.SQLITE_CANTOPEN: (
        StoreUnavailable,
        "the database cannot be opened: see that its folder exists and may be written, and that the file is there",
    ),
    sqlite3.SQLITE_PERM: (StoreUnavailable, "the database may not be opened: give this user the right to"),
    sqlite3.SQLITE_IOERR: (StoreUnavailable, "the disk failed to read or write: look at the machine's disk"),
    sqlite3.SQLITE_CORRUPT: (StoreUnusable, "the database is damaged: restore it from a backup"),
    sqlite3.SQLITE_ERROR: (StoreUnusable, "the database does not hold a ledger as this version knows it"),
    sqlite3.SQLITE_NOTADB: (StoreUnusable, "this file is no SQLite database: choose another path"),
}
NO_LOCKS = "has no working file locks"
FILE_SYSTEM: dict[int, str] = {
    sqlite3.SQLITE_IOERR_SHMMAP: "lets no processes share memory",
    sqlite3.SQLITE_IOERR_SHMOPEN: "lets no processes share memory",
    sqlite3.SQLITE_IOERR_SHMLOCK: NO_LOCKS,
    sqlite3.SQLITE_IOERR_LOCK: NO_LOCKS,
    sqlite3.SQLITE_IOERR_RDLOCK: NO_LOCKS,
    sqlite3.SQLITE_IOERR_UNLOCK: NO_LOCKS,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK: NO_LOCKS,
}  # what its lack of it is called, by SQLite's extended code


@contextmanager
def translated(path: Path | None = None) -> Iterator[None]:
    """Raise what SQLite or a malformed row says as an error of this library; *path* is the database's."""
    try:
        yield
    except sqlite3.Error as error:
        kind, advice = MEANINGS.get(_code(error), (StoreUnavailable, "SQLite refused"))
        if (lack := _lack(error, path)) is not None:
            kind, advice = StoreUnavailable, lack
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        # Quoted, so that the service leaves it out of what it answers.
        where = "" if path is None else f", file {str(path)!r}"
        raise kind(f"{advice} ({name}){where}") from error
    except wire.Malformed as error:
        raise StoreUnusable(f"the database holds what is no ledger: {error}") from error
    except UnicodeDecodeError as error:  # of SQLite's own message about a damaged schema
        raise StoreUnusable(MEANINGS[sqlite3.SQLITE_CORRUPT][1]) from error


def _code(error: BaseException | None) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _lack(error: sqlite3.Error, path: Path | None) -> str | None:
    """What the file system lacks, if that is why. Without locks SQLite says the same as if somebody held one."""
    if path is None:
        return None
    lack = FILE_SYSTEM.get(int(getattr(error, "sqlite_errorcode", 0)))
    if _code(error) == sqlite3.SQLITE_BUSY and not has_locks(path.parent):
        lack = NO_LOCKS
    if lack is None:
        return None
    where = f"the file system of the database ({kind_of(path.parent)})"
    return f"{where} {lack}, as network file systems often do: keep the ledger on a local disk, or in PostgreSQL"


class SqliteFile:
    """
    The database at a path, and this process's pool of connections to it.

    Idle connections are closed before a fork. What a child inherits all the same it abandons, unclosed: closing it
    could delete the write-ahead log. A file that was replaced is opened anew: a connection to the old one would never
    see another write.
    """

    def __init__(self, path: str | os.PathLike[str], *, busy_seconds: float, create: bool) -> None:
        self.path = Path(path).absolute()
        self._busy_seconds = busy_seconds
        self._create = create
        self._was_found = False
        self._was_replaced = False
        self._is_sealed = False  # in a place where nothing is written
        self._schema: int | None = None  # the number of the schema that was found right
        self._begin()
        self._closed: Promise[None] = Promise()  # no Event: see there
        self._scrub_due = True  # until the first look: a process may have died between erasing and scrubbing
        gate.register(self)
        try:
            with self.reading():
                pass
        except StoreUnavailable as error:
            if _code(error.__cause__) != sqlite3.SQLITE_BUSY:
                raise
        for remark in remarks_on(self.path):
            log.info("store.remark", remark=remark)
        self.scrub()

    def _begin(self) -> None:
        self.long_fold = threading.Lock()
        self.turns = Turns()
        self._idle: deque[tuple[sqlite3.Connection, tuple[int, ...]]] = deque()
        self._pid = os.getpid()
        self._drop = weakref.finalize(self, _drop, self._idle, self._pid)
        self._drop.atexit = False

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection on one unchanging state of the database."""
        with gate.call(), translated(self.path), self._connection() as db:
            db.execute("BEGIN")
            yield db
            db.execute("COMMIT")

    @contextmanager
    def writing(self, idempotency_key: str | None) -> Iterator[sqlite3.Connection]:
        """A connection, to take the write lock with `begin`; what is written is durable once the block has ended."""
        with gate.call(), translated(self.path), self.turns.turn(self._busy_seconds / 2), self._connection() as db:
            yield db
            if not db.in_transaction:
                return
            try:
                db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_IOERR:
                    raise
                message = "the disk failed during the commit: repeat the call with the same idempotency_key"
                raise OutcomeUnknown(message, idempotency_key or "") from error

    def begin(self, db: sqlite3.Connection) -> None:
        """Take the write lock, within `writing`."""
        db.execute("BEGIN IMMEDIATE")
        self._see_schema(db)

    def _see_schema(self, db: sqlite3.Connection) -> None:
        """Within a transaction: compare the schema if it may have changed since it was found right."""
        ((number,),) = db.execute("PRAGMA schema_version")
        if number != self._schema:
            check_schema(db)
            self._schema = number

    def scrub(self, *, has_erased: bool = False) -> None:
        """
        Take erased content out of the write-ahead log too. What is in the way (readers, a lock, the disk) postpones
        it to a later call: the erasure itself is durable already, so this never raises for the world. Only the call
        that erased waits for readers; it would make other writers wait as well.
        """
        if not (has_erased or self._scrub_due):
            return
        self._scrub_due = False  # first: whoever erases from here on comes here afterwards
        try:
            with gate.call(), translated(self.path), self._connection() as db:
                mark = db.execute("SELECT value FROM meta WHERE name = 'scrub'").fetchone()
                if mark is not None:
                    self._empty_log(db, wait=has_erased)
                    db.execute("DELETE FROM meta WHERE name = 'scrub' AND value = ?", mark)  # not one made since
        except BaseException as error:
            self._scrub_due = True
            if not isinstance(error, StoreError):
                raise
            log.warning("store.scrub_postponed", error=type(error).__name__)

    def _empty_log(self, db: sqlite3.Connection, *, wait: bool) -> None:
        if not wait:
            db.execute("PRAGMA busy_timeout=0")
        (is_busy, *_) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        db.execute(f"PRAGMA busy_timeout={int(self._busy_seconds * 1000)}")
        if is_busy:
            raise StoreUnavailable("readers are in the way")

    def owe_scrub(self, db: sqlite3.Connection) -> None:
        """Within a write that erases: remember, also past a crash, that `scrub` is due."""
        db.execute("INSERT OR REPLACE INTO meta VALUES ('scrub', ?)", (secrets.token_hex(8),))
        self._scrub_due = True

    def pause(self, seconds: float) -> None:
        """Wait, but not past `close`."""
        self._closed.wait(seconds)

    def close(self) -> None:
        """Close the idle connections now, those in use when they come back."""
        self._closed.set_result(None)
        self.let_go()

    def let_go(self) -> None:
        """Close the idle connections; a later call opens its own."""
        while self._pid == os.getpid() and self._idle:
            with suppress(IndexError):
                self._idle.pop()[0].close()

    def forget(self) -> None:
        """In a forked child: start with no connection."""
        self._drop()
        self._begin()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        db, made_for = self._take()
        try:
            yield db
        except BaseException as error:
            with suppress(sqlite3.Error):
                db.rollback()
            if not isinstance(error, (ConsentError, ValueError)):
                db.close()
                raise
            self._give_back(db, made_for)
            raise
        if self._is_sealed and self._identity() != made_for:
            db.close()
            raise StoreUnavailable("the database was written to while it was read, from another place: try again")
        self._give_back(db, made_for)

    def _take(self) -> tuple[sqlite3.Connection, tuple[int, ...]]:
        if self._closed.done():
            raise StoreUnavailable("the store is closed: make a new one")
        if gate.was_forked_amid_a_call:
            raise StoreUnavailable("this process was forked amid a store call: fork before, or start it by spawning")
        if self._pid != os.getpid():
            self.forget()
        while True:
            identity = self._identity()
            try:
                db, made_for = self._idle.pop()
            except IndexError:
                db, made_for = self._connect(), identity
                identity = self._identity()
            if made_for == identity:
                return db, made_for
            db.close()
            self._was_replaced = made_for[:2] not in ((0, 0), identity[:2])  # else it was made just now

    def _give_back(self, db: sqlite3.Connection, made_for: tuple[int, ...]) -> None:
        self._idle.append((db, made_for))
        if self._closed.done():
            self.let_go()

    def _identity(self) -> tuple[int, ...]:
        """Which file it is; of a sealed one, which SQLite takes for unchanging, also in which state."""
        try:
            found = self.path.stat()
        except OSError:
            return 0, 0
        if not self._is_sealed:
            return found.st_dev, found.st_ino
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, self._log().exists()

    def _log(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def _see_log(self) -> None:
        """Refuse to read a new file through the write-ahead log of the old: SQLite would mix the two."""
        with suppress(FileNotFoundError):
            if self._log().stat().st_size:
                raise StoreUnusable(
                    "the file was replaced and a write-ahead log lies beside it: close every store on it,"
                    " then put the file back without the old one's -wal and -shm"
                )
        self._was_replaced = False

    def _connect(self) -> sqlite3.Connection:
        if self._was_replaced and self.path.exists():
            self._see_log()
        if self._create and not self._was_found:
            make_private(self.path)
        try:
            db = self._prepared("mode=rw")
            self._is_sealed = False
        except sqlite3.OperationalError as error:
            if _code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or not self._may_be_sealed():
                raise
            self._is_sealed = True  # first: what the file is like before it is opened is what it is compared with
            db = self._prepared("mode=ro&immutable=1")
        self._was_found = True  # if it is gone or empty from now on, that is an error, no reason to start an empty one
        return db

    def _prepared(self, options: str) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{self.path.as_uri()}?{options}",
            uri=True, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False,
        )  # fmt: skip
        try:
            prepare(db, may_begin=not self._was_found)
        except BaseException:
            db.close()
            raise
        return db

    def _may_be_sealed(self) -> bool:
        """
        Whether the file lies where nothing can be written, so that SQLite cannot keep its shared memory beside it.

        Raises:
            StoreUnavailable: a write-ahead log lies there too, which cannot be read without.
        """
        if os.access(self.path.parent, os.W_OK) or not os.access(self.path, os.R_OK):
            return False
        if self._log().exists():
            raise StoreUnavailable(
                "the database lies in a read-only place, beside a write-ahead log: copy both files where they may be"
                " written, or close every store on them before they are sealed"
            )
        return True


def _drop(idle: deque[tuple[sqlite3.Connection, tuple[int, ...]]], pid: int) -> None:
    """Of a store that nobody closed: close what this process opened; what a child inherited is never closed."""
    for connection in idle:
        if pid == os.getpid():
            connection[0].close()
        else:
            leak(connection)


def prepare(db: sqlite3.Connection, *, may_begin: bool = True) -> None:
    """Set a new connection up, and the tables where there are none. Refuses a database that is not this library's."""
    db.executescript(PRAGMAS)
    if _is_empty(db):
        if not may_begin:
            raise StoreUnusable("the file is empty now: put the ledger that was in it back")
        db.execute(f"PRAGMA page_size={PAGE_BYTES}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("BEGIN IMMEDIATE")
        if _is_empty(db):  # still: another process may have been first
            _make(db)
            db.execute("INSERT INTO meta VALUES ('epoch', ?)", (secrets.token_hex(16),))
        db.execute("COMMIT")
    (application,), (version,) = (
        db.execute("PRAGMA application_id").fetchone(),
        db.execute("PRAGMA user_version").fetchone(),
    )
    if application != APPLICATION_ID:
        raise StoreUnusable("this is the database of another program: choose another path")
    if version != FORMAT:
        raise StoreUnusable(f"the ledger has format {version}, this version knows {FORMAT}: upgrade diijam-consent-sdk")
    check_schema(db)


def _make(db: sqlite3.Connection) -> None:
    for statement in SCHEMA.split(";"):
        db.execute(statement)


def check_schema(db: sqlite3.Connection) -> None:
    """
    See that the database has the tables and indexes of a ledger as they were made, and nothing else: a trigger or a
    view can hide entries, and make others.

    Raises:
        StoreUnusable: names what is missing, altered, or not the ledger's.
    """
    expected, found = _schema(), dict(db.execute(OBJECTS))
    if found == expected:
        return
    for name in sorted(found.keys() | expected.keys(), key=lambda name: (name.startswith("index"), name)):
        if found.get(name) != expected.get(name):
            state = "was altered" if name in found and name in expected else "is missing"
            state = state if name in expected else "is not the ledger's: see who put it there, then drop it"
            raise StoreUnusable(f"the database's schema was changed: {name[:100]!r} {state}")


OBJECTS = "SELECT type || ' ' || name, tbl_name || ': ' || coalesce(sql, '') FROM sqlite_master"


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        _make(db)
        return dict(db.execute(OBJECTS))
    finally:
        db.close()


def _is_empty(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,))
