"""Connections to PostgreSQL whose every wait ends with the call, and a batch of statements in one round trip."""

from __future__ import annotations

import math
import os
import re
import socket
import time
from collections.abc import Callable, Generator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

from ..protocol import MAX_LOAD_BYTES
from ..sql.dialect import Dialect
from ..sql.statements import CommitBatch, Query, Row, Statement, Steps, UnlockedBatch
from .errors import Late
from .schema import CHANNEL, HEAD, REQUESTING, SCHEMA, check
from .schema import time as time_of
from .url import parameters

T = TypeVar("T")
TICK_SECONDS = 0.05  # how late a wait may see that the call's time is up
SETUP_SECONDS = 5.0  # for the first words on a new connection
PREPARE_AFTER = 5  # times that a statement was run
PEER = "SELECT pg_catalog.pg_backend_pid(), pg_catalog.inet_client_port()"  # who answers, and whom it sees
DEAD_SECONDS = 5  # of silence of the network, after which the system gives a connection up

# Each name in a statement says its schema: a pool's connections may carry another program's search_path. (`position`
# and `extract` are syntax, which means PostgreSQL's own.)
TABLES = re.compile(r"\b(FROM|INTO|UPDATE) (entries|records|appends|ledger)\b")
GATHERED = (
    "SELECT user_ids, joined FROM (SELECT pg_catalog.string_agg(user_id, pg_catalog.chr(10)) AS user_ids,"
    " pg_catalog.string_agg(record, ','::bytea) AS joined FROM ({}) found) gathered WHERE user_ids IS NOT NULL"
)
DIALECT = Dialect(
    head=HEAD,
    records=GATHERED.format("SELECT user_id, record FROM records WHERE user_id = ANY(?)"),
    bounded=GATHERED.format(
        f"SELECT user_id, CASE WHEN sum(octet_length(record)) OVER () <= {MAX_LOAD_BYTES} THEN record END AS record"  # noqa: S608
        " FROM records WHERE user_id = ANY(?)"
    ),
    asked=list,
    put_record="INSERT INTO records VALUES (?, ?) ON CONFLICT (user_id) DO UPDATE SET record = EXCLUDED.record",
    requesting=GATHERED.format(
        f"SELECT user_id, record FROM records WHERE user_id > ? AND {REQUESTING} ORDER BY user_id LIMIT ?"  # noqa: S608
    ),
    advance="UPDATE ledger SET position = ?, hash = ?, at = ?",
    time=time_of,
    check=check,
)

# It reads committed rows: each statement after the lock must see what the writer before it committed.
BEGIN: Statement = ("BEGIN ISOLATION LEVEL READ COMMITTED", ())
DURABLE = (
    "SELECT pg_catalog.set_config('synchronous_commit', 'on', true)"
    " WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local')"
)
LOCK: Statement = ("SELECT FROM ledger FOR UPDATE", ())
COMMIT: list[Statement] = [(f"NOTIFY {CHANNEL}", ()), ("COMMIT", ())]


def reading(query: Query[T]) -> Steps[T]:
    """A query as one statement: it sees one state of the database."""
    (rows,) = yield [_fused(query.statements)]
    return query.parse(*_apart(query.statements, rows))


def writing(begin: list[Statement], steps: Steps[T]) -> Steps[T]:
    """A transaction under the lock of the one writer, which *begin* takes; its last batch takes the commit along."""
    batch = next(steps)
    if isinstance(batch, UnlockedBatch):
        try:
            batch = steps.send((yield batch))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
    *_, rows = yield [*begin, _fused(batch)]
    answers = _apart(batch, rows)
    while True:
        try:
            batch = steps.send(answers)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answers = yield (CommitBatch([*batch, *COMMIT]) if isinstance(batch, CommitBatch) else batch)


def _fused(batch: list[Statement]) -> Statement:
    """
    One statement in place of several, of which all but the last give at most one row, and none a NULL in its first
    column: a statement of its own for each would be a round trip, or a state of the database, of its own.
    """
    if len(batch) == 1:
        return batch[0]
    return _joined(tuple(sql for sql, _ in batch)), tuple(value for _, values in batch for value in values)


@lru_cache(maxsize=64)
def _joined(parts: tuple[str, ...]) -> str:
    return "SELECT * FROM " + " LEFT JOIN ".join(f"({sql}) q{n}" + " ON true" * (n > 0) for n, sql in enumerate(parts))  # noqa: S608 - our own


def _apart(batch: list[Statement], rows: list[Any]) -> list[list[Any]]:
    """The rows of each statement that was fused."""
    if len(batch) == 1:
        return [rows]
    answers, start = [], 0
    for number, (sql, _) in enumerate(batch, start=1):
        end = start + _width(sql)
        own = rows if number == len(batch) else rows[:1]
        answers.append([row[start:end] for row in own if row[start] is not None])
        start = end
    return answers


@lru_cache(maxsize=64)
def _width(sql: str) -> int:
    """How many columns a statement of ours gives: it names them all, between SELECT and FROM."""
    return sql[: sql.index(" FROM ")].count(",") + 1


def alone(sql: str) -> Steps[None]:
    """One statement outside any transaction."""
    yield [(sql, ())]


@lru_cache(maxsize=64)
def spelled(sql: str) -> bytes:
    """The statement as psycopg takes it, its tables by their full names."""
    return TABLES.sub(rf"\1 {SCHEMA}.\2", sql).replace("%", "%%").replace("?", "%s").encode()


def _in_a_row(batch: Sequence[Statement]) -> tuple[bytes, list[Any]]:
    """
    Several statements as one message, with their values in it. (Not psycopg's pipeline: the Flush it sends at the end
    keeps PostgreSQL from ending a transaction whose process is frozen.)
    """
    return b"; ".join(spelled(sql) for sql, _ in batch), [value for _, values in batch for value in values]


def beginning(seconds: float) -> list[Statement]:
    """
    What begins a transaction that writes. Its settings end with it, as connections may be shared. Who waits for the
    lock, or holds it and says nothing, is not waited for longer than a call takes; a commit is on the disk, and where
    the server says so on its replicas, before it returns.
    """
    limit = max(1, math.ceil(seconds * 1000))
    settings = (
        f"SET LOCAL lock_timeout = {limit}",
        f"SET LOCAL idle_in_transaction_session_timeout = {limit}",
        DURABLE,
    )
    return [BEGIN, *((setting, ()) for setting in settings), LOCK]


def options(url: str) -> dict[str, Any]:
    """
    How to connect. Raises as `parameters` does.
    """
    given = parameters(url)
    own: dict[str, Any] = {
        "application_name": "diijam-consent", "connect_timeout": 2, "tcp_user_timeout": DEAD_SECONDS * 1000,
        "keepalives_idle": DEAD_SECONDS, "keepalives_interval": 1, "keepalives_count": DEAD_SECONDS,
    }  # fmt: skip
    # Nothing is prepared before it is known to be safe: see `is_direct`. Ids are any text: see PGCLIENTENCODING.
    return own | given | {"client_encoding": "UTF8", "autocommit": True, "prepare_threshold": None}


def _within(gen: Generator[Any, Any, T], line: Line | AsyncLine) -> Generator[Any, Any, T]:
    """A wait of psycopg's that raises `Late` once the call's time is up."""
    try:
        state = next(gen)
        while True:
            ready = yield state
            if time.monotonic() > line.until:
                line.pgconn.finish()  # what it waits for may still come, to nobody
                raise Late("the call's time is up")
            state = gen.send(ready)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _given(timeout: float | None) -> dict[str, float]:
    return {} if timeout is None else {"timeout": timeout}  # psycopg 3.2 knows none


Note = Callable[[psycopg.Error], None]


class Line(psycopg.Connection[TupleRow]):
    """A connection; `until` is the end of the call under way, on the monotonic clock."""

    until: float = math.inf

    @classmethod
    def connect(cls, conninfo: str = "", *, note: Note | None = None, **options: Any) -> Line:  # type: ignore[override]
        """Connect, or say to *note* why that failed: a pool keeps it to itself."""
        try:
            return super().connect(conninfo, **options)
        except psycopg.Error as error:
            if note is not None:
                note(error)
            raise

    def wait(self, gen: PQGen[T], interval: float = TICK_SECONDS, timeout: float | None = None) -> T:
        """Wait, but not past the call's end."""
        return super().wait(_within(gen, self), min(interval, TICK_SECONDS), **_given(timeout))

    def rows_of(self, batch: Sequence[Statement]) -> list[list[TupleRow]]:
        """What these statements give, all in one round trip."""
        if len(batch) == 1:
            return [_rows(self.execute(spelled(batch[0][0]), batch[0][1]))]
        cursor = psycopg.ClientCursor(self).execute(*_in_a_row(batch))
        answers = [_rows(cursor)]
        while cursor.nextset():
            answers.append(_rows(cursor))
        return answers


def is_shared(line: Line | AsyncLine, peer: Row | None) -> bool:
    """Whether a pooler is in between, by the row of `PEER`: who answers is not who said hello."""
    return peer is None or peer[0] != line.info.backend_pid


def is_direct(line: Line | AsyncLine, peer: Row) -> bool:
    """
    Whether statements may be prepared: on a connection that a pool shares, its name may mean another program's
    statement, which would be run in place of ours. So the server must see this very connection's end, too.
    """
    if is_shared(line, peer):
        return False
    try:
        with socket.socket(fileno=os.dup(line.fileno())) as own:
            name = own.getsockname()
    except OSError:
        return False
    return bool(peer[1] == (name[1] if isinstance(name, tuple) else None))


def is_alive(line: Line | AsyncLine) -> bool:
    """Whether a connection that was idle is not known to have ended: a look at what was heard, no question asked."""
    try:
        for _ in ("the server's last words", "the end"):
            line.pgconn.consume_input()
    except psycopg.Error:
        line.pgconn.finish()
    return not line.closed


def _rows(cursor: psycopg.Cursor[TupleRow]) -> list[TupleRow]:
    return cursor.fetchall() if cursor.description else []


async def _async_rows(cursor: psycopg.AsyncCursor[TupleRow]) -> list[TupleRow]:
    return await cursor.fetchall() if cursor.description else []


class AsyncLine(psycopg.AsyncConnection[TupleRow]):
    """`Line` for asyncio."""

    until: float = math.inf

    @classmethod
    async def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, note: Note | None = None, **options: Any
    ) -> AsyncLine:
        """See `Line.connect`."""
        try:
            return await super().connect(conninfo, **options)
        except psycopg.Error as error:
            if note is not None:
                note(error)
            raise

    async def wait(  # the signature is psycopg's
        self,
        gen: PQGen[T],
        interval: float = TICK_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> T:
        """Wait, but not past the call's end."""
        return await super().wait(_within(gen, self), min(interval, TICK_SECONDS), **_given(timeout))

    async def rows_of(self, batch: Sequence[Statement]) -> list[list[TupleRow]]:
        """What these statements give, all in one round trip."""
        if len(batch) == 1:
            return [await _async_rows(await self.execute(spelled(batch[0][0]), batch[0][1]))]
        cursor = await psycopg.AsyncClientCursor(self).execute(*_in_a_row(batch))
        answers = [await _async_rows(cursor)]
        while cursor.nextset():
            answers.append(await _async_rows(cursor))
        return answers
