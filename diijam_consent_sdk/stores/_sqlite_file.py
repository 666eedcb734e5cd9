"""One SQLite database and this process's connections to it: opening, transactions, forks, and what errors mean."""

from __future__ import annotations

import ctypes
import os
import secrets
import sqlite3
import threading
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

# Deleted content is overwritten; a commit is on the disk before it returns.
PRAGMAS = "PRAGMA secure_delete=ON; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY;"

SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    position INTEGER PRIMARY KEY, user_id TEXT, version INTEGER, at TEXT, event BLOB, salt BLOB,
    digest BLOB NOT NULL, hash BLOB NOT NULL
);
CREATE INDEX entries_of_user ON entries (user_id, version) WHERE user_id IS NOT NULL;
CREATE TABLE records (user_id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE appends (
    user_id TEXT, key TEXT, salt BLOB NOT NULL, fingerprint BLOB NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (user_id, key)
) WITHOUT ROWID;
PRAGMA application_id={APPLICATION_ID};
PRAGMA user_version={FORMAT};
"""

# What SQLite's primary result codes mean here: the error to raise, and what to do about it.
MEANINGS: dict[int, tuple[type[StoreError], str]] = {
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


def _code(error: BaseException | None) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


class SqliteFile:
    """
    The database at a path, and this process's pool of connections to it.

    A forked child abandons the connections it inherited, unclosed: closing them could drop the parent's locks.
    A file that was replaced is opened anew: a connection to the old one would never see another write.
    """

    def __init__(self, path: str | os.PathLike[str], *, busy_seconds: float, create: bool) -> None:
        self._path = Path(path).absolute()
        self._busy_seconds = busy_seconds
        self._mode = "rwc" if create else "rw"
        self._idle: deque[tuple[sqlite3.Connection, tuple[int, int]]] = deque()
        self._pid = os.getpid()
        self._closed = threading.Event()
        self._scrub_due = True  # until the first look: a process may have died between erasing and scrubbing
        try:
            with self.reading():
                pass
        except StoreUnavailable as error:
            if _code(error.__cause__) != sqlite3.SQLITE_BUSY:
                raise
        self.scrub()

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

    def scrub(self) -> None:
        """
        Take erased content out of the write-ahead log too. What is in the way (readers, a lock, the disk) postpones
        it to a later call: the erasure itself is durable already, so this never raises for the world.
        """
        if not self._scrub_due:
            return
        try:
            with gate, translated(), self._connection() as db:
                if db.execute("SELECT 1 FROM meta WHERE name = 'scrub'").fetchone():
                    (busy, *_) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                    if busy:
                        raise StoreUnavailable("readers are in the way")
                    db.execute("DELETE FROM meta WHERE name = 'scrub'")
                self._scrub_due = False
        except StoreError as error:
            log.warning("store.scrub_postponed", error=type(error).__name__)

    def owe_scrub(self, db: sqlite3.Connection) -> None:
        """Within a write that erases: remember, also past a crash, that `scrub` is due."""
        db.execute("INSERT OR REPLACE INTO meta VALUES ('scrub', 'due')")
        self._scrub_due = True

    def pause(self, seconds: float) -> None:
        """Wait, but not past `close`."""
        self._closed.wait(seconds)

    def close(self) -> None:
        """Close the idle connections now, those in use when they come back."""
        self._closed.set()
        if self._pid == os.getpid():
            while self._idle:
                self._idle.pop()[0].close()

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
        if self._pid != os.getpid():
            self._abandon()
        identity = self._identity()
        while True:
            try:
                db, made_for = self._idle.pop()
            except IndexError:
                return self._connect(), self._identity()
            if made_for == identity:
                return db, made_for
            db.close()

    def _give_back(self, db: sqlite3.Connection, made_for: tuple[int, int]) -> None:
        if self._closed.is_set():
            db.close()
        else:
            self._idle.append((db, made_for))

    def _identity(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return 0, 0
        return found.st_dev, found.st_ino

    def _abandon(self) -> None:
        for inherited in self._idle:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))  # one reference nobody drops: never closed
        self._idle, self._pid = deque(), os.getpid()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{self._path.as_uri()}?mode={self._mode}",
            uri=True, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False,
        )  # fmt: skip
        try:
            prepare(db)
        except BaseException:
            db.close()
            raise
        self._mode = "rw"  # a file that is gone is an error from now on, not a reason to start an empty one
        return db


def prepare(db: sqlite3.Connection) -> None:
    """Set a new connection up, and the tables where there are none. Refuses a database that is not this library's."""
    db.executescript(PRAGMAS)
    if _is_empty(db):
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
