"""A ledger in one SQLite file, shared by the threads and processes of one machine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from os import PathLike
from typing import Any, TypeVar

from ..errors import LedgerBroken
from ..events import Erased, Event, LedgerEntry
from . import wire
from ._ledger import LINK, Dialect, Ledger, Sql, Statement, check_records, folded, run
from ._sqlite_file import FILLER_BYTES, SqliteFile
from .chain import Link, Verifier
from .protocol import Appended, Changes, Cursor, Loaded

T = TypeVar("T")
LOOK_EVERY_SECONDS = 0.02  # how often a long poll looks for what another process wrote

DIALECT = Dialect(
    head="SELECT value, position, hash, at FROM meta LEFT JOIN"
    " (SELECT position, hash, at FROM entries ORDER BY position DESC LIMIT 1) WHERE name = 'epoch'",
    records="SELECT user_id, record FROM records WHERE user_id IN (SELECT value FROM json_each(?))",
    asked=lambda user_ids: wire.encode(user_ids).decode(),
    put_record=f"INSERT OR REPLACE INTO records (filler, user_id, record) VALUES (zeroblob({FILLER_BYTES}), ?, ?)",
)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class SqliteStore:
    """
    A store in the SQLite file at *path*: WAL, synchronous=FULL, one writer at a time, readers beside it.

    Safe to use from several threads, and by several processes on one file; a forked child opens its own connections.
    Erased content is overwritten in the file as well (secure_delete, and the write-ahead log truncated).

    Args:
        path: The file. It is made if it is missing, unless *create* is false.

        clock: The wall clock that stamps entries: returns an aware datetime.

        busy_seconds: How long a call waits for another process's lock before it raises `StoreUnavailable`.

        create: Whether to make a missing file.

    Raises:
        StoreUnusable: the file is damaged, another program's, or of a newer version of this library.

        StoreUnavailable: the file cannot be opened. (One that is only locked just now raises when it is used.)
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        clock: Callable[[], datetime] = utc_now,
        busy_seconds: float = 0.9,
        create: bool = True,
    ) -> None:
        self._ledger = Ledger(DIALECT, clock)
        self._file = SqliteFile(path, busy_seconds=busy_seconds, create=create)

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        return self._read(self._ledger.load(user_ids))

    def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Appended:
        """See `Store.append`."""
        batch = tuple(events)
        steps = self._ledger.append(user_id, batch, expected_version, idempotency_key)
        has_erased = isinstance(batch[-1], Erased)
        with self._file.writing(idempotency_key) as db:
            appended = run(steps, _in(db))
            if has_erased:
                self._file.owe_scrub(db)
        self._file.scrub(has_erased=has_erased)
        return appended

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        started = time.monotonic()
        while True:
            waited = time.monotonic() - started
            found = self._read(self._ledger.look(after, limit, waited))
            if found.cursor != after or not waited < wait:  # nor if it is not a number
                return found
            self._file.pause(min(LOOK_EVERY_SECONDS, wait - waited))

    def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        return self._read(self._ledger.history(user_id))

    def verify(self) -> Cursor:
        """
        Re-compute the whole chain, and every record from its entries.

        Returns:
            The head that all of it leads to.

        Raises:
            LedgerBroken: names the first entry that is missing, altered or out of order, or the last entry if all
                fit but a record is not what its entries make.
        """
        with self._file.reading() as db:
            verifier = Verifier()
            try:
                for row in db.execute(f"SELECT {LINK} FROM entries ORDER BY position"):
                    verifier.add(Link(*row))
            except sqlite3.OperationalError as error:
                raise LedgerBroken(verifier.position + 1, "it cannot be read") from error
            verifier.finish()
            records = db.execute("SELECT user_id, record FROM records")
            check_records(
                verifier,
                records,
                lambda user_id: run(folded(user_id), _in(db)),
                lambda: int(db.execute("SELECT count(*) FROM records").fetchone()[0]),
            )
            return run(self._ledger.head(), _in(db)).cursor

    def close(self) -> None:
        """See `Store.close`."""
        self._file.close()

    def _read(self, steps: Sql[T]) -> T:
        with self._file.reading() as db:
            return run(steps, _in(db))


def _in(db: sqlite3.Connection) -> Callable[[Statement], list[Any]]:
    """How a statement is run on this connection."""
    return lambda statement: db.execute(*statement).fetchall()
