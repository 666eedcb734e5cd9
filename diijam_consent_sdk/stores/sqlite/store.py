"""A ledger in one SQLite file, shared by the threads and processes of one machine."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from ..._logging import log
from ...events import Erased, Event, LedgerEntry
from .. import wire
from ..protocol import MAX_LOAD_BYTES, Appended, Changes, Cursor, Loaded, OpenRequests, checked_batch, checked_ids
from ..sql.operations import (
    LINK,
    Clock,
    Dialect,
    Ledger,
    Repeat,
    Sql,
    Statement,
    answered_again,
    entries_of,
    folded,
    history,
    one_at_a_time,
    run,
)
from ..sql.verify import verify
from .connections import FILLER_BYTES, REQUESTING, SqliteFile, check_schema, translated
from .file_systems import remarks_on

T = TypeVar("T")
LOOK_EVERY_SECONDS = 0.02  # how often a long poll looks for what another process wrote

# One step of SQLite for all rows: between steps other threads would have Python.
GATHERED = (
    "SELECT user_ids, joined FROM (SELECT group_concat(user_id, char(10)) AS user_ids,"
    " CAST(group_concat(CAST(record AS TEXT)) AS BLOB) AS joined FROM ({})) WHERE user_ids IS NOT NULL"
)
DIALECT = Dialect(
    head="SELECT value, position, hash, at FROM meta LEFT JOIN"
    " (SELECT position, hash, at FROM entries ORDER BY position DESC LIMIT 1) WHERE name = 'epoch'",
    records=GATHERED.format("SELECT user_id, record FROM records WHERE user_id IN (SELECT value FROM json_each(?))"),
    bounded=GATHERED.format(
        "SELECT user_id, CASE WHEN (SELECT sum(length(record)) FROM records WHERE user_id IN (SELECT value FROM"
        f" json_each(?))) <= {MAX_LOAD_BYTES} THEN record END AS record FROM records WHERE user_id IN (SELECT value"
        " FROM json_each(?))"
    ),
    asked=lambda user_ids: wire.encode(user_ids).decode(),
    put_record=f"INSERT INTO records (filler, user_id, record) VALUES (zeroblob({FILLER_BYTES}), ?, ?)"
    " ON CONFLICT (user_id) DO UPDATE SET record = excluded.record",
    requesting=GATHERED.format(
        f"SELECT user_id, record FROM records WHERE user_id > ? AND {REQUESTING} ORDER BY user_id LIMIT ?"
    ),
    time=lambda _: datetime.now(UTC),
    mark_tested="INSERT OR IGNORE INTO meta VALUES ('clock', 'of a caller')",
    tested="SELECT value FROM meta WHERE name = 'clock'",
)
CALLERS_CLOCK = "entries were stamped by a clock that a caller gave, as tests do: their times prove nothing"


class SqliteStore:
    """
    A store in the SQLite file at *path*: WAL, synchronous=FULL, one writer at a time, readers beside it.

    Safe to use from several threads, and by several processes on one file; a forked child opens its own connections.
    Erased content is overwritten in the file as well (secure_delete, and the write-ahead log truncated).

    Args:
        path: The file. It is made if it is missing, unless *create* is false.

        clock: For tests: what stamps entries in place of the machine's clock; returns an aware datetime. `verify` says
            for ever that it was used.

        busy_seconds: How long a call waits for another process's lock before it raises `StoreUnavailable`.

        create: Whether to make a missing file.

    Attributes:
        path: The file; None for a ledger in memory.

    Raises:
        StoreUnusable: the file is damaged, another program's, or of a newer version of this library.

        StoreUnavailable: the file cannot be opened. (One that is only locked just now raises when it is used.)
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        clock: Clock | None = None,
        busy_seconds: float = 0.9,
        create: bool = True,
    ) -> None:
        self.ledger = Ledger(DIALECT, clock)
        self._file = SqliteFile(path, busy_seconds=busy_seconds, create=create)
        self.path: Path | None = self._file.path

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        return self.read(partial(self.ledger.load, checked_ids(user_ids)))

    def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Appended:
        """See `Store.append`."""
        batch = checked_batch(events)
        steps = self.ledger.append(user_id, batch, expected_version, idempotency_key)
        done = self.write(lambda: steps, has_erased=isinstance(batch[-1], Erased), key=idempotency_key)
        return self._repeated(done) if isinstance(done, Repeat) else done

    def _repeated(self, repeat: Repeat) -> Appended:
        found = self.read(partial(self.ledger.repeated, repeat))
        if isinstance(found, Appended):
            return found
        with one_at_a_time(self._file.long_fold, found.version), translated():
            return answered_again(found, self.read(partial(history, found.user_id, found.version)))

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        started = time.monotonic()
        while True:
            waited = time.monotonic() - started
            found = self.read(partial(self.ledger.look, after, limit, waited))
            if found.cursor != after or not waited < wait:  # nor if it is not a number
                return found
            self._file.pause(min(LOOK_EVERY_SECONDS, wait - waited))

    def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        links = self.read(partial(self.ledger.history, user_id))
        with translated():
            return entries_of(links)

    def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        return self.read(partial(self.ledger.open_requests, after, limit))

    def verify(self) -> Cursor:
        """
        Re-compute the whole chain, and every record from its entries; see that the tables are as they were made.

        Returns:
            The head that all of it leads to. What else there is to say of the ledger is logged, and in `remarks`.

        Raises:
            LedgerBroken: names the first entry that is missing, altered or out of order, or the last entry if all
                fit but a record is not what its entries make.
        """
        with self._file.reading() as db:
            check_schema(db)
            head = verify(
                db.execute(f"SELECT {LINK} FROM entries ORDER BY position"),
                lambda: db.execute("SELECT user_id, record FROM records"),
                lambda user_id: run(folded(user_id), _in(db)),
                lambda: run(self.ledger.head(), _in(db)).cursor,
                sqlite3.OperationalError,
            )
        for remark in self.remarks():
            log.info("store.remark", remark=remark)
        return head

    def remarks(self) -> list[str]:
        """What there is to say of a ledger that verifies: whose its times are, who may read it, where it lies."""
        with self._file.reading() as db:
            is_tested = bool(_in(db)((str(DIALECT.tested), ())))
        return [CALLERS_CLOCK] * is_tested + ([] if self.path is None else remarks_on(self.path))

    def clock_trouble(self) -> str | None:
        """What is wrong with the machine's clock, as of the last call, so that no yes is written; None: nothing."""
        return self.ledger.clock_trouble()

    def begin_epoch(self) -> None:
        """
        Begin another epoch, for a ledger that may have been replaced by a copy: whoever knows a cursor starts anew.

        Raises:
            StoreError: it could not be written.
        """
        with self._file.writing(None) as db:
            self._file.begin(db)
            db.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (secrets.token_hex(16),))

    def close(self) -> None:
        """See `Store.close`."""
        self._file.close()

    def read(self, steps: Callable[[], Sql[T]]) -> T:
        """Run an operation of this package that only reads."""
        asked = steps()
        with self._file.reading() as db:
            return run(asked, _in(db))

    def write(self, steps: Callable[[], Sql[T]], *, has_erased: bool, key: str | None = None) -> T:
        """Run an operation of this package that writes; whether it erases, and the key that it may be repeated with."""
        asked = steps()
        with self._file.writing(key) as db:
            done = run(asked, _in(db), partial(self._file.begin, db))
            if has_erased and db.in_transaction:
                self._file.owe_scrub(db)
        self._file.scrub(has_erased=has_erased)
        return done


def _in(db: sqlite3.Connection) -> Callable[[Statement], list[Any]]:
    """How a statement is run on this connection."""
    return lambda statement: db.execute(*statement).fetchall()
