"""Transactions on a SQLite database, in a file or in memory, and the clearing away of what they erased."""

from __future__ import annotations

import secrets
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from os import PathLike
from pathlib import Path
from typing import TypeVar

from ..._logging import log
from ..._threads import Promise
from ...errors import OutcomeUnknown, StoreError, StoreUnavailable
from .._call_queue import CallQueue
from .._fork_safety import gate
from ..sql.statements import Query
from .connections import ConnectionPool, OpenedFile
from .errors import primary_code, translated
from .file_systems import remarks_on
from .log_files import LoggedConnection
from .schema import check_format, check_schema

T = TypeVar("T")


def run_query(db: sqlite3.Connection, query: Query[T]) -> T:
    """Run a query's statements, and parse their rows."""
    return query.parse(*[db.execute(*statement).fetchall() for statement in query.statements])


class Database(ABC):
    """A SQLite database and its transactions. Safe to use from several threads."""

    def __init__(self, path: Path | None, busy_seconds: float) -> None:
        self.path = path
        self._busy_seconds = busy_seconds
        self._gate = gate
        self.writers = CallQueue()  # SQLite's lock has no queue, so that a writer could wait for ever
        self._closed: Promise[None] = Promise()
        self._schema_version: int | None = None  # of the schema that was found right

    @abstractmethod
    def _connection(self) -> AbstractContextManager[sqlite3.Connection]:
        """Lend a connection, which nobody else uses within the block; it is rolled back after an error."""

    @abstractmethod
    def mark_scrub_due(self, db: sqlite3.Connection) -> None:
        """Within a write that erases: note, also past a crash, that `scrub` is due."""

    @abstractmethod
    def scrub(self, *, has_erased: bool = False) -> None:
        """Clear erased content away; *has_erased*: this call erased it."""

    def run(self, query: Query[T]) -> T:
        """Run a query of one statement, which sees one unchanging state. It has to check the format itself."""
        with self._gate.call(), translated(self.path), self._connection() as db:
            return run_query(db, query)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection on one unchanging state of the database."""
        with self._gate.call(), translated(self.path), self._connection() as db:
            db.execute("BEGIN")
            check_format(db)
            yield db
            db.execute("COMMIT")

    @property
    def turn_seconds(self) -> float:
        """How long a write waits for its turn among the writes of this process."""
        return self._busy_seconds / 2

    @contextmanager
    def writing(self, idempotency_key: str | None) -> Iterator[sqlite3.Connection]:
        """Lend a connection as `committing` does, once it is this call's turn."""
        with self.writers.take_turn(self.turn_seconds), self.committing(idempotency_key) as db:
            yield db

    @contextmanager
    def committing(self, idempotency_key: str | None) -> Iterator[sqlite3.Connection]:
        """Lend a connection that takes the write lock by `begin_write`; its writes are durable after the block."""
        with self._gate.call(), translated(self.path), self._connection() as db:
            yield db
            if db.in_transaction:
                self._commit(db, idempotency_key)

    def _commit(self, db: sqlite3.Connection, idempotency_key: str | None) -> None:
        try:
            db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_IOERR:
                raise
            message = "the disk failed during the commit: repeat the call with the same idempotency_key"
            raise OutcomeUnknown(message, idempotency_key or "") from error

    def begin_write(self, db: sqlite3.Connection) -> None:
        """Take the write lock, within `writing`."""
        db.execute("BEGIN IMMEDIATE")
        check_format(db)
        ((version,),) = db.execute("PRAGMA schema_version")
        if version != self._schema_version:  # SQLite counts each change of the schema
            check_schema(db)
            self._schema_version = version

    def pause(self, seconds: float) -> None:
        """Wait, but not past `close`."""
        self._closed.wait(seconds)

    def close(self) -> None:
        """Refuse further calls, and end the pauses under way."""
        self._closed.set_result(None)


class FileDatabase(Database):
    """
    The database in a file.

    Args:
        path: The file.

        busy_seconds: How long a call waits for another process's lock.

        create: Whether to make a missing file.

    Raises:
        StoreError: the file cannot be opened, or is not this library's; not if it is only locked just now.
    """

    def __init__(self, path: str | PathLike[str], *, busy_seconds: float, create: bool) -> None:
        file = Path(path).absolute()
        super().__init__(file, busy_seconds)
        opened = OpenedFile()
        self._pool = ConnectionPool(file, opened, busy_seconds=busy_seconds, create=create)
        self._is_scrub_due = True  # until the first look: a process may have ended between erasing and scrubbing
        self._unwaiting = ConnectionPool(file, opened, busy_seconds=0.0, create=False, was_found=True)
        for pool in (self._pool, self._unwaiting):
            self._gate.register(pool)
        try:
            with self.reading():
                pass
        except StoreUnavailable as error:
            if primary_code(error.__cause__) != sqlite3.SQLITE_BUSY:
                raise
        for remark in remarks_on(file):
            log.info("store.remark", remark=remark)
        self.scrub()

    def _connection(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._pool.connection()

    @contextmanager
    def committing(self, idempotency_key: str | None) -> Iterator[sqlite3.Connection]:
        """Do as a `Database`. `OutcomeUnknown` if the file was replaced meanwhile: the one there now may lack it."""
        found = self._pool.identity()
        with super().committing(idempotency_key) as db:
            yield db
        if self._pool.identity() != found:
            message = "the database's file was replaced during the call: repeat it with the same idempotency_key"
            raise OutcomeUnknown(message, idempotency_key or "")

    def _commit(self, db: sqlite3.Connection, idempotency_key: str | None) -> None:
        """Commit. `OutcomeUnknown` if the log was removed meanwhile: what was written to it may be lost."""
        super()._commit(db, idempotency_key)
        if isinstance(db, LoggedConnection) and not db.has_log():
            message = "the database's log was removed or replaced during the call: repeat it with its idempotency_key"
            raise OutcomeUnknown(message, idempotency_key or "")

    def run_at_once(self, query: Query[T]) -> T:
        """Do as `run` does, but wait for no lock; `StoreUnavailable` if one is in the way."""
        with self._gate.call(), translated(self.path), self._unwaiting.connection() as db:
            return run_query(db, query)

    def mark_scrub_due(self, db: sqlite3.Connection) -> None:
        """See `Database.mark_scrub_due`."""
        db.execute("INSERT OR REPLACE INTO meta VALUES ('scrub', ?)", (secrets.token_hex(8),))
        self._is_scrub_due = True

    def scrub(self, *, has_erased: bool = False) -> None:
        """
        Clear erased content out of the write-ahead log too. What is in the way (readers, a lock, the disk) postpones
        that to a later call: the erasure itself is durable already, so no such trouble is raised. Only the call that
        erased waits for readers; waiting would make other writers wait as well.
        """
        if not (has_erased or self._is_scrub_due):
            return
        self._is_scrub_due = False  # first: a call that erases from here on scrubs afterwards
        try:
            with self._gate.call(), translated(self.path), self._connection() as db:
                mark = db.execute("SELECT value FROM meta WHERE name = 'scrub'").fetchone()
                if mark is not None:
                    self._empty_log(db, wait=has_erased)
                    db.execute("DELETE FROM meta WHERE name = 'scrub' AND value = ?", mark)  # not one made since
        except BaseException as error:
            self._is_scrub_due = True
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

    def close(self) -> None:
        """Close the idle connections now, those in use when they come back."""
        super().close()
        self._pool.close()
        self._unwaiting.close()
