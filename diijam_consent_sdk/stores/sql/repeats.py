"""
Appends that are repeated with the same idempotency key: how one is recognised, and answered as the first time.

A key belongs to its user and to the events it was first used with. Events that only take away are written under a key
that was used for others, and are then kept beside them: nobody can keep a no out by using its key first.

Of an append only digests of its key and of its events are kept, so that no copy survives an erasure.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import attrs
import msgspec

from ...errors import KeyReused, OutcomeUnknown, StoreUnavailable, StoreUnusable
from ...events import Event, takes_away
from ...record import fold_all, unopened
from .. import wire
from .._call_queue import CallQueue
from ..answers import Appended, Cursor
from .dialect import entries_of
from .hash_chain import Link
from .statements import Row, Statement

LONG_HISTORY = 2_000  # entries; longer ones are folded one at a time
MAX_ASKED = 300  # keys in one statement, whose values SQLite limits
SELECT_APPEND = (
    "SELECT column1, column2, column3, (SELECT position FROM appends"
    " WHERE user_id = column1 AND key = column2 AND fingerprint = column3),"
    " EXISTS (SELECT 1 FROM appends WHERE user_id = column1 AND key = column2)"
)
ERASED_MEANWHILE = "the user was erased meanwhile: try again"


@attrs.frozen
class Repeat:
    """An append whose key was used before, with the same events: the user, and the position of its last entry."""

    user_id: str = attrs.field(repr=False)
    position: int


@attrs.frozen
class PastAppend:
    """The answer to an append, without the record, which has changed since."""

    cursor: Cursor
    user_id: str = attrs.field(repr=False)
    version: int


class RepeatKey(msgspec.Struct, frozen=True, gc=False):  # each is looked up several times: attrs hashes in Python
    """What recognises a repeat: the user, and digests of the key and of the events under it."""

    user_id: str
    key: bytes
    fingerprint: bytes

    def __repr__(self) -> str:
        return "<RepeatKey>"  # it names a user


def repeat_key(user_id: str, idempotency_key: str, events: Sequence[Event]) -> RepeatKey:
    """Digest an idempotency key and the events that are written under it."""
    events_digest = _fingerprint(idempotency_key, map(wire.encode_event, events))
    return RepeatKey(user_id, _key_digest(idempotency_key), events_digest)


def select_appends(keys: Iterable[RepeatKey | None]) -> list[Statement]:
    """Read the rows of `KnownAppends`; nothing if there are no keys."""
    asked = list(dict.fromkeys(key for key in keys if key is not None))
    return [_select_some(asked[start : start + MAX_ASKED]) for start in range(0, len(asked), MAX_ASKED)]


def _select_some(asked: Sequence[RepeatKey]) -> Statement:
    """
    Read for each key the position of the append with these events, and whether the key was used at all. A key may have
    been used with any number of noes, so these are not read.
    """
    places = ", ".join(["(?, ?, ?)"] * len(asked))
    values = tuple(value for key in asked for value in (key.user_id, key.key, key.fingerprint))
    return f"{SELECT_APPEND} FROM (VALUES {places}) asked", values


def insert_append(key: RepeatKey, position: int) -> Statement:
    """Keep what recognises a repeat of the append whose last entry is at *position*."""
    return "INSERT INTO appends VALUES (?, ?, ?, ?)", (key.user_id, key.key, key.fingerprint, position)


def delete_appends(user_id: str, tombstone: int) -> Statement:
    """Delete what is kept of a user's appends before the tombstone's."""
    return "DELETE FROM appends WHERE user_id = ? AND position < ?", (user_id, tombstone)


def _key_digest(key: str) -> bytes:
    """Hash an idempotency key: its row may move, and leave a copy behind."""
    return hashlib.sha256(key.encode()).digest()


def _fingerprint(key: str, events: Iterable[bytes]) -> bytes:
    """Hash the encoded events of an append. Only a holder of the key, which is not kept, could guess them from it."""
    return hmac.digest(key.encode(), b"\n".join(events), "sha256")


class KnownAppends:
    """
    Which of the appends that are asked for were written before.

    Args:
        answers: The rows of each statement of `select_appends`.
    """

    def __init__(self, answers: Iterable[Sequence[Row]]) -> None:
        self._positions: dict[RepeatKey, int] = {}
        self._used: set[tuple[str, bytes]] = set()
        for user_id, key, fingerprint, position, is_used in chain.from_iterable(answers):
            if not isinstance(position, int | None):
                raise wire.Malformed("an append was kept without its position")
            if is_used:
                self._used.add((user_id, key))
            if position is not None:
                self._positions[RepeatKey(user_id, key, fingerprint)] = position

    def repeat(self, key: RepeatKey, events: tuple[Event, ...]) -> Repeat | None:
        """
        Recognise a repeat. None: these events are to be written.

        Raises:
            KeyReused: the key was used with other events, and these do not only take away.
        """
        position = self._positions.get(key)
        if position is not None:
            return Repeat(key.user_id, position)
        if (key.user_id, key.key) in self._used and not takes_away(events):
            raise KeyReused("this idempotency_key was used with other events: use a new random key for each write")
        return None

    def add(self, key: RepeatKey, position: int) -> None:
        """Note an append that is written in this transaction."""
        self._positions[key] = position
        self._used.add((key.user_id, key.key))

    def forget(self, user_id: str) -> None:
        """Leave out what is deleted when a user is erased in this transaction."""
        self._positions = {key: position for key, position in self._positions.items() if key.user_id != user_id}
        self._used = {used for used in self._used if used[0] != user_id}


def owner_version(repeat: Repeat, rows: Sequence[Any]) -> int:
    """
    Find the version that the repeated append made, from version, user and time of its last entry.

    Raises:
        StoreUnavailable: the user was erased meanwhile.

        StoreUnusable: the entry is missing.
    """
    if not rows:
        raise StoreUnusable("the database is damaged: an append's entry is missing")
    version, user_id, at = rows[0][1:]
    if (version, user_id, at) == (None, None, None):
        raise StoreUnavailable(ERASED_MEANWHILE)
    if not isinstance(version, int) or user_id != repeat.user_id:
        raise wire.Malformed("an append's entry has no version, or another user")
    return version


@contextmanager
def known_as_written(key: str) -> Iterator[None]:
    """Raise `OutcomeUnknown` for a `StoreUnavailable` in the block: that one promises that nothing was written."""
    try:
        yield
    except StoreUnavailable as error:
        raise OutcomeUnknown(f"this was written before, and its answer cannot be read: {error}", key) from error


def rebuild(past: PastAppend, links: Sequence[Link]) -> Appended:
    """Answer a repeat by folding the user's links up to then: no second copy of the record has to be kept."""
    if not links or links[-1].version != past.version:
        raise StoreUnavailable(ERASED_MEANWHILE)
    record = fold_all(unopened(past.user_id), entries_of(links))
    return Appended(past.cursor, past.version, is_repeat=True, record=record)


class LongFolds:
    """
    A limit of one long fold at a time in each process. A long history takes a second of work: more at once would take
    every thread that others write in. Safe to use from several threads, and after a fork.
    """

    def __init__(self) -> None:
        self._under_way = CallQueue()

    @contextmanager
    def folding(self, version: int) -> Iterator[None]:
        """
        Fold a history up to *version* within the block.

        Raises:
            StoreUnavailable: another long one is being folded.
        """
        if version <= LONG_HISTORY:
            yield
            return
        with self._under_way.join() as ticket:
            if self._under_way.first() is not ticket.over:
                raise StoreUnavailable("another repeat with a long history is being answered: try again")
            yield
