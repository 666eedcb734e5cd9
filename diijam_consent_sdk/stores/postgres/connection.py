"""Connections to PostgreSQL on which no wait outlasts the call, and a batch of statements takes one round trip."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from .._retry import Failure
from ..sql.statements import CommitBatch, Row, Statement, Steps
from .dialect import qualified
from .errors import DeadlineExceeded, error_for
from .url import parameters

T = TypeVar("T")
TICK_SECONDS = 0.05  # how late a wait may notice that the call's time is up
SETUP_SECONDS = 5.0  # for the first statements on a new connection
SETTLE_SECONDS = 0.2  # to end a transaction that failed
DEAD_SECONDS = 5  # of silence of the network, after which the system gives a connection up
PREPARE_AFTER = 5  # executions of a statement
OPEN_TRANSACTION = (TransactionStatus.INTRANS, TransactionStatus.INERROR)
WAITS_FOR_REPLICAS = "SyncRepWaitForLSN"  # PostgreSQL's function that warns when the wait is cancelled
NOT_REPLICATED = "PostgreSQL was made to stop waiting for the replicas of the commit"
PEER = "SELECT pg_catalog.pg_backend_pid(), pg_catalog.inet_client_port()"  # the backend, and the port that it sees


def options(url: str) -> dict[str, Any]:
    """
    Choose how to connect. Raises as `parameters` does.
    """
    given = parameters(url)
    own: dict[str, Any] = {
        "application_name": "diijam-consent", "connect_timeout": 2, "tcp_user_timeout": DEAD_SECONDS * 1000,
        "keepalives_idle": DEAD_SECONDS, "keepalives_interval": 1, "keepalives_count": DEAD_SECONDS,
    }  # fmt: skip
    # Nothing is prepared before `is_direct` shows that it is safe. PGCLIENTENCODING must not limit what ids may hold.
    return own | given | {"client_encoding": "UTF8", "autocommit": True, "prepare_threshold": None}


def _one_message(batch: Sequence[Statement]) -> tuple[bytes, list[Any]]:
    """
    Join several statements into one message, to hold their values too. (The Flush at the end of psycopg's pipeline
    would keep PostgreSQL from ending a transaction whose process is frozen.)
    """
    return b"; ".join(qualified(sql) for sql, _ in batch), [value for _, values in batch for value in values]


def _within_deadline(
    gen: Generator[Any, Any, T], connection: DeadlineConnection | AsyncDeadlineConnection
) -> Generator[Any, Any, T]:
    """Run a wait of psycopg's; raise `DeadlineExceeded` once the call's time is up."""
    try:
        state = next(gen)
        while True:
            ready = yield state
            if time.monotonic() > connection.until:
                connection.pgconn.finish()  # the awaited result may still come, and nobody would read it
                raise DeadlineExceeded("the call's time is up")
            state = gen.send(ready)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _wait_options(timeout: float | None) -> dict[str, float]:
    return {} if timeout is None else {"timeout": timeout}  # psycopg 3.2 has no such parameter


OnError = Callable[[psycopg.Error], None]


def _note_warning(warnings: list[str], diagnostic: Diagnostic) -> None:
    if diagnostic.source_function == WAITS_FOR_REPLICAS:
        warnings.append(NOT_REPLICATED)


def _keep_warnings(connection: DeadlineConnection | AsyncDeadlineConnection) -> None:
    connection.warnings = []
    connection.add_notice_handler(partial(_note_warning, connection.warnings))


def _check_replicated(warnings: list[str]) -> None:
    """Raise `Failure` if the commit is on this server's disk and may be on no replica's, though it has to be."""
    if warnings:
        raise Failure(warnings.pop(), maybe_written=True)


def _check_time(connection: DeadlineConnection | AsyncDeadlineConnection, batch: Sequence[Statement]) -> None:
    """Raise `Failure` before a commit is sent that no time is left to wait for: its outcome would be unknown."""
    if isinstance(batch, CommitBatch) and time.monotonic() > connection.until:
        raise Failure("there was no time left to commit", maybe_written=False, is_late=True)


class DeadlineConnection(psycopg.Connection[TupleRow]):
    """
    A connection for threads. `until` is the end of the call under way, on the monotonic clock; `warnings` are those of
    its commit.
    """

    until: float = math.inf
    warnings: list[str]

    @classmethod
    def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, on_error: OnError | None = None, **options: Any
    ) -> DeadlineConnection:
        """Connect; give *on_error* the reason of a failure, which a pool would keep to itself."""
        try:
            connection = super().connect(conninfo, **options)
        except psycopg.Error as error:
            if on_error is not None:
                on_error(error)
            raise
        _keep_warnings(connection)
        return connection

    def wait(self, gen: PQGen[T], interval: float = TICK_SECONDS, timeout: float | None = None) -> T:
        """Wait, but not past the call's end."""
        return super().wait(_within_deadline(gen, self), min(interval, TICK_SECONDS), **_wait_options(timeout))

    def run_batch(self, batch: Sequence[Statement]) -> list[list[TupleRow]]:
        """Run statements in one round trip, and return the rows of each."""
        if len(batch) == 1:
            return [_rows(self.execute(qualified(batch[0][0]), batch[0][1]))]
        cursor = psycopg.ClientCursor(self).execute(*_one_message(batch))
        rows = [_rows(cursor)]
        while cursor.nextset():
            rows.append(_rows(cursor))
        return rows

    def run(self, steps: Steps[T]) -> T:
        """
        Run the batches of an operation, and return its result.

        Raises:
            Failure, StoreError: as `error_for` chooses them for an error of psycopg's.
        """
        batch = next(steps)
        while True:
            _check_time(self, batch)
            try:
                rows = self.run_batch(batch)
            except psycopg.Error as error:
                raise _error_for(error, self, batch) from None
            _check_replicated(self.warnings)
            try:
                batch = steps.send(rows)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def settle(self) -> None:
        """Roll an open transaction back; close the connection if a statement is still under way."""
        if self.info.transaction_status in OPEN_TRANSACTION:
            self.until = time.monotonic() + SETTLE_SECONDS
            with suppress(psycopg.Error):
                self.execute("ROLLBACK")
        if self.info.transaction_status != TransactionStatus.IDLE:
            self.pgconn.finish()


class AsyncDeadlineConnection(psycopg.AsyncConnection[TupleRow]):
    """`DeadlineConnection` for asyncio."""

    until: float = math.inf
    warnings: list[str]

    @classmethod
    async def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, on_error: OnError | None = None, **options: Any
    ) -> AsyncDeadlineConnection:
        """See `DeadlineConnection.connect`."""
        try:
            connection = await super().connect(conninfo, **options)
        except psycopg.Error as error:
            if on_error is not None:
                on_error(error)
            raise
        _keep_warnings(connection)
        return connection

    async def wait(  # the signature is psycopg's
        self,
        gen: PQGen[T],
        interval: float = TICK_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> T:
        """Wait, but not past the call's end."""
        return await super().wait(_within_deadline(gen, self), min(interval, TICK_SECONDS), **_wait_options(timeout))

    async def run_batch(self, batch: Sequence[Statement]) -> list[list[TupleRow]]:
        """See `DeadlineConnection.run_batch`."""
        if len(batch) == 1:
            return [await _rows_async(await self.execute(qualified(batch[0][0]), batch[0][1]))]
        cursor = await psycopg.AsyncClientCursor(self).execute(*_one_message(batch))
        rows = [await _rows_async(cursor)]
        while cursor.nextset():
            rows.append(await _rows_async(cursor))
        return rows

    async def run(self, steps: Steps[T]) -> T:
        """See `DeadlineConnection.run`."""
        batch = next(steps)
        while True:
            _check_time(self, batch)
            try:
                rows = await self.run_batch(batch)
            except psycopg.Error as error:
                raise _error_for(error, self, batch) from None
            _check_replicated(self.warnings)
            try:
                batch = steps.send(rows)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    async def settle(self) -> None:
        """See `DeadlineConnection.settle`."""
        if self.info.transaction_status in OPEN_TRANSACTION:
            self.until = time.monotonic() + SETTLE_SECONDS
            with suppress(psycopg.Error):
                await self.execute("ROLLBACK")
        if self.info.transaction_status != TransactionStatus.IDLE:
            self.pgconn.finish()


AnyConnection = DeadlineConnection | AsyncDeadlineConnection


def _rows(cursor: psycopg.Cursor[TupleRow]) -> list[TupleRow]:
    return cursor.fetchall() if cursor.description else []


async def _rows_async(cursor: psycopg.AsyncCursor[TupleRow]) -> list[TupleRow]:
    return await cursor.fetchall() if cursor.description else []


def _error_for(error: psycopg.Error, connection: AnyConnection, batch: list[Statement]) -> Exception:
    is_lost = connection.closed
    standby = None if is_lost else connection.info.parameter_status("in_hot_standby")  # None before PostgreSQL 14
    return error_for(
        error,
        is_lost=is_lost,
        maybe_written=isinstance(batch, CommitBatch),
        is_replica=None if standby is None else standby == "on",
    )


def is_shared(connection: AnyConnection, peer: Row | None) -> bool:
    """Find out by the row of `PEER` whether a pooler is in between, so that another backend answers than at first."""
    return peer is None or peer[0] != connection.info.backend_pid


def is_direct(connection: AnyConnection, peer: Row) -> bool:
    """
    Find out by the row of `PEER` whether statements may be prepared. On a connection that a pool shares, a name may
    mean another program's statement, which would be run in place of ours. So the server must also see the address of
    this very socket.
    """
    if is_shared(connection, peer):
        return False
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as own:
            name = own.getsockname()
    except OSError:
        return False
    return bool(peer[1] == (name[1] if isinstance(name, tuple) else None))


def is_alive(connection: AnyConnection) -> bool:
    """Find out, without asking the server, whether an idle connection has ended."""
    try:
        for _ in ("the server's last message", "the end"):
            connection.pgconn.consume_input()
    except psycopg.Error:
        connection.pgconn.finish()
    return not connection.closed
