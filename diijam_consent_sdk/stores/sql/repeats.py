"""
Appends that are repeated with the same idempotency key: how one is recognised, and answered as the first time.

Of an append only its key's digest and a salted fingerprint of its events are kept, so that no copy survives an erasure.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from ...errors import StoreUnavailable, StoreUnusable
from ...events import Event
from ...record import fold_all, unopened
from .. import wire
from .._call_queue import CallQueue
from ..protocol import Appended, Cursor
from .dialect import entries_of
from .hash_chain import SALT_BYTES, Link, fingerprint
from .statements import Row, Statement

LONG_HISTORY = 2_000  # entries; longer ones are folded one at a time
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


def select_append(user_id: str, key: str | None) -> Statement:
    """Read what is kept of the append with this key."""
    select = "SELECT salt, fingerprint, position FROM appends WHERE user_id = ? AND key = ?"
    return select, (user_id, key_digest(key))


def insert_append(user_id: str, key: str, links: Sequence[Link]) -> Statement:
    """Keep what recognises a repeat of the append that wrote *links*."""
    salt = secrets.token_bytes(SALT_BYTES)
    known = fingerprint(salt, (link.event or b"" for link in links))
    return "INSERT INTO appends VALUES (?, ?, ?, ?, ?)", (user_id, key_digest(key), salt, known, links[-1].position)


def delete_appends(user_id: str, *, but: str | None) -> Statement:
    """Delete what is kept of a user's appends, but for the one with the key *but*."""
    return "DELETE FROM appends WHERE user_id = ? AND key <> ?", (user_id, key_digest(but) or b"")


def key_digest(key: str | None) -> bytes | None:
    """Hash an idempotency key: its row may move, and leave a copy behind."""
    return None if key is None else hashlib.sha256(key.encode()).digest()


def repeat_from(user_id: str, row: Row, events: tuple[Event, ...]) -> Repeat:
    """
    Recognise a repeat by a row of `select_append`.

    Raises:
        ValueError: the key was used with other events.
    """
    salt, known, position = row
    if not (isinstance(salt, bytes) and isinstance(position, int)):
        raise wire.Malformed("an append was kept without its salt or position")
    if fingerprint(salt, map(wire.encode_event, events)) != known:
        raise ValueError("this idempotency_key was used with other events: use a new key for each write")
    return Repeat(user_id, position)


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
