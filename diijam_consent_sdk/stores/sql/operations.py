"""
What a ledger does, in the SQL of either database: which statements run, and what follows from their rows.

No connection is used here, so that SQLite, PostgreSQL and its asyncio twin share each rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache

import attrs

from ...identifiers import identifier
from ...record import ConsentRecord, unopened
from ...vocabulary import instant
from .. import wire
from ..answers import BEFORE_FIRST, MAX_POSITION, Changes, Cursor, Loaded, OpenRequests
from ..checks import checked_limit
from .changes import EntriesPage, changes_query, entries_query
from .dialect import (
    Dialect,
    cursor_of,
    erase_earlier,
    history_query,
    records_from,
)
from .hash_chain import Link, time_from
from .records import record_row
from .repeats import delete_appends
from .statements import Query, Row, Statement
from .store_clock import CLOCK_AHEAD, StoreClock

Clock = Callable[[], datetime]


@attrs.frozen
class Head:
    """Where the ledger ends, and its time."""

    cursor: Cursor
    now: datetime  # the later of the clock and `last`
    last: datetime | None  # the time of the last entry, as stored beside the chain; None before the first entry


@attrs.frozen
class Operations:
    """
    The reads and writes of a ledger, in one dialect.

    *clock* stamps entries, for tests: an aware datetime, taken as it is. None: the dialect's, held to `StoreClock`.
    """

    dialect: Dialect
    clock: Clock | None
    store_clock: StoreClock = attrs.field(factory=StoreClock)

    def load(self, user_ids: list[str]) -> Query[Loaded]:
        """See `Store.load`; *user_ids* were checked."""

        def parse(head_rows: Sequence[Row], rows: Sequence[Row]) -> Loaded:
            head, found = self.read_head(head_rows), records_from(rows)
            return Loaded(head.cursor, head.now, tuple(found.get(u) or unopened(u) for u in user_ids))

        return Query([self.select_head(), self.select_bounded_records(user_ids)], parse)

    def mark_tested(self) -> list[Statement]:
        """Mark the ledger if a caller's clock stamps it."""
        return [] if self.clock is None else [(self.dialect.mark_tested, ())]

    def is_tested(self) -> Query[bool]:
        """Read whether a caller's clock ever stamped the ledger."""
        return Query([(self.dialect.tested, ())], bool)

    def changes(self, after: Cursor, limit: int, waited: float) -> Query[Changes]:
        """See `Store.changes`: one look, without waiting; *waited* is how long the store waited before."""
        return changes_query(self.select_head(), self.read_cursor, after, limit, waited)

    def entries(self, after: Cursor, limit: int) -> Query[EntriesPage]:
        """See `Store.entries`: one look, without waiting."""
        return entries_query(self.select_head(), self.read_cursor, after, limit)

    def history(self, user_id: str) -> Query[list[Link]]:
        """Read the links of `Store.history`: decoding them is left until the connection is free again."""
        return history_query(identifier(user_id))

    def open_requests(self, after: str | None, limit: int) -> Query[OpenRequests]:
        """See `Store.open_requests`."""
        start, limit = "" if after is None else identifier(after), min(checked_limit(limit), MAX_POSITION)

        def parse(head_rows: Sequence[Row], rows: Sequence[Row]) -> OpenRequests:
            found = sorted(records_from(rows).items())
            last = found[-1][0] if len(found) == limit else None
            records = tuple(record for _, record in found if record.open_requests())
            return OpenRequests(self.read_head(head_rows).now, records, last)

        return Query([self.select_head(), (self.dialect.requesting, (start, limit))], parse)

    def head(self) -> Query[Head]:
        """Read where the ledger ends."""
        return Query([self.select_head()], self.read_head)

    def select_head(self) -> Statement:
        """Read the rows of `read_head`."""
        return self.dialect.head, ()

    def select_records(self, user_ids: list[str]) -> Statement:
        """Read the rows of `records_from`."""
        return self.dialect.records, (self.dialect.asked(user_ids),)

    def select_bounded_records(self, user_ids: list[str]) -> Statement:
        """Read the same, but no record if several are together too large to be loaded."""
        if len(user_ids) <= 1:
            return self.select_records(user_ids)
        bounded = self.dialect.bounded
        return bounded, (self.dialect.asked(user_ids),) * bounded.count("?")

    def put_record(self, record: ConsentRecord, at: datetime) -> Statement:
        """Write a record, its last entry of the time *at*, and its standing in place of the user's earlier ones."""
        return self.dialect.put_record(record_row(record, at))

    def advance_head(self, last: Link) -> list[Statement]:
        """Make *last* the head, where a row holds the head."""
        advance = self.dialect.advance
        return [] if advance is None else [(advance, (last.position, last.hash, last.at))]

    def read_head(self, rows: Sequence[Row]) -> Head:
        """Make the head; `wire.Malformed` if the ledger has no epoch."""
        if not rows or not isinstance(rows[0][0], str):
            raise wire.Malformed("it has no epoch")
        if self.dialect.check is not None:
            self.dialect.check(rows[0])
        epoch, position, chain_hash, at = rows[0][:4]
        cursor, last = _end(epoch, position, chain_hash, at) if position else (Cursor(epoch, 0, BEFORE_FIRST), None)
        return Head(cursor, self._now(rows[0], last), last)

    def read_cursor(self, rows: Sequence[Row]) -> Cursor:
        """Make the cursor of the head."""
        return self.read_head(rows).cursor

    def _now(self, row: Row, last: datetime | None) -> datetime:
        if self.clock is None:
            return self.store_clock.read(instant(self.dialect.time(row)), last)
        now = instant(self.clock())
        return now if last is None else max(now, last)

    def estimated_time(self) -> datetime:
        """Estimate the time that the next read is as of. Nothing may rest on it."""
        return self.store_clock.estimate() if self.clock is None else instant(self.clock())

    def clock_trouble(self) -> str | None:
        """Describe what was wrong with the wall clock when it was last read; None: nothing."""
        return CLOCK_AHEAD if self.store_clock.is_ahead else None


@lru_cache(16)  # reads in a row find the same one
def _end(epoch: str, position: int, chain_hash: object, at: object) -> tuple[Cursor, datetime]:
    """Make the cursor and the time of the last entry; `wire.Malformed` if a column holds something else."""
    return cursor_of(epoch, position, chain_hash), time_from(at)


def erase(user_id: str, tombstone: int) -> list[Statement]:
    """Erase a user's entries before the tombstone, and what is kept of the appends that made them."""
    return [erase_earlier(user_id, tombstone), delete_appends(user_id, tombstone)]
