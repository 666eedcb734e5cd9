"""
What a ledger does, in the SQL of either database: which statements run, and what follows from their rows.

No connection is used here, so that SQLite, PostgreSQL and its asyncio twin share each rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial

import attrs

from ...errors import StoreUnavailable, VersionConflict
from ...events import Erased, Event, Provenance, is_no
from ...identifiers import identifier
from ...notices import UNREGISTERED, named_notices
from ...record import ConsentRecord, unopened
from ...vocabulary import instant
from .. import wire
from ..checks import checked_batch, checked_limit, checked_provenance, checked_version
from ..protocol import (
    Appended,
    Changes,
    Cursor,
    Loaded,
    OpenRequests,
)
from .changes import changes_query
from .dialect import (
    MAX_POSITION,
    Dialect,
    cursor_of,
    erase_earlier,
    history_query,
    insert_link,
    records_from,
)
from .hash_chain import GENESIS, Link, stamp, time_from
from .notices import registry_from
from .repeats import PastAppend, Repeat, delete_appends, insert_append, owner_version, repeat_from, select_append
from .statements import CommitBatch, Query, Row, Statement, Steps, Transaction, UnlockedBatch
from .store_clock import AHEAD, StoreClock

Clock = Callable[[], datetime]


@attrs.frozen
class Head:
    """Where the ledger ends, and its time: the later of the clock and the last entry's."""

    cursor: Cursor
    now: datetime


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
        is_one = len(user_ids) <= 1
        records = self.select_records(user_ids) if is_one else self._select_bounded_records(user_ids)

        def parse(head_rows: Sequence[Row], rows: Sequence[Row]) -> Loaded:
            head, found = self.read_head(head_rows), records_from(rows)
            return Loaded(head.cursor, head.now, tuple(found.get(u) or unopened(u) for u in user_ids))

        return Query([self.select_head(), records], parse)

    def append(
        self,
        user_id: str,
        events: Iterable[Event],
        expected_version: int | None,
        key: str | None,
        provenance: Provenance | None = None,
    ) -> Transaction[Appended | Repeat]:
        """
        See `Store.append`. A repeat is found before the transaction, or within it if it came meanwhile. Answering it
        takes the user's history, so that is left to `repeated`.
        """
        user_id, batch = identifier(user_id), checked_batch(events)
        if key is not None:
            key = identifier(key)
        version, said = checked_version(expected_version), checked_provenance(provenance)
        steps = partial(self._append, user_id, batch, version, key, said)
        return Transaction(steps, is_erasure=isinstance(batch[-1], Erased), idempotency_key=key)

    def _append(
        self,
        user_id: str,
        events: tuple[Event, ...],
        expected_version: int | None,
        key: str | None,
        provenance: Provenance,
    ) -> Steps[Appended | Repeat]:
        select_known = select_append(user_id, key, events)
        if key is not None:
            (known_rows,) = yield UnlockedBatch([select_known])
            repeat = repeat_from(user_id, known_rows[0], events)
            if repeat is not None:
                return repeat
        head_rows, record_rows, known_rows, *notice_rows = yield [
            self.select_head(),
            self.select_records([user_id]),
            select_known,
            *self._select_notices(events),
        ]
        repeat = repeat_from(user_id, known_rows[0], events)
        if repeat is not None:
            return repeat
        head = self.read_head(head_rows)
        if self.clock_trouble() is not None and not any(map(is_no, events)):
            raise StoreUnavailable(AHEAD)
        record = records_from(record_rows).get(user_id) or unopened(user_id)
        if expected_version is not None and record.version != expected_version:
            raise VersionConflict(expected_version, record.version)
        notices = registry_from(*notice_rows) if notice_rows else UNREGISTERED
        links, record = stamp(record, events, head.now, head.cursor, notices, provenance=provenance)
        yield CommitBatch(self._insert_append(links, record, key, is_erasure=isinstance(events[-1], Erased)))
        cursor = cursor_of(head.cursor.epoch, links[-1].position, links[-1].hash)
        return Appended(cursor, record.version, is_repeat=False, record=record)

    def _select_notices(self, events: tuple[Event, ...]) -> list[Statement]:
        """Read the rows of `registry_from`; nothing for events that name no notice, as no no does."""
        named = named_notices(events)
        if not named:
            return []
        return [(self.dialect.named_notices, (self.dialect.asked(named),)), (self.dialect.notices_required, ())]

    def _insert_append(
        self, links: list[Link], record: ConsentRecord, key: str | None, *, is_erasure: bool
    ) -> list[Statement]:
        user_id, last = record.user_id, links[-1]
        statements = [*map(insert_link, links), self.put_record(record), *self.advance_head(last)]
        if key is not None:
            statements.append(insert_append(user_id, key, links))
        statements += self.mark_tested()
        if is_erasure:
            statements += erase(user_id, last.position)
        return statements

    def mark_tested(self) -> list[Statement]:
        """Mark the ledger if a caller's clock stamps it, where there is a place for the mark."""
        mark = self.dialect.mark_tested
        return [] if self.clock is None or mark is None else [(mark, ())]

    def repeated(self, repeat: Repeat) -> Query[Appended | PastAppend]:
        """Answer an append that is repeated: whole if the record has not changed since."""

        def parse(
            head_rows: Sequence[Row], entry_rows: Sequence[Row], record_rows: Sequence[Row]
        ) -> Appended | PastAppend:
            version = owner_version(repeat, entry_rows)
            record = records_from(record_rows).get(repeat.user_id)
            cursor = cursor_of(self.read_head(head_rows).cursor.epoch, repeat.position, entry_rows[0][0])
            if record is not None and record.version == version:
                return Appended(cursor, version, is_repeat=True, record=record)
            return PastAppend(cursor, repeat.user_id, version)

        select_entry = "SELECT hash, version, user_id, at FROM entries WHERE position = ?"
        records = self.select_records([repeat.user_id])
        return Query([self.select_head(), (select_entry, (repeat.position,)), records], parse)

    def changes(self, after: Cursor, limit: int, waited: float) -> Query[Changes]:
        """See `Store.changes`: one look, without waiting; *waited* is how long the store waited before."""
        return changes_query(self.select_head(), lambda rows: self.read_head(rows).cursor, after, limit, waited)

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

    def _select_bounded_records(self, user_ids: list[str]) -> Statement:
        """Read the same, but no record if together they are too large to be loaded."""
        bounded = self.dialect.bounded
        return bounded, (self.dialect.asked(user_ids),) * bounded.count("?")

    def put_record(self, record: ConsentRecord) -> Statement:
        """Write a record in place of the user's earlier one."""
        return self.dialect.put_record, (record.user_id, wire.encode(record))

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
        if not position:
            return Head(Cursor(epoch, 0, GENESIS.hex()), self._now(rows[0], None))
        return Head(cursor_of(epoch, position, chain_hash), self._now(rows[0], time_from(at)))

    def _now(self, row: Row, last: datetime | None) -> datetime:
        if self.clock is None:
            return self.store_clock.read(instant(self.dialect.time(row)), last)
        now = instant(self.clock())
        return now if last is None else max(now, last)

    def clock_trouble(self) -> str | None:
        """Describe what was wrong with the wall clock when it was last read; None: nothing."""
        return AHEAD if self.store_clock.is_ahead else None


def erase(user_id: str, tombstone: int) -> list[Statement]:
    """Erase a user's entries before the tombstone, and what is kept of the appends that made them."""
    return [erase_earlier(user_id, tombstone), delete_appends(user_id, tombstone)]
