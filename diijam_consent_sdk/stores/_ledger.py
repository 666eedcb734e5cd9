"""
What a ledger in a SQL database does, whichever database: statements and decisions, no connection.

Each operation is a generator. It yields batches of statements, is sent the rows of each, and returns the answer. All
batches of one operation belong to one transaction, on one unchanging state for those that only read. SQLite runs them
one by one, PostgreSQL a batch a round trip, with and without asyncio.
"""

from __future__ import annotations

import functools
import hashlib
import secrets
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import attrs

from ..errors import StoreUnusable, VersionConflict
from ..events import Erased, Event, LedgerEntry
from ..record import ConsentRecord, fold, unopened
from ..vocabulary import identifier, instant
from . import wire
from .chain import GENESIS, SALT_BYTES, Link, fingerprint, stamp, time_from
from .protocol import Appended, Changes, Cursor, Loaded, OpenRequests, checked_batch, checked_version

T = TypeVar("T")
Statement = tuple[str, tuple[Any, ...]]  # SQL with a ? for each of the values
Row = Sequence[Any]
Sql = Generator[list[Statement], list[list[Any]], T]
Clock = Callable[[], datetime]

LINK = "position, user_id, version, at, event, salt, digest, hash"
MAX_POSITION = 2**63 - 1
NO_REQUESTS = b'"requests":{}'.hex()  # what a record holds, as it is written, that never made one


class Final(list[Statement]):
    """The last batch of an operation that writes: what makes it lasting may go with it."""


@attrs.frozen
class Dialect:
    """What two databases say differently."""

    head: str  # epoch, position, hash and time of the last entry, and what else the clock needs
    records: str  # of each user in `asked`: see `records_from`
    asked: Callable[[list[str]], object]
    put_record: str
    requesting: str  # the same of those after a user id, in order, that ever made a request; so many at most
    advance: str | None = None  # where the head is kept by itself: its position, hash and time
    time: Callable[[Row], datetime] | None = None  # the database's own clock, from the row of `head`
    check: Callable[[Row], None] | None = None  # whether this version knows the ledger's format, from that row


@attrs.frozen
class Head:
    """Where the ledger ends, and its time: the later of the clock and the last entry's."""

    cursor: Cursor
    now: datetime


@attrs.frozen
class Ledger:
    """The operations, in one dialect. *clock* stamps entries: an aware datetime; None: the database's own."""

    dialect: Dialect
    clock: Clock | None

    def load(self, wanted: list[str]) -> Sql[Loaded]:
        """See `Store.load`; the ids are checked, once for all tries."""
        head_rows, rows = yield [self.head_statement(), self.records_statement(wanted)]
        head, found = self.read_head(head_rows), records_from(rows)
        return Loaded(head.cursor, head.now, tuple(found.get(u) or unopened(u) for u in wanted))

    def append(
        self, user_id: str, events: Iterable[Event], expected_version: int | None, key: str | None
    ) -> Sql[Appended]:
        """See `Store.append`. The transaction holds the lock of the one writer from its first statement on."""
        user_id, batch = identifier(user_id), checked_batch(events)
        if key is not None:
            key = identifier(key)
        return self._append(user_id, batch, checked_version(expected_version), key)

    def _append(
        self, user_id: str, batch: tuple[Event, ...], expected_version: int | None, key: str | None
    ) -> Sql[Appended]:
        head_rows, record_rows, kept_rows = yield [
            self.head_statement(),
            self.records_statement([user_id]),
            _kept_by(user_id, key),
        ]
        head = self.read_head(head_rows)
        if kept_rows:
            return (yield from _kept(head.cursor.epoch, user_id, kept_rows[0], batch))
        record = records_from(record_rows).get(user_id) or unopened(user_id)
        if expected_version is not None and record.version != expected_version:
            raise VersionConflict(expected_version, record.version)
        links, record = stamp(record, batch, head.now, head.cursor)
        yield Final(self._writing(links, record, key, batch))
        return Appended(_cursor(head.cursor.epoch, links[-1].position, links[-1].hash), record)

    def look(self, after: Cursor, limit: int, waited: float) -> Sql[Changes]:
        """`Store.changes` without waiting; *waited* is how long the store did before."""
        if limit < 1:
            raise ValueError(f"limit is at least 1, not {limit}")
        return self._look(after, min(limit, MAX_POSITION), waited)

    def _look(self, after: Cursor, limit: int, waited: float) -> Sql[Changes]:
        at = after.position if 0 <= after.position <= MAX_POSITION else MAX_POSITION
        head_rows, known_rows, rows = yield [self.head_statement(), hash_at(at), _changed(at, limit)]
        head = self.read_head(head_rows).cursor
        if _cursor_at(head.epoch, after.position, known_rows) != after:
            return Changes(after, head, {}, complete=True, waited=0.0)
        if not rows:
            return Changes(after, head, {}, complete=True, waited=waited)
        rows = sorted(rows)
        last = {user_id: position for position, user_id, _ in rows}
        in_order = dict(sorted(last.items(), key=lambda item: item[1]))
        cursor = _cursor(head.epoch, rows[-1][0], rows[-1][2])
        return Changes(after, cursor, in_order, complete=cursor == head, waited=waited)

    def history(self, user_id: str) -> Sql[list[LedgerEntry]]:
        """See `Store.history`."""
        return _history(identifier(user_id))

    def open_requests(self, after: str | None, limit: int) -> Sql[OpenRequests]:
        """See `ListingStore.open_requests`."""
        if limit < 1:
            raise ValueError(f"limit is at least 1, not {limit}")
        return self._open_requests("" if after is None else identifier(after), min(limit, MAX_POSITION))

    def _open_requests(self, after: str, limit: int) -> Sql[OpenRequests]:
        head_rows, rows = yield [self.head_statement(), (self.dialect.requesting, (after, limit))]
        found = sorted(records_from(rows).items())
        last = found[-1][0] if len(found) == limit else None
        now = self.read_head(head_rows).now
        return OpenRequests(now, tuple(record for _, record in found if record.open_requests()), last)

    def head(self) -> Sql[Head]:
        """Where the ledger ends."""
        (rows,) = yield [self.head_statement()]
        return self.read_head(rows)

    def head_statement(self) -> Statement:
        """What gives the rows of `read_head`."""
        return self.dialect.head, ()

    def records_statement(self, user_ids: list[str]) -> Statement:
        """What gives the rows of `records_from`."""
        return self.dialect.records, (self.dialect.asked(user_ids),)

    def read_head(self, rows: Sequence[Row]) -> Head:
        """The head; `wire.Malformed` if there is none."""
        if not rows or not isinstance(rows[0][0], str):
            raise wire.Malformed("it has no epoch")
        if self.dialect.check is not None:
            self.dialect.check(rows[0])
        epoch, position, chain, at = rows[0][:4]
        now = instant(self._now(rows[0]))
        if not position:
            return Head(Cursor(epoch, 0, GENESIS.hex()), now)
        return Head(_cursor(epoch, position, chain), max(now, time_from(at)))

    def _now(self, row: Row) -> datetime:
        if self.clock is not None:
            return self.clock()
        if self.dialect.time is None:
            raise TypeError("this store needs a clock")
        return self.dialect.time(row)

    def record_statement(self, record: ConsentRecord) -> Statement:
        """What puts a record in its place."""
        return self.dialect.put_record, (record.user_id, wire.encode(record))

    def advance_statements(self, last: Link) -> list[Statement]:
        """What makes *last* the head, where the head is kept by itself."""
        advance = self.dialect.advance
        return [] if advance is None else [(advance, (last.position, last.hash, last.at))]

    def _writing(
        self, links: list[Link], record: ConsentRecord, key: str | None, batch: tuple[Event, ...]
    ) -> list[Statement]:
        user_id, last = record.user_id, links[-1]
        statements = [inserting(link) for link in links]
        statements += [self.record_statement(record), *self.advance_statements(last)]
        if key is not None:
            salt = secrets.token_bytes(SALT_BYTES)
            row = (user_id, _digest(key), salt, fingerprint(salt, batch), last.position)
            statements.append(("INSERT INTO appends VALUES (?, ?, ?, ?, ?)", row))
        if isinstance(batch[-1], Erased):
            statements += erasing(user_id, key, last.position)
        return statements


def _cursor(epoch: str, position: int, chain: object) -> Cursor:
    if not isinstance(chain, bytes):
        raise wire.Malformed("the hash of an entry is none")
    return Cursor(epoch, position, chain.hex())


def inserting(link: Link) -> Statement:
    """What writes an entry."""
    insert = f"INSERT INTO entries ({LINK}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own columns
    return insert, attrs.astuple(link, recurse=False)


def hash_at(position: int) -> Statement:
    """What gives the chain hash of an entry, if there is one."""
    return "SELECT hash FROM entries WHERE position = ?", (position,)


def _cursor_at(epoch: str, position: int, rows: Sequence[Row]) -> Cursor | None:
    """The cursor of this history at *position*, from the rows of `hash_at`."""
    if position == 0:
        return Cursor(epoch, 0, GENESIS.hex())
    return _cursor(epoch, position, rows[0][0]) if rows else None


def records_from(rows: Sequence[Row]) -> dict[str, ConsentRecord]:
    """
    Records by their users, from a row of the users' ids, one a line, and their records, separated by commas: asked for
    so, a database finds a thousand without Python in between. Refuses one that stands under another's id.
    """
    if not rows:
        return {}
    ((user_ids, joined),) = rows
    records = wire.decode_records(b"[%b]" % joined)
    if user_ids.split("\n") != [record.user_id for record in records]:
        raise StoreUnusable("the database is damaged: a record stands under another user's id")
    return {record.user_id: record for record in records}


def _changed(after: int, limit: int) -> Statement:
    return (
        "SELECT position, user_id, hash FROM entries WHERE position > ? AND user_id IS NOT NULL"
        " ORDER BY position LIMIT ?"
    ), (after, limit)


def _history(user_id: str, up_to: int = MAX_POSITION) -> Sql[list[LedgerEntry]]:
    select = f"SELECT {LINK} FROM entries WHERE user_id = ? AND position <= ? ORDER BY version"  # noqa: S608 - as above
    (rows,) = yield [(select, (user_id, up_to))]
    return [Link(*row).entry() for row in rows]


def _kept_by(user_id: str, key: str | None) -> Statement:
    return "SELECT salt, fingerprint, position FROM appends WHERE user_id = ? AND key = ?", (user_id, _digest(key))


def _kept(epoch: str, user_id: str, row: Row, batch: tuple[Event, ...]) -> Sql[Appended]:
    """The answer given when this key was first used; folded again, so that no second copy of it has to be kept."""
    salt, known, position = row
    if not (isinstance(salt, bytes) and isinstance(position, int)):
        raise wire.Malformed("what is kept of an append is none")
    if fingerprint(salt, batch) != known:
        raise ValueError("this idempotency_key was used with other events: use a key of its own for each write")
    (rows,) = yield [hash_at(position)]
    cursor = _cursor_at(epoch, position, rows)
    if cursor is None:
        raise StoreUnusable("the database is damaged: an append's entry is missing")
    return Appended(cursor, (yield from folded(user_id, position)))


def folded(user_id: str, up_to: int = MAX_POSITION) -> Sql[ConsentRecord]:
    """The record that a user's entries make."""
    return functools.reduce(fold, (yield from _history(user_id, up_to)), unopened(user_id))


def erasing(user_id: str, key: str | None, tombstone: int) -> list[Statement]:
    """Leave of a user the tombstone, and of the earlier entries what the chain needs."""
    blank = (
        "UPDATE entries SET user_id = NULL, version = NULL, at = NULL, event = NULL, salt = NULL"
        " WHERE user_id = ? AND position < ?"
    )
    forget = "DELETE FROM appends WHERE user_id = ? AND key <> ?"
    return [(blank, (user_id, tombstone)), (forget, (user_id, _digest(key) or b""))]


def _digest(key: str | None) -> bytes | None:
    """What is kept of an idempotency key: its row may move, and leave a copy behind."""
    return None if key is None else hashlib.sha256(key.encode()).digest()


def run(steps: Sql[T], execute: Callable[[Statement], list[Any]]) -> T:
    """Run an operation in the thread that asks, statement by statement."""
    try:
        batch = next(steps)
        while True:
            batch = steps.send([execute(statement) for statement in batch])
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
