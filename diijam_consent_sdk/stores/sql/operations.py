"""
What a ledger in a SQL database does, whichever database: statements and decisions, no connection.

Each operation is a generator. It yields batches of statements, is sent the rows of each, and returns the answer. All
batches of one operation belong to one transaction, on one unchanging state for those that only read. SQLite runs them
one by one, PostgreSQL a batch a round trip, with and without asyncio.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar

import attrs

from ...errors import StoreUnavailable, StoreUnusable, TooLarge, VersionConflict
from ...events import Erased, Event, LedgerEntry, is_no
from ...record import ConsentRecord, fold_all, unopened
from ...vocabulary import identifier, instant
from .. import wire
from ..protocol import Appended, Changes, Cursor, Loaded, OpenRequests, checked_batch, checked_version
from .hash_chain import GENESIS, SALT_BYTES, Link, fingerprint, stamp, time_from
from .store_clock import AHEAD, StoreClock

T = TypeVar("T")
Statement = tuple[str, tuple[Any, ...]]  # SQL with a ? for each of the values
Row = Sequence[Any]
Sql = Generator[list[Statement], list[list[Any]], T]
Clock = Callable[[], datetime]

LINK = "position, user_id, version, at, event, salt, digest, hash"
MAX_POSITION = 2**63 - 1
OPEN_REQUEST = b'"outcome":null'.hex()  # what a record holds, as it is written, while a request is open
LONG_HISTORY = 2_000  # entries; longer ones are folded one at a time
ERASED_MEANWHILE = "the user was erased meanwhile: try again"


class Before(list[Statement]):
    """The first batch of an operation that writes which only reads: asked before the lock of the one writer is."""


class Final(list[Statement]):
    """The last batch of an operation that writes: what makes it lasting may go with it."""


@attrs.frozen
class Dialect:
    """What two databases say differently."""

    head: str  # epoch, position, hash and time of the last entry, and what else the clock needs
    records: str  # of each user in `asked`: see `records_from`
    bounded: str  # the same, without the records if they have more than `MAX_LOAD_BYTES`
    asked: Callable[[list[str]], object]
    put_record: str
    requesting: str  # the same of those after a user id, in order, with an open request; so many at most
    time: Callable[[Row], datetime]  # what the wall clock shows, from the row of `head`
    advance: str | None = None  # where the head is kept by itself: its position, hash and time
    mark_tested: str | None = None  # what marks a ledger that a caller's clock stamps
    tested: str | None = None  # gives a row if it is marked so
    check: Callable[[Row], None] | None = None  # whether this version knows the ledger's format, from that row


@attrs.frozen
class Head:
    """Where the ledger ends, and its time: the later of the clock and the last entry's."""

    cursor: Cursor
    now: datetime


@attrs.frozen
class Repeat:
    """An append whose key was used before, with the same events: the user, and the position of its last entry."""

    user_id: str = attrs.field(repr=False)
    position: int


@attrs.frozen
class Earlier:
    """What an append with this key was answered, but for the record, which has moved on since."""

    cursor: Cursor
    user_id: str = attrs.field(repr=False)
    version: int


@attrs.frozen
class Ledger:
    """
    The operations, in one dialect.

    *clock* stamps entries, for tests: an aware datetime, taken as it is. None: the dialect's, held to `StoreClock`.
    """

    dialect: Dialect
    clock: Clock | None
    checked: StoreClock = attrs.field(factory=StoreClock)

    def load(self, wanted: list[str]) -> Sql[Loaded]:
        """See `Store.load`; the ids are checked, once for all tries."""
        records = self.records_statement(wanted) if len(wanted) <= 1 else self._bounded_statement(wanted)
        head_rows, rows = yield [self.head_statement(), records]
        head, found = self.read_head(head_rows), records_from(rows)
        return Loaded(head.cursor, head.now, tuple(found.get(u) or unopened(u) for u in wanted))

    def append(
        self, user_id: str, events: Iterable[Event], expected_version: int | None, key: str | None
    ) -> Sql[Appended | Repeat]:
        """
        See `Store.append`. A repeat is found before the transaction, or within it if it came meanwhile; answering it
        takes the user's history, so it is left to `repeated`.
        """
        user_id, batch = identifier(user_id), checked_batch(events)
        if key is not None:
            key = identifier(key)
        return self._append(user_id, batch, checked_version(expected_version), key)

    def _append(
        self, user_id: str, batch: tuple[Event, ...], expected_version: int | None, key: str | None
    ) -> Sql[Appended | Repeat]:
        if key is not None:
            (kept_rows,) = yield Before([_kept_by(user_id, key)])
            if kept_rows:
                return _repeat(user_id, kept_rows[0], batch)
        head_rows, record_rows, kept_rows = yield [
            self.head_statement(),
            self.records_statement([user_id]),
            _kept_by(user_id, key),
        ]
        if kept_rows:
            return _repeat(user_id, kept_rows[0], batch)
        head = self.read_head(head_rows)
        if self.clock_trouble() is not None and not any(map(is_no, batch)):
            raise StoreUnavailable(AHEAD)
        record = records_from(record_rows).get(user_id) or unopened(user_id)
        if expected_version is not None and record.version != expected_version:
            raise VersionConflict(expected_version, record.version)
        links, record = stamp(record, batch, head.now, head.cursor)
        yield Final(self._writing(links, record, key, batch))
        return Appended(_cursor(head.cursor.epoch, links[-1].position, links[-1].hash), record)

    def repeated(self, repeat: Repeat) -> Sql[Appended | Earlier]:
        """What the append was answered that is repeated: whole if the record did not move on since. Only reads."""
        head_rows, entry_rows, record_rows = yield [
            self.head_statement(),
            ("SELECT hash, version, user_id, at FROM entries WHERE position = ?", (repeat.position,)),
            self.records_statement([repeat.user_id]),
        ]
        if not entry_rows:
            raise StoreUnusable("the database is damaged: an append's entry is missing")
        chain, version, *owner = entry_rows[0]
        if (version, *owner) == (None, None, None):
            raise StoreUnavailable(ERASED_MEANWHILE)
        if not isinstance(version, int) or owner[0] != repeat.user_id:
            raise wire.Malformed("its version or user is none")
        record = records_from(record_rows).get(repeat.user_id)
        cursor = _cursor(self.read_head(head_rows).cursor.epoch, repeat.position, chain)
        if record is not None and record.version == version:
            return Appended(cursor, record)
        return Earlier(cursor, repeat.user_id, version)

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

    def history(self, user_id: str) -> Sql[list[Link]]:
        """The links of `Store.history`: decoding them is left until the database is let go."""
        return history(identifier(user_id))

    def open_requests(self, after: str | None, limit: int) -> Sql[OpenRequests]:
        """See `Store.open_requests`."""
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

    def _bounded_statement(self, user_ids: list[str]) -> Statement:
        """The same for records that together are not too large to be loaded."""
        bounded = self.dialect.bounded
        return bounded, (self.dialect.asked(user_ids),) * bounded.count("?")

    def read_head(self, rows: Sequence[Row]) -> Head:
        """The head; `wire.Malformed` if there is none."""
        if not rows or not isinstance(rows[0][0], str):
            raise wire.Malformed("it has no epoch")
        if self.dialect.check is not None:
            self.dialect.check(rows[0])
        epoch, position, chain, at = rows[0][:4]
        if not position:
            return Head(Cursor(epoch, 0, GENESIS.hex()), self._now(rows[0], None))
        return Head(_cursor(epoch, position, chain), self._now(rows[0], time_from(at)))

    def _now(self, row: Row, last: datetime | None) -> datetime:
        if self.clock is None:
            return self.checked.read(instant(self.dialect.time(row)), last)
        now = instant(self.clock())
        return now if last is None else max(now, last)

    def clock_trouble(self) -> str | None:
        """What is wrong with the wall clock as it was last read; None: nothing."""
        return AHEAD if self.checked.is_ahead else None

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
            row = (user_id, _digest(key), salt, fingerprint(salt, (link.event or b"" for link in links)), last.position)
            statements.append(("INSERT INTO appends VALUES (?, ?, ?, ?, ?)", row))
        if self.clock is not None and self.dialect.mark_tested is not None:
            statements.append((self.dialect.mark_tested, ()))
        if isinstance(batch[-1], Erased):
            statements += erasing(user_id, key, last.position)
        return statements


def _cursor(epoch: str, position: int, chain: object) -> Cursor:
    if not isinstance(chain, bytes):
        raise wire.Malformed("the hash of an entry is none")
    return Cursor(epoch, position, chain.hex())


_columns: Callable[[Link], tuple[Any, ...]] = attrgetter(*LINK.split(", "))


def inserting(link: Link) -> Statement:
    """What writes an entry."""
    insert = f"INSERT INTO entries ({LINK}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own columns
    return insert, _columns(link)


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
    so, a database finds a thousand without Python in between. Refuses one that stands under another's id; `TooLarge` if
    the records were left out.
    """
    if not rows:
        return {}
    ((user_ids, joined),) = rows
    if joined is None:
        raise TooLarge("the records are too large together: ask for fewer users")
    records = wire.decode_records(b"[%b]" % joined)
    if user_ids.split("\n") != [record.user_id for record in records]:
        raise StoreUnusable("the database is damaged: a record stands under another user's id")
    return {record.user_id: record for record in records}


def _changed(after: int, limit: int) -> Statement:
    return (
        "SELECT position, user_id, hash FROM entries WHERE position > ? AND user_id IS NOT NULL"
        " ORDER BY position LIMIT ?"
    ), (after, limit)


def history(user_id: str, up_to_version: int = MAX_POSITION) -> Sql[list[Link]]:
    """The links of a user's entries, oldest first."""
    select = f"SELECT {LINK} FROM entries WHERE user_id = ? AND version <= ? ORDER BY version"  # noqa: S608 - as above
    (rows,) = yield [(select, (user_id, up_to_version))]
    return [Link(*row) for row in rows]


def entries_of(links: Iterable[Link]) -> list[LedgerEntry]:
    """The entries that links hold."""
    return [link.entry() for link in links]


def _kept_by(user_id: str, key: str | None) -> Statement:
    return "SELECT salt, fingerprint, position FROM appends WHERE user_id = ? AND key = ?", (user_id, _digest(key))


def _repeat(user_id: str, row: Row, batch: tuple[Event, ...]) -> Repeat:
    salt, known, position = row
    if not (isinstance(salt, bytes) and isinstance(position, int)):
        raise wire.Malformed("what is kept of an append is none")
    if fingerprint(salt, map(wire.encode_event, batch)) != known:
        raise ValueError("this idempotency_key was used with other events: use a key of its own for each write")
    return Repeat(user_id, position)


def answered_again(earlier: Earlier, links: Sequence[Link]) -> Appended:
    """The answer to a repeat, from the user's links up to then: folded again, so that no second copy has to be kept."""
    if not links or links[-1].version != earlier.version:
        raise StoreUnavailable(ERASED_MEANWHILE)
    return Appended(earlier.cursor, fold_all(unopened(earlier.user_id), entries_of(links)))


@contextmanager
def one_at_a_time(lock: threading.Lock, version: int) -> Iterator[None]:
    """
    Fold a history up to *version*. Of the long ones, each a second of work, one store folds one at a time: more would
    take every thread that others write in.

    Raises:
        StoreUnavailable: another long one is being folded.
    """
    is_long = version > LONG_HISTORY
    if is_long and not lock.acquire(blocking=False):
        raise StoreUnavailable("another repeat with a long history is being answered: try again")
    try:
        yield
    finally:
        if is_long:
            lock.release()


def folded(user_id: str) -> Sql[ConsentRecord]:
    """The record that a user's entries make."""
    return fold_all(unopened(user_id), entries_of((yield from history(user_id))))


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


def run(steps: Sql[T], execute: Callable[[Statement], list[Any]], begin: Callable[[], object] | None = None) -> T:
    """Run an operation in the thread that asks, statement by statement; *begin* is called after a `Before`, if any."""
    try:
        batch = next(steps)
        while True:
            if begin is not None and not isinstance(batch, Before):
                begin()
                begin = None
            batch = steps.send([execute(statement) for statement in batch])
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
