"""
Units of work for a SQL database: batches of statements and parsers of their rows, without a connection.

SQLite runs a batch statement by statement, PostgreSQL in one round trip, with and without asyncio. So each operation of
a ledger is written once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Generic, TypeVar

import attrs

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Statement = tuple[str, tuple[Any, ...]]  # SQL with a ? for each of the values
Row = Sequence[Any]
Steps = Generator[list[Statement], list[list[Any]], T]  # yields batches, is sent the rows of each, returns the answer

MAX_ROWS = 64  # in one statement
_VALUE = r"(?:\?|\w+\(\?\))"
_ROW = re.compile(rf"(?<= VALUES )\({_VALUE}(?:, {_VALUE})*\)")


class UnlockedBatch(list[Statement]):
    """The first batch of a transaction, if it only reads: runs before the lock of the one writer is taken."""


class CommitBatch(list[Statement]):
    """
    The last batch of a transaction, which only writes: the database may send the commit along with it.

    Args:
        statements: The batch.

        is_erasure: Whether it deletes content that the database may have to clear away.
    """

    def __init__(self, statements: Iterable[Statement], *, is_erasure: bool = False) -> None:
        super().__init__(statements)
        self.is_erasure = is_erasure


@attrs.frozen
class Query(Generic[T_co]):
    """A read of one batch, on one unchanging state of the database."""

    statements: list[Statement] = attrs.field(repr=False)  # they may name users
    parse: Callable[..., T_co]  # takes the rows of each statement


@attrs.frozen
class Transaction(Generic[T_co]):
    """
    A write of several batches, all of it or none. Each try begins with a new `start()`.

    `is_erasure`: the database clears away what was deleted before the write returns. `idempotency_key`: the key that
    makes a repeat safe.
    """

    start: Callable[[], Steps[T_co]]
    is_erasure: bool = False
    idempotency_key: str | None = attrs.field(default=None, repr=False)


def merged(batch: Iterable[Statement]) -> Iterator[Statement]:
    """
    Insert the rows that go into one table, one after the other, by few statements. Each has 1, 2, 4 … rows, so that
    they are few different ones, which a database keeps prepared. (SQLite lets other threads have Python at each one.)
    """
    for sql, run in groupby(batch, key=itemgetter(0)):
        rows = [values for _, values in run]
        start = 0
        while (left := len(rows) - start) > 0:
            count = min(MAX_ROWS, 1 << (left.bit_length() - 1))
            many = _of_rows(sql, count) if count > 1 else None
            if many is None:
                count = 1
            yield many or sql, tuple(chain.from_iterable(rows[start : start + count]))
            start += count


@lru_cache(maxsize=128)
def _of_rows(sql: str, count: int) -> str | None:
    """Make an INSERT of one row insert *count* rows. None for any other statement, and for one of fixed values."""
    row = _ROW.search(sql)
    return row and f"{sql[: row.start()]}{', '.join([row[0]] * count)}{sql[row.end() :]}"
