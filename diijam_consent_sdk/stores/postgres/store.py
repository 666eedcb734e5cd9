"""A ledger in PostgreSQL, shared by any number of machines: a store for threads and one for asyncio."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, PoolTimeout

from ..._logging import log
from ...errors import StoreError, StoreUnavailable, StoreUnusable
from ...events import Event, LedgerEntry
from .._fork_safety import gate, leak
from .._retry import Attempts, Failure
from ..protocol import Appended, Changes, Cursor, Loaded, OpenRequests, checked_ids
from ..sql.dialect import entries_of, history_query, rows_translated
from ..sql.operations import Clock, Operations
from ..sql.repeats import LongFolds, Repeat, rebuild
from ..sql.statements import CommitBatch, Query, Statement, Steps, Transaction
from ..sql.store import SqlStore
from ..sql.verify import ALL_LINKS, ALL_RECORDS, refold_query, verify
from .connection import (
    DIALECT,
    PEER,
    PREPARE_AFTER,
    SETUP_SECONDS,
    AsyncLine,
    Line,
    alone,
    beginning,
    is_alive,
    is_direct,
    options,
    reading,
    spelled,
    writing,
)
from .errors import NO_LEDGER, meaning, translated, unreached
from .listener import AsyncNews, News
from .schema import SCHEMA, check, prepare
from .tables import TABLES, check_tables

__all__ = ["AsyncPostgresStore", "PostgresStore", "prepare"]

T = TypeVar("T")
NO_CONNECTION = (PoolTimeout, PoolClosed)
UNREACHED = "PostgreSQL did not answer in time, or every connection is in use"
CLOSED = "the store is closed: make a new one"
VACUUM = f"VACUUM {SCHEMA}.entries, {SCHEMA}.records, {SCHEMA}.appends"
SET_UP: list[Statement] = [(PEER, ()), ("SELECT NULL, NULL, NULL, NULL, format FROM ledger", ()), (TABLES, ())]
SETTLE_SECONDS = 0.2  # to end a transaction that failed
UNSETTLED = (TransactionStatus.INTRANS, TransactionStatus.INERROR)


class _Settings:
    """What both stores have: where the ledger is, and how a call is tried."""

    def __init__(
        self,
        url: str,
        *,
        deadline: float = 1.0,
        connections: int = 10,
        listen_url: str | None = None,
    ) -> None:
        self._deadline = deadline
        self._options = options(url)
        self._listening = options(url if listen_url is None else listen_url)
        self._may_be_shared = listen_url is None
        self._beginning = beginning(deadline)
        # A new connection is tried for once: whoever waits for it tries again itself, as long as its call has time.
        self._pooled: dict[str, Any] = {
            "kwargs": self._options | {"note": self._note}, "min_size": 0, "max_size": connections, "open": False,
            "num_workers": 2, "reconnect_timeout": 0.0, "name": "diijam-consent",
        }  # fmt: skip
        self._trouble: StoreError | Failure | None = None  # why the last try to connect failed
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self._is_closed else 'open'}>"

    def _attempts(self, key: str | None = None) -> Attempts:
        return Attempts(self._deadline, idempotency_key=key or "")

    def _note(self, error: psycopg.Error) -> None:
        self._trouble = Failure(unreached(error) or UNREACHED, maybe_written=False)

    @contextmanager
    def _setting_up(self, line: Line | AsyncLine) -> Iterator[None]:
        """What goes wrong on a new connection ends it, and is kept for those who wait for one."""
        line.until = time.monotonic() + SETUP_SECONDS
        try:
            with translated():
                yield
        except StoreError as error:
            line.pgconn.finish()
            self._trouble = error
            raise
        self._trouble = None

    def _no_connection(self) -> Exception:
        """What to raise where none came in time."""
        trouble = self._trouble
        if isinstance(trouble, StoreUnusable):
            return type(trouble)(*trouble.args)
        return Failure(UNREACHED if trouble is None else str(trouble), maybe_written=False)

    def _begin_call(self, attempts: Attempts) -> float:
        """How long one try may wait for a connection: a part of the time left, so that another try can follow."""
        if self._is_closed:
            raise StoreUnavailable(CLOSED)
        return max(0.01, min(attempts.seconds_left(), self._deadline / 3))


class PostgresStore(_Settings, SqlStore):
    """
    A store in the PostgreSQL database at *url*, made by `diijam-consent init`: for any number of processes on any
    number of machines.

    Safe to use from several threads; a forked child opens its own connections. Each call ends within *deadline* (a long
    poll: its wait and *deadline*). What may be repeated is tried again within it: after lost connections and failovers,
    and when transactions were in each other's way.

    Args:
        url: `postgresql://user@host/database?sslmode=verify-full`, as libpq takes it; several hosts with
            `target_session_attrs=read-write`.

        clock: The wall clock that stamps entries: returns an aware datetime. Unless given, the database's own.

        deadline: Seconds for one call.

        connections: How many connections to keep at most, beside one that listens.

        listen_url: Where to listen for news of appends, if *url* leads through a pool that shares connections between
            transactions: a URL that leads past it.

    Raises:
        ValueError: the URL is malformed, or leads to another host and asks for no TLS.

        StoreUnusable: the database holds no ledger, or one of another version. (A database that cannot be reached just
            now raises when it is used.)
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        deadline: float = 1.0,
        connections: int = 10,
        listen_url: str | None = None,
    ) -> None:
        _Settings.__init__(self, url, deadline=deadline, connections=connections, listen_url=listen_url)
        SqlStore.__init__(self, DIALECT, clock)
        self._begin()
        gate.register(self)
        with suppress(StoreUnavailable), _tried_once(), translated(), self._connect() as line:
            self._configure(line)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._pool: ConnectionPool[Line] | None = None
        self._lock = threading.Lock()
        self._listen()

    def _listen(self) -> None:
        # Not a method of this store, which could never be let go if what listens for it knew it.
        self._news = News(partial(Line.connect, **self._listening), may_be_shared=self._may_be_shared)
        weakref.finalize(self, self._news.close)

    def verify(self) -> Cursor:
        """See `SqliteStore.verify`. Reads the whole ledger, as it is at one moment, with a connection of its own."""
        with translated(), _tried_once(), self._connect() as line:
            self._configure(line)
            line.until = math.inf
            line.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            line.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            with line.cursor("links") as links, line.cursor("records") as records:
                return verify(
                    links.execute(spelled(ALL_LINKS)),
                    lambda: records.execute(spelled(ALL_RECORDS)),
                    lambda user_id: _run_on(line, reading(refold_query(user_id))),
                    lambda: _run_on(line, reading(self._operations.head())).cursor,
                    psycopg.InternalError,
                )

    def close(self) -> None:
        """See `Store.close`."""
        self._is_closed = True
        self.release()

    def release(self) -> None:
        """Close the connections that are idle now, those in use when they come back; a later call opens its own."""
        if self._pid != os.getpid():
            return
        self._news.close()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(timeout=1)
        if not self._is_closed:
            self._listen()

    def reset_after_fork(self) -> None:
        """In a forked child: start with no connection. Closing what came along would end the parent's."""
        leak(self._pool, self._news)
        self._begin()

    def _connect(self) -> Line:
        return Line.connect(**self._options)

    def _opened(self) -> ConnectionPool[Line]:
        if self._pid != os.getpid():  # forked, and the hooks never ran
            self.reset_after_fork()
        with self._lock:
            if self._is_closed:  # since the call began: nobody would close another pool
                raise StoreUnavailable(CLOSED)
            if self._pool is None:
                self._pool = ConnectionPool(connection_class=Line, configure=self._configure, **self._pooled)
                self._pool.open()
            return self._pool

    def _configure(self, line: Line) -> None:
        with self._setting_up(line):
            _see(line, line.rows_of(SET_UP))

    def _read(self, query: Query[T]) -> T:
        return self._run(lambda: reading(query), self._attempts())

    def _write(self, transaction: Transaction[T]) -> T:
        attempts = self._attempts(transaction.idempotency_key)
        done = self._run(lambda: writing(self._beginning, transaction.start()), attempts)
        if transaction.is_erasure:
            self._scrub(attempts)
        return done

    def _watch(self) -> Callable[[float], object]:
        return partial(self._news.wait, self._news.next())

    def _run(self, steps: Callable[[], Steps[T]], attempts: Attempts) -> T:
        def attempt() -> T:
            with gate.call(), translated():
                return self._try(steps(), attempts)

        return attempts.run(attempt)

    def _try(self, steps: Steps[T], attempts: Attempts) -> T:
        share = self._begin_call(attempts)
        pool = self._opened()
        try:
            while not is_alive(line := pool.getconn(share)):  # after a restart all may be dead: no reason to pause
                pool.putconn(line)
        except NO_CONNECTION:
            raise self._no_connection() from None
        try:
            line.until = attempts.until
            return _run_on(line, steps)
        finally:
            try:
                _settle(line)
            finally:
                pool.putconn(line)

    def _scrub(self, attempts: Attempts) -> None:
        """
        Have PostgreSQL clear away what was erased. What is in the way postpones it to its own autovacuum: the erasure
        is durable already, so this never raises for the world.
        """
        try:
            self._run(lambda: alone(VACUUM), attempts)
        except StoreError as error:
            log.warning("store.scrub_postponed", error=type(error).__name__)


def _run_on(line: Line, steps: Steps[T]) -> T:
    batch = next(steps)
    while True:
        try:
            rows = line.rows_of(batch)
        except psycopg.Error as error:
            raise _meaning(error, line, batch) from None
        try:
            batch = steps.send(rows)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def _see(line: Line | AsyncLine, rows: list[list[Any]]) -> None:
    """Whether a new connection is to a ledger of ours, and may prepare statements."""
    (peer,), formats, tables = rows
    if not formats:
        raise StoreUnusable(NO_LEDGER)
    check(formats[0])
    check_tables(tables)
    line.prepare_threshold = PREPARE_AFTER if is_direct(line, peer) else None


@contextmanager
def _tried_once() -> Iterator[None]:
    try:
        yield
    except Failure as failure:
        raise StoreUnavailable(f"{failure.why}: try again") from None


def _settle(line: Line) -> None:
    """Leave no transaction open; close what is amid a statement still."""
    if line.info.transaction_status in UNSETTLED:
        line.until = time.monotonic() + SETTLE_SECONDS
        with suppress(psycopg.Error):
            line.execute("ROLLBACK")
    if line.info.transaction_status != TransactionStatus.IDLE:
        line.pgconn.finish()


def _meaning(error: psycopg.Error, line: Line | AsyncLine, batch: list[Statement]) -> Exception:
    return meaning(error, is_lost=line.closed, maybe_written=isinstance(batch, CommitBatch))


class AsyncPostgresStore(_Settings):
    """`PostgresStore` for asyncio: its methods are coroutines. Belongs to the event loop it is first used in."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        deadline: float = 1.0,
        connections: int = 10,
        listen_url: str | None = None,
    ) -> None:
        super().__init__(url, deadline=deadline, connections=connections, listen_url=listen_url)
        self._operations = Operations(DIALECT, clock)
        self._long_folds = LongFolds()
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._pool: AsyncConnectionPool[AsyncLine] | None = None
        self._news = AsyncNews(partial(AsyncLine.connect, **self._listening), may_be_shared=self._may_be_shared)

    def clock_trouble(self) -> str | None:
        """See `SqlStore.clock_trouble`."""
        return self._operations.clock_trouble()

    async def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        return await self._read(self._operations.load(checked_ids(user_ids)))

    async def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Appended:
        """See `Store.append`."""
        done = await self._write(self._operations.append(user_id, events, expected_version, idempotency_key))
        return await self._repeated(done) if isinstance(done, Repeat) else done

    async def _repeated(self, repeat: Repeat) -> Appended:
        found = await self._read(self._operations.repeated(repeat))
        if isinstance(found, Appended):
            return found
        with self._long_folds.folding(found.version), rows_translated():
            links = await self._read(history_query(found.user_id, found.version))
            return await asyncio.to_thread(rebuild, found, links)

    async def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        started = time.monotonic()
        while True:
            news = self._news.next() if wait > 0 else None
            waited = time.monotonic() - started
            found = await self._read(self._operations.changes(after, limit, waited))
            if found.cursor != after or news is None or not waited < wait:
                return found
            await self._news.wait(news, wait - waited)

    async def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        links = await self._read(self._operations.history(user_id))
        with rows_translated():
            return await asyncio.to_thread(entries_of, links)

    async def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        return await self._read(self._operations.open_requests(after, limit))

    async def close(self) -> None:
        """See `Store.close`."""
        self._is_closed = True
        if self._pid == os.getpid():
            await self._news.close()
            if self._pool is not None:
                await self._pool.close(timeout=1)

    async def _opened(self) -> AsyncConnectionPool[AsyncLine]:
        if self._pid != os.getpid():
            leak(self._pool, self._news)
            self._begin()
        if self._pool is None:
            self._pool = AsyncConnectionPool(connection_class=AsyncLine, configure=self._configure, **self._pooled)
        if self._pool.closed:
            await self._pool.open()
        return self._pool

    async def _configure(self, line: AsyncLine) -> None:
        with self._setting_up(line):
            _see(line, await line.rows_of(SET_UP))

    async def _read(self, query: Query[T]) -> T:
        return await self._run(lambda: reading(query), self._attempts())

    async def _write(self, transaction: Transaction[T]) -> T:
        attempts = self._attempts(transaction.idempotency_key)
        done = await self._run(lambda: writing(self._beginning, transaction.start()), attempts)
        if transaction.is_erasure:
            await self._scrub(attempts)
        return done

    async def _run(self, steps: Callable[[], Steps[T]], attempts: Attempts) -> T:
        async def attempt() -> T:
            with translated():
                return await self._try(steps(), attempts)

        return await attempts.run_async(attempt)

    async def _try(self, steps: Steps[T], attempts: Attempts) -> T:
        share = self._begin_call(attempts)
        pool = await self._opened()
        try:
            while not is_alive(line := await pool.getconn(share)):
                await pool.putconn(line)
        except NO_CONNECTION:
            raise self._no_connection() from None
        try:
            line.until = attempts.until
            return await _run_on_async(line, steps)
        finally:
            try:
                await _settle_async(line)
            finally:
                await pool.putconn(line)

    async def _scrub(self, attempts: Attempts) -> None:
        """See `PostgresStore._scrub`."""
        try:
            await self._run(lambda: alone(VACUUM), attempts)
        except StoreError as error:
            log.warning("store.scrub_postponed", error=type(error).__name__)


async def _run_on_async(line: AsyncLine, steps: Steps[T]) -> T:
    batch = next(steps)
    while True:
        try:
            rows = await line.rows_of(batch)
        except psycopg.Error as error:
            raise _meaning(error, line, batch) from None
        try:
            batch = steps.send(rows)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


async def _settle_async(line: AsyncLine) -> None:
    """See `_settle`."""
    if line.info.transaction_status in UNSETTLED:
        line.until = time.monotonic() + SETTLE_SECONDS
        with suppress(psycopg.Error):
            await line.execute("ROLLBACK")
    if line.info.transaction_status != TransactionStatus.IDLE:
        line.pgconn.finish()
