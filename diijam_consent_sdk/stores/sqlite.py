"""A ledger in one SQLite file, shared by the threads and processes of one machine."""

from __future__ import annotations

import functools
import hashlib
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path

import attrs

from ..errors import LedgerBroken, StoreUnusable, VersionConflict
from ..events import Erased, Event, LedgerEntry
from ..record import ConsentRecord, fold, unopened
from ..vocabulary import identifier, instant
from . import wire
from ._sqlite_file import FILLER_BYTES, SqliteFile
from .chain import GENESIS, SALT_BYTES, Link, Verifier, fingerprint, stamp, time_from
from .protocol import Appended, Changes, Cursor, Loaded, checked_batch, checked_ids, checked_version

LOOK_EVERY_SECONDS = 0.02  # how often a long poll looks for what another process wrote
LINK = "position, user_id, version, at, event, salt, digest, hash"


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class SqliteStore:
    """
    A store in the SQLite file at *path*: WAL, synchronous=FULL, one writer at a time, readers beside it.

    Safe to use from several threads, and by several processes on one file; a forked child opens its own connections.
    Erased content is overwritten in the file as well (secure_delete, and the write-ahead log truncated).

    Args:
        path: The file. It is made if it is missing, unless *create* is false.

        clock: The wall clock that stamps entries: returns an aware datetime.

        busy_seconds: How long a call waits for another process's lock before it raises `StoreUnavailable`.

        create: Whether to make a missing file.

    Attributes:
        path: The file; None for a ledger in memory.

    Raises:
        StoreUnusable: the file is damaged, another program's, or of a newer version of this library.

        StoreUnavailable: the file cannot be opened. (One that is only locked just now raises when it is used.)
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        clock: Callable[[], datetime] = utc_now,
        busy_seconds: float = 0.9,
        create: bool = True,
    ) -> None:
        self._clock = clock
        self._file = SqliteFile(path, busy_seconds=busy_seconds, create=create)
        self.path: Path | None = self._file.path

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        wanted = checked_ids(user_ids)
        with self._file.reading() as db:
            head, last_at = _head(db)
            found = _records(db, wanted)
            return Loaded(head, self._now(last_at), tuple(found.get(u) or unopened(u) for u in wanted))

    def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Appended:
        """See `Store.append`."""
        user_id, batch = identifier(user_id), checked_batch(events)
        expected_version = checked_version(expected_version)
        if idempotency_key is not None:
            idempotency_key = identifier(idempotency_key)
        with self._file.writing(idempotency_key) as db:
            appended = _kept(db, user_id, idempotency_key, batch)
            if appended is None:
                appended = self._write(db, user_id, batch, expected_version)
                _keep(db, user_id, idempotency_key, batch, appended.cursor.position)
                if isinstance(batch[-1], Erased):
                    _erase(db, user_id, idempotency_key, appended.cursor.position)
                    self._file.owe_scrub(db)
        self._file.scrub(has_erased=isinstance(batch[-1], Erased))
        return appended

    def _write(
        self, db: sqlite3.Connection, user_id: str, batch: tuple[Event, ...], expected_version: int | None
    ) -> Appended:
        head, last_at = _head(db)
        record = _records(db, [user_id]).get(user_id) or unopened(user_id)
        if expected_version is not None and record.version != expected_version:
            raise VersionConflict(expected_version, record.version)
        links, record = stamp(record, batch, self._now(last_at), head)
        rows = [attrs.astuple(link, recurse=False) for link in links]
        db.executemany(f"INSERT INTO entries ({LINK}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        row = (user_id, FILLER_BYTES, wire.encode(record))
        db.execute("INSERT OR REPLACE INTO records VALUES (?, zeroblob(?), ?)", row)
        return Appended(Cursor(head.epoch, links[-1].position, links[-1].hash.hex()), record)

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        if limit < 1:
            raise ValueError(f"limit is at least 1, not {limit}")
        started = time.monotonic()
        while True:
            waited = time.monotonic() - started
            with self._file.reading() as db:
                head, _ = _head(db)
                if not _is_known(db, after, head):
                    return Changes(after, head, {}, complete=True, waited=0.0)
                if head.position > after.position:
                    return _changes(db, after, head, limit, waited)
            if not waited < wait:  # nor if it is not a number
                return Changes(after, head, {}, complete=True, waited=waited)
            self._file.pause(min(LOOK_EVERY_SECONDS, wait - waited))

    def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        user_id = identifier(user_id)
        with self._file.reading() as db:
            return _history(db, user_id)

    def verify(self) -> Cursor:
        """
        Re-compute the whole chain, and every record from its entries.

        Returns:
            The head that all of it leads to.

        Raises:
            LedgerBroken: names the first entry that is missing, altered or out of order, or the last entry if all
                fit but a record is not what its entries make.
        """
        with self._file.reading() as db:
            verifier = Verifier()
            try:
                for row in db.execute(f"SELECT {LINK} FROM entries ORDER BY position"):
                    verifier.add(Link(*row))
            except sqlite3.OperationalError as error:
                raise LedgerBroken(verifier.position + 1, "it cannot be read") from error
            verifier.finish()
            for user_id, data in db.execute("SELECT user_id, record FROM records"):
                if not _is_made(db, user_id, data):
                    raise LedgerBroken(verifier.position, "a record is not what its entries make")
            ((users,),) = db.execute("SELECT count(*) FROM records")
            if users != verifier.users:
                raise LedgerBroken(verifier.position, f"{verifier.users} users have entries, {users} have a record")
            return _head(db)[0]

    def begin_epoch(self) -> None:
        """
        Begin another epoch, for a ledger that may have been replaced by a copy: whoever knows a cursor starts anew.

        Raises:
            StoreError: it could not be written.
        """
        with self._file.writing(None) as db:
            db.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (secrets.token_hex(16),))

    def close(self) -> None:
        """See `Store.close`."""
        self._file.close()

    def _now(self, last_at: datetime | None) -> datetime:
        now = instant(self._clock())
        return now if last_at is None else max(now, last_at)


def _head(db: sqlite3.Connection) -> tuple[Cursor, datetime | None]:
    """The head, and the time of its entry: never an erased one, since an erasure's last entry stays."""
    epoch = _epoch(db)
    head = db.execute("SELECT position, hash, at FROM entries ORDER BY position DESC LIMIT 1").fetchone()
    if head is None:
        return Cursor(epoch, 0, GENESIS.hex()), None
    return _cursor(epoch, head[0], head[1]), time_from(head[2])


def _epoch(db: sqlite3.Connection) -> str:
    row = db.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
    if row is None or not isinstance(row[0], str):
        raise wire.Malformed("it has no epoch")
    return row[0]


def _cursor(epoch: str, position: int, chain: object) -> Cursor:
    if not isinstance(chain, bytes):
        raise wire.Malformed("the hash of an entry is none")
    return Cursor(epoch, position, chain.hex())


def _records(db: sqlite3.Connection, user_ids: list[str]) -> dict[str, ConsentRecord]:
    asked = wire.encode(user_ids).decode()
    rows = db.execute("SELECT user_id, record FROM records WHERE user_id IN (SELECT value FROM json_each(?))", (asked,))
    records = {user_id: wire.decode_record(record) for user_id, record in rows}
    if any(user_id != record.user_id for user_id, record in records.items()):
        raise StoreUnusable("the database is damaged: a record stands under another user's id")
    return records


def _history(db: sqlite3.Connection, user_id: str, up_to: int = 2**63 - 1) -> list[LedgerEntry]:
    rows = db.execute(
        f"SELECT {LINK} FROM entries WHERE user_id = ? AND position <= ? ORDER BY version", (user_id, up_to)
    )
    return [Link(*row).entry() for row in rows]


def _folded(db: sqlite3.Connection, user_id: str, up_to: int = 2**63 - 1) -> ConsentRecord:
    return functools.reduce(fold, _history(db, user_id, up_to), unopened(user_id))


def _is_made(db: sqlite3.Connection, user_id: str, record: bytes) -> bool:
    try:
        return wire.encode(_folded(db, user_id)) == record
    except LookupError:  # entries that no record accepts, under hashes that fit
        return False


def _is_known(db: sqlite3.Connection, cursor: Cursor, head: Cursor) -> bool:
    """Whether a cursor is of this history: same epoch, and the same chain hash at its position."""
    if cursor.epoch != head.epoch or not 0 <= cursor.position <= head.position:
        return False
    return _cursor_at(db, head.epoch, cursor.position) == cursor


def _cursor_at(db: sqlite3.Connection, epoch: str, position: int) -> Cursor | None:
    if position == 0:
        return Cursor(epoch, 0, GENESIS.hex())
    row = db.execute("SELECT hash FROM entries WHERE position = ?", (position,)).fetchone()
    return None if row is None else _cursor(epoch, position, row[0])


def _changes(db: sqlite3.Connection, after: Cursor, head: Cursor, limit: int, waited: float) -> Changes:
    rows = db.execute(
        "SELECT position, user_id, hash FROM entries WHERE position > ? AND user_id IS NOT NULL"
        " ORDER BY position LIMIT ?",
        (after.position, limit),
    ).fetchall()
    last = {user_id: position for position, user_id, _ in rows}
    in_order = dict(sorted(last.items(), key=lambda item: item[1]))
    cursor = _cursor(head.epoch, rows[-1][0], rows[-1][2])
    return Changes(after, cursor, in_order, complete=cursor == head, waited=waited)


def _kept(db: sqlite3.Connection, user_id: str, key: str | None, batch: tuple[Event, ...]) -> Appended | None:
    """The answer given when this key was first used; folded again, so that no second copy of it has to be kept."""
    row = db.execute(
        "SELECT salt, fingerprint, position FROM appends WHERE user_id = ? AND key = ?", (user_id, _digest(key))
    ).fetchone()
    if row is None:
        return None
    salt, known, position = row
    if not (isinstance(salt, bytes) and isinstance(position, int)):
        raise wire.Malformed("what is kept of an append is none")
    if fingerprint(salt, batch) != known:
        raise ValueError("this idempotency_key was used with other events: use a key of its own for each write")
    cursor = _cursor_at(db, _epoch(db), position)
    if cursor is None:
        raise StoreUnusable("the database is damaged: an append's entry is missing")
    return Appended(cursor, _folded(db, user_id, position))


def _keep(db: sqlite3.Connection, user_id: str, key: str | None, batch: tuple[Event, ...], position: int) -> None:
    if key is not None:
        salt = secrets.token_bytes(SALT_BYTES)
        row = (user_id, _digest(key), salt, fingerprint(salt, batch), position)
        db.execute("INSERT INTO appends VALUES (?, ?, ?, ?, ?)", row)


def _erase(db: sqlite3.Connection, user_id: str, key: str | None, tombstone: int) -> None:
    """Leave of a user the tombstone, and of the earlier entries what the chain needs."""
    db.execute(
        "UPDATE entries SET user_id = NULL, version = NULL, at = NULL, event = NULL, salt = NULL"
        " WHERE user_id = ? AND position < ?",
        (user_id, tombstone),
    )
    db.execute("DELETE FROM appends WHERE user_id = ? AND key IS NOT ?", (user_id, _digest(key)))


def _digest(key: str | None) -> bytes | None:
    """What is kept of an idempotency key: its row may move, and leave a copy behind."""
    return None if key is None else hashlib.sha256(key.encode()).digest()
