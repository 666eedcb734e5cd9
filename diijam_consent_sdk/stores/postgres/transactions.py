"""How queries and transactions of a ledger run in few round trips: which batches are sent, without a connection."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, TypeVar

from ..sql.statements import CommitBatch, Query, Statement, Steps, UnlockedBatch, merged
from .schema import CHANNEL, FORMAT_OF_LEDGER, HEAD, check_format

T = TypeVar("T")

# It reads committed rows: each statement after the lock must see what the writer before it committed.
BEGIN: Statement = ("BEGIN ISOLATION LEVEL READ COMMITTED", ())
DURABLE = (
    "SELECT pg_catalog.set_config('synchronous_commit', 'on', true)"
    " WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local')"
)
WARNED = "SET LOCAL client_min_messages = warning"  # of a commit that waited for its replicas in vain
# A commit waits for the replicas of what it wrote itself, so something has to be written.
WRITE_NOTHING = (
    "SELECT pg_catalog.pg_logical_emit_message(true, 'diijam_consent', ''::text)"
    " WHERE pg_catalog.current_setting('synchronous_standby_names') <> ''"
)
LOCK: Statement = ("SELECT format FROM ledger FOR UPDATE", ())  # as it is once the lock is had
COMMIT: list[Statement] = [(f"NOTIFY {CHANNEL}", ()), ("COMMIT", ())]


def begin_writing(seconds: float) -> list[Statement]:
    """
    Begin a transaction that writes, and take the lock of the one writer.

    Nobody waits for the lock, or for a holder that sends nothing, longer than *seconds*, which a call takes. A commit
    is on the disk, and where the server is set to it on its replicas, before it returns. The settings end with the
    transaction, because a pool may share the connection.
    """
    limit = max(1, math.ceil(seconds * 1000))
    settings = (
        f"SET LOCAL lock_timeout = {limit}",
        f"SET LOCAL idle_in_transaction_session_timeout = {limit}",
        WARNED,
        DURABLE,
    )
    return [BEGIN, *((setting, ()) for setting in settings), LOCK]


def write(begin: list[Statement], steps: Steps[T]) -> Steps[T]:
    """Run a transaction after *begin*, which ends with `LOCK`; its last batch takes the commit along."""
    batch = next(steps)
    try:
        if isinstance(batch, UnlockedBatch):
            batch = steps.send((yield batch))
        rows = yield [*begin, *batch]
        check_format(rows[len(begin) - 1])
        rows = rows[len(begin) :]
        while True:
            batch = steps.send(rows)
            rows = yield (CommitBatch([*merged(batch), *COMMIT]) if isinstance(batch, CommitBatch) else batch)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def wait_for_replicas() -> Steps[None]:
    """
    Wait until the replicas, if the server has to wait for any, have all that was committed before.

    Others may see a commit whose wait was ended by a restart or by an administrator, and a failover may lose it.
    """
    yield CommitBatch([BEGIN, (WARNED, ()), (DURABLE, ()), (WRITE_NOTHING, ()), ("COMMIT", ())])


def run_alone(sql: str) -> Steps[None]:
    """Run one statement outside any transaction."""
    yield [(sql, ())]


def read(query: Query[T]) -> Steps[T]:
    """
    Run a query as one statement, which sees one state of the database, and check the ledger's format in it.

    A message `BEGIN …; …; COMMIT` would need no joining, but cannot be prepared: on a direct connection a load of one
    took 1.2 to 1.3 times as long, and a poll 1.9 times.
    """
    has_head = query.statements[0][0] == HEAD  # which has the format, and whose parser checks it
    statements = query.statements if has_head else [FORMAT_OF_LEDGER, *query.statements]
    (rows,) = yield [_joined(statements)]
    answers = _split(statements, rows)
    if not has_head:
        check_format(answers.pop(0))
    return query.parse(*answers)


def _joined(batch: list[Statement]) -> Statement:
    """
    Join several statements into one. All but the last give at most one row, and no row has NULL in its first column:
    NULL there marks that a statement gave no row.
    """
    if len(batch) == 1:
        return batch[0]
    return _left_join(tuple(sql for sql, _ in batch)), tuple(value for _, values in batch for value in values)


@lru_cache(maxsize=64)
def _left_join(parts: tuple[str, ...]) -> str:
    return "SELECT * FROM " + " LEFT JOIN ".join(f"({sql}) q{n}" + " ON true" * (n > 0) for n, sql in enumerate(parts))  # noqa: S608 - our own


def _split(batch: list[Statement], rows: list[Any]) -> list[list[Any]]:
    """Return the rows of each statement that was joined."""
    if len(batch) == 1:
        return [rows]
    answers, start = [], 0
    for number, (sql, _) in enumerate(batch, start=1):
        end = start + _count_columns(sql)
        own = rows if number == len(batch) else rows[:1]
        answers.append([row[start:end] for row in own if row[start] is not None])
        start = end
    return answers


@lru_cache(maxsize=64)
def _count_columns(sql: str) -> int:
    """Count the columns of a statement of ours: it names them all, between SELECT and FROM."""
    return sql[: sql.index(" FROM ")].count(",") + 1
