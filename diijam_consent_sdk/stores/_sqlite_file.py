"""One SQLite database and this process's connections to it: opening, transactions, forks, and what errors mean."""

from __future__ import annotations

import ctypes
import os
import secrets
import sqlite3
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._logging import log
from ..errors import ConsentError, OutcomeUnknown, StoreError, StoreUnavailable, StoreUnusable
from . import wire
from ._forks import gate

APPLICATION_ID = 0x446A4353  # "DjCS", marks the file as ours
FORMAT = 1  # raised whenever an older version of this library could misread the file

# Deleted content is overwritten, but of rows that move to another page SQLite may leave copies behind. So records stand
# wholly on overflow pages, which never move: at this page size at most the first 989 bytes of a row are kept elsewhere
# (https://www.sqlite.org/fileformat2.html#b_tree_pages), and they are its filler. Entries are never moved.
PAGE_BYTES, FILLER_BYTES = 1024, 989

# Deleted content is overwritten; a commit is on the disk before it returns.
PRAGMAS = "PRAGMA secure_delete=ON; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY;"

SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    position INTEGER PRIMARY KEY, user_id TEXT, version INTEGER, at TEXT, event BLOB, salt BLOB,
    digest BLOB NOT NULL, hash BLOB NOT NULL
);
CREATE INDEX entries_of_user ON entries (user_id, version) WHERE user_id IS NOT NULL;
CREATE TABLE records (filler BLOB NOT NULL, record BLOB NOT NULL, user_id TEXT NOT NULL PRIMARY KEY);
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


@contextmanager
def translated() -> Iterator[None]:
    """Raise what SQLite or a malformed row says as an error of this library."""
    try:
        yield
    except sqlite3.Error as error:
        kind, advice = MEANINGS.get(_code(error), (StoreUnavailable, "SQLite refused"))
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise kind(f"{advice} ({name})") from error
    except wire.Malformed as error:
        raise StoreUnusable(f"the database holds what is no ledger: {error}") from error
    except UnicodeDecodeError as error:  # of SQLite's own message about a damaged schema
        raise StoreUnusable(MEANINGS[sqlite3.SQLITE_CORRUPT][1]) from error


def _code(error: BaseException | None) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


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
        self._begin()
        self._closed = threading.Event()
        self._scrub_due = True  # until the first look: a process may have died between erasing and scrubbing
        gate.register(self)
        try:
            with self.reading():
                pass
        except StoreUnavailable as error:
            if _code(error.__cause__) != sqlite3.SQLITE_BUSY:
                raise
        self.scrub()

    def _begin(self) -> None:
        self._idle: deque[tuple[sqlite3.Connection, tuple[int, int]]] = deque()
        self._pid = os.getpid()
        self._drop = weakref.finalize(self, _drop, self._idle, self._pid)
        self._drop.atexit = False

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection on one unchanging state of the database."""
        with gate, translated(), self._connection() as db:
            db.execute("BEGIN")
            yield db
            db.execute("COMMIT")

    @contextmanager
    def writing(self, idempotency_key: str | None) -> Iterator[sqlite3.Connection]:
        """A connection with the write lock; what was written is durable once the block has ended."""
        with gate, translated(), self._connection() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            try:
                db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_IOERR:
                    raise
                message = "the disk failed during the commit: repeat the call with the same idempotency_key"
                raise OutcomeUnknown(message, idempotency_key or "") from error

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
            with gate, translated(), self._connection() as db:
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
        self._closed.set()
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
        self._give_back(db, made_for)

    def _take(self) -> tuple[sqlite3.Connection, tuple[int, int]]:
        if self._closed.is_set():
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
            self._was_replaced = made_for != (0, 0)  # else it was made just now

    def _give_back(self, db: sqlite3.Connection, made_for: tuple[int, int]) -> None:
        self._idle.append((db, made_for))
        if self._closed.is_set():
            self.let_go()

    def _identity(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return 0, 0
        return found.st_dev, found.st_ino

    def _see_log(self) -> None:
        """Refuse to read a new file through the write-ahead log of the old: SQLite would mix the two."""
        with suppress(FileNotFoundError):
            if Path(f"{self.path}-wal").stat().st_size:
                raise StoreUnusable(
                    "the file was replaced and a write-ahead log lies beside it: close every store on it,"
                    " then put the file back without the old one's -wal and -shm"
                )
        self._was_replaced = False

    def _connect(self) -> sqlite3.Connection:
        if self._was_replaced and self.path.exists():
            self._see_log()
        db = sqlite3.connect(
            f"{self.path.as_uri()}?mode={'rwc' if self._create and not self._was_found else 'rw'}",
            uri=True, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False,
        )  # fmt: skip
        try:
            prepare(db, may_begin=not self._was_found)
        except BaseException:
            db.close()
            raise
        self._was_found = True  # if it is gone or empty from now on, that is an error, no reason to start an empty one
        return db


def _drop(idle: deque[tuple[sqlite3.Connection, tuple[int, int]]], pid: int) -> None:
    """Of a store that nobody closed: close what this process opened; what a child inherited is never closed."""
    for connection in idle:
        if pid == os.getpid():
            connection[0].close()
        else:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))  # one reference that nobody drops


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
            for statement in SCHEMA.split(";"):
                db.execute(statement)
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


def _is_empty(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,))
