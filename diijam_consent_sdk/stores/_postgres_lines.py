"""Connections to PostgreSQL whose every wait ends with the call, and a batch of statements in one round trip."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

from ._ledger import Before, Dialect, Final, Sql, Statement
from ._postgres_errors import Late
from ._postgres_schema import CHANNEL, REQUESTING, SCHEMA, check
from ._postgres_schema import time as time_of
from ._postgres_url import parameters

T = TypeVar("T")
TICK_SECONDS = 0.05  # how late a wait may see that the call's time is up
SETUP_SECONDS = 5.0  # for the first words on a new connection
DEAD_SECONDS = 5  # of silence of the network, after which the system gives a connection up

GATHERED = (
    "SELECT user_ids, joined FROM (SELECT string_agg(user_id, chr(10)) AS user_ids,"
    " string_agg(record, ',') AS joined FROM ({}) found) gathered WHERE user_ids IS NOT NULL"
)
DIALECT = Dialect(
    head="SELECT epoch, position, hash, at, format, now FROM head",
    records=GATHERED.format("SELECT user_id, record FROM records WHERE user_id = ANY(?)"),
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
BEGIN: list[Statement] = [("BEGIN ISOLATION LEVEL READ COMMITTED", ()), ("SELECT FROM ledger FOR UPDATE", ())]
COMMIT: list[Statement] = [(f"NOTIFY {CHANNEL}", ()), ("COMMIT", ())]


def reading(steps: Sql[T]) -> Sql[T]:
    """An operation of one batch, asked as one statement: it sees one state of the database."""
    batch = next(steps)
    (rows,) = yield [_fused(batch)]
    try:
        steps.send(_apart(batch, rows))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("an operation that only reads has one batch")


def writing(steps: Sql[T]) -> Sql[T]:
    """An operation under the lock of the one writer; its final batch takes the commit along."""
    batch = next(steps)
    if isinstance(batch, Before):
        try:
            batch = steps.send((yield batch))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
    *_, rows = yield [*BEGIN, _fused(batch)]
    answers = _apart(batch, rows)
    while True:
        try:
            batch = steps.send(answers)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answers = yield (Final([*batch, *COMMIT]) if isinstance(batch, Final) else batch)


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


def alone(sql: str) -> Sql[None]:
    """One statement outside any transaction."""
    yield [(sql, ())]


@lru_cache(maxsize=64)
def spelled(sql: str) -> bytes:
    """The statement as psycopg takes it."""
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _in_a_row(batch: Sequence[Statement]) -> tuple[bytes, list[Any]]:
    """
    Several statements as one message, with their values in it. (Not psycopg's pipeline: the Flush it sends at the end
    keeps PostgreSQL from ending a transaction whose process is frozen.)
    """
    return b"; ".join(spelled(sql) for sql, _ in batch), [value for _, values in batch for value in values]


def set_up(seconds: float) -> str:
    """
    The first words on a connection. Texts and times come as psycopg reads them, whatever the role, the database or the
    environment (PGCLIENTENCODING, PGDATESTYLE) says. Who waits for the lock, or holds it and says nothing, is not
    waited for longer than a call takes; a commit is on the disk, and where the server says so on its replicas, before
    it returns.
    """
    limit = max(1, math.ceil(seconds * 1000))
    return (
        f"SET search_path = {SCHEMA}; SET client_encoding = 'UTF8'; SET datestyle = 'ISO';"
        f" SET lock_timeout = {limit}; SET idle_in_transaction_session_timeout = {limit};"
        " SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
    )


def options(url: str) -> dict[str, Any]:
    """
    How to connect. Raises as `parameters` does.
    """
    given = parameters(url)
    own = {
        "application_name": "diijam-consent", "connect_timeout": 2, "tcp_user_timeout": DEAD_SECONDS * 1000,
        "keepalives_idle": DEAD_SECONDS, "keepalives_interval": 1, "keepalives_count": DEAD_SECONDS,
    }  # fmt: skip
    return own | given | {"autocommit": True}


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


class Line(psycopg.Connection[TupleRow]):
    """A connection; `until` is the end of the call under way, on the monotonic clock."""

    until: float = math.inf

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
