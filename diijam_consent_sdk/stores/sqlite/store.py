"""A ledger in one SQLite file, shared by the threads and processes of one machine."""

from __future__ import annotations

import math
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing, suppress
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from ..._logging import log
from ...errors import StoreError, StoreUnusable
from .._retry import Attempts
from ..answers import Appended, Cursor, Standings
from ..checks import checked_ids
from ..sql.append_plans import AppendOutcome, PlannedAppend, SettledAppend, has_erased
from ..sql.group_commit import Group, GroupCommit, error_of
from ..sql.notices import ALL_NOTICES
from ..sql.operations import Clock
from ..sql.repeats import Repeat
from ..sql.statements import CommitBatch, Query, Statement, Steps, Transaction, UnlockedBatch, merged
from ..sql.store import SqlStore
from ..sql.verify import ALL_LINKS, ALL_RECORDS, refold_query, verify
from .database import Database, FileDatabase, run_query
from .dialect import DIALECT
from .errors import DAMAGED
from .file_systems import remarks_on
from .one_standing import one_standing
from .schema import check_schema

T = TypeVar("T")
LOOK_FOR_NEWS_SECONDS = 0.02  # between two looks of a long poll, as nothing tells it what another process wrote


class SqliteDatabaseStore(SqlStore):
    """
    A store over a SQLite database, in a file or in memory. Safe to use from several threads.

    Attributes:
        path: The file; None for a ledger in memory.
    """

    path: Path | None

    def __init__(self, database: Database, clock: Clock | None) -> None:
        super().__init__(DIALECT, clock)
        self._database = database
        self._groups = GroupCommit(database.writers, database.turn_seconds)
        self.path = database.path

    def verify(self, *, since: str | None = None) -> Cursor:
        """
        Re-compute the whole chain, and each record and standing from its entries; check that the tables are as they
        were made.

        Args:
            since: A head that was kept (`client.head()`), which the ledger has to continue, whatever its epoch.

        Returns:
            The head that all of it leads to. `remarks` are logged.

        Raises:
            LedgerBroken: names the first entry that is missing, altered or out of order, or the last entry if all
                fit but a record is not what its entries make, or the user's last if a standing is not.

            HeadNotContinued: the ledger was cut short, replaced or forged since *since* was its head.

            ValueError: *since* is no head.
        """
        with self._database.reading() as db, ExitStack() as cursors:

            def rows(sql: str) -> sqlite3.Cursor:
                # While one is open its connection sees the database as it was, and an error that is kept keeps it open.
                return cursors.enter_context(closing(db.execute(sql)))

            check_schema(db)
            head = verify(
                rows(ALL_LINKS),
                lambda: rows(ALL_RECORDS),
                lambda user_id: run_query(db, refold_query(user_id)),
                lambda: run_query(db, self._operations.head()),
                notices=rows(ALL_NOTICES),
                unreadable=sqlite3.OperationalError,
                since=since,
            )
            if db.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:  # an index that lacks rows hides them
                raise StoreUnusable(DAMAGED)
        for remark in self.remarks():
            log.info("store.remark", remark=remark)
        return head

    def remarks(self) -> list[str]:
        """List what an operator should know of a ledger that verifies: its clock, its file's mode and file system."""
        return super().remarks() + ([] if self.path is None else remarks_on(self.path))

    def begin_epoch(self) -> None:
        """
        Begin another epoch, for a ledger that may have been replaced by a copy: clients load all their users again.

        Raises:
            StoreError: it could not be written.
        """
        with self._database.writing(None) as db:
            self._database.begin_write(db)
            db.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (secrets.token_hex(16),))

    def close(self) -> None:
        """See `Store.close`."""
        self._database.close()

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        ids = checked_ids(user_ids)
        if len(ids) == 1:
            with suppress(StoreUnusable):  # the statement for several says better what is wrong
                if (found := self._database.run(one_standing(self._operations, ids[0]))) is not None:
                    return found
        return super().standings(ids)

    def _read(self, query: Query[T]) -> T:
        with self._database.reading() as db:
            return run_query(db, query)

    def _write(self, transaction: Transaction[T]) -> T:
        with self._database.writing(transaction.idempotency_key) as db:
            result = self._run_steps(db, transaction.start())
        self._database.scrub(has_erased=transaction.is_erasure)
        return result

    def _append(self, plan: PlannedAppend) -> AppendOutcome:
        attempts = Attempts(math.inf, is_repeatable=False, idempotency_key=plan.idempotency_key or "")
        outcome = attempts.run(lambda: self._groups.append(plan, attempts.until, self._write_group))
        self._database.scrub(has_erased=has_erased([plan], [outcome]))
        return outcome

    def _append_many(self, plans: list[PlannedAppend]) -> list[AppendOutcome]:
        return self._write(self._appends.write(plans))

    def append_together(self, plans: list[PlannedAppend]) -> list[SettledAppend]:
        """
        Write appends that erase nobody, in one transaction as from as many threads. `answer` answers the repeats.

        Returns:
            The outcome of each. The error of one that is refused, or that could not be written, is not raised.
        """
        group = Group(plans, math.inf)
        try:
            with self._database.writers.take_turn(self._database.turn_seconds):
                outcomes = self._write_group(group)
        except Exception as error:  # noqa: BLE001 - each has its own
            if group.is_tried_again(error):
                return [outcome for plan in plans for outcome in self.append_together([plan])]
            return [error_of(error, plan) for plan in plans]
        self._database.scrub()
        return list(outcomes)

    def answer(self, repeat: Repeat) -> Appended:
        """Answer an append that is repeated. Raises as `Store.append` does."""
        return self._repeated(repeat)

    def _write_group(self, group: Group) -> list[AppendOutcome]:
        with self._database.committing(None) as db:
            return self._run_steps(db, group.run(self._appends.write(group.plans)))

    def _run_steps(self, db: sqlite3.Connection, steps: Steps[T]) -> T:
        try:
            batch = next(steps)
            while True:
                if not (db.in_transaction or isinstance(batch, UnlockedBatch)):
                    self._database.begin_write(db)
                batch = steps.send(self._run_batch(db, batch))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _run_batch(self, db: sqlite3.Connection, batch: list[Statement]) -> list[list[Any]]:
        if not isinstance(batch, CommitBatch):
            return [db.execute(*statement).fetchall() for statement in batch]
        for statement in merged(batch):
            db.execute(*statement)
        if batch.is_erasure:
            self._database.mark_scrub_due(db)
        return []

    def _watch(self) -> Callable[[float], object]:
        return lambda seconds: self._database.pause(min(LOOK_FOR_NEWS_SECONDS, seconds))


class SqliteStore(SqliteDatabaseStore):
    """
    A store in the SQLite file at *path*: WAL, synchronous=FULL, one writer at a time, readers beside it.

    Safe to use from several threads, and by several processes on one file; a forked child opens its own connections.
    Erased content is overwritten in the file as well (secure_delete, and the write-ahead log truncated).

    Args:
        path: The file. It is made if it is missing, unless *create* is false.

        clock: Stamps entries in place of the machine's clock, in tests; returns an aware datetime. A remark of
            `verify` shows for ever that one was used.

        busy_seconds: How long a call waits for another process's lock before it raises `StoreUnavailable`.

        create: Whether to make a missing file.

    Attributes:
        path: The file.

    Raises:
        StoreUnusable: the file is damaged, another program's, or of a newer version of this library.

        StoreUnavailable: the file cannot be opened. (One that is only locked just now raises when it is used.)
    """

    path: Path
    _database: FileDatabase

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        clock: Clock | None = None,
        busy_seconds: float = 0.9,
        create: bool = True,
    ) -> None:
        super().__init__(FileDatabase(path, busy_seconds=busy_seconds, create=create), clock)

    def standing_at_once(self, user_id: str) -> Standings | None:
        """
        Read one user's standing if that waits for nobody.

        Args:
            user_id: The user's id, which was checked.

        Returns:
            What `standings` returns; None if only that method can tell it, or what is wrong.
        """
        try:
            return self._database.run_at_once(one_standing(self._operations, user_id))
        except StoreError:
            return None  # `standings` says what is wrong
