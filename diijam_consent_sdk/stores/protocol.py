"""
What every store does, whatever keeps its ledger. One contract test suite holds all stores to this page.

A store raises `StoreUnavailable` where it did nothing, `OutcomeUnknown` where it may have, `StoreUnusable` where
what is there cannot be trusted, and never anything else for what the world does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Protocol, get_args

import attrs

from ..events import Event, LedgerEntry
from ..policy import MAX_EVENTS
from ..record import ConsentRecord
from ..vocabulary import identifier

MAX_LOAD_BYTES = 32 * 2**20  # of the records of one load, as JSON


@attrs.frozen
class Cursor:
    """
    A place in one unbroken history. As a token: `str(cursor)`, and back: `Cursor.parse`.

    `epoch` is the random id of the history, `position` the entry's (0: before the first), `hash` its chain hash in hex.
    """

    epoch: str
    position: int
    hash: str

    def __str__(self) -> str:
        return f"{self.epoch}.{self.position}.{self.hash}"

    @classmethod
    def parse(cls, token: str) -> Cursor:
        """
        The cursor that a token stands for.

        Raises:
            TypeError: *token* is not a string.

            ValueError: it is not what `Appended.token` gives.
        """
        if not isinstance(token, str):
            raise TypeError(f"a token is a string, not {type(token).__name__}")
        epoch, _, rest = token.partition(".")
        position, _, chain = rest.partition(".")
        if not (epoch and chain and position.isascii() and position.isdigit() and len(position) < 20):
            raise ValueError("malformed token: pass Appended.token as it is")
        return cls(epoch, int(position), chain)


@attrs.frozen
class Loaded:
    """
    Records of the ids asked, in order, as of `cursor`: the store's head when its wall clock showed `at` (UTC).

    An id that was given twice has one record, at its first place.
    """

    cursor: Cursor
    at: datetime
    records: tuple[ConsentRecord, ...]


@attrs.frozen
class OpenRequests:
    """
    A page of the users with open requests, in order of their ids, as of the store's time `at`.

    `after` is the id to go on from; None: that was the last page.
    """

    at: datetime
    records: tuple[ConsentRecord, ...] = attrs.field(repr=False)
    after: str | None = attrs.field(repr=False)


@attrs.frozen
class Appended:
    """A durable append: the cursor of its last entry, and the record it made."""

    cursor: Cursor
    record: ConsentRecord

    @property
    def token(self) -> str:
        """What another process passes as `client.user(id, at_least=token)` to see at least this write."""
        return str(self.cursor)


@attrs.frozen
class Changes:
    """
    The users changed in (`after`, `cursor`], each with the position of its last change there, in order of position.

    `complete`: `cursor` is the store's head. `waited`: seconds the store itself waited before it looked.
    """

    after: Cursor
    cursor: Cursor
    user_ids: Mapping[str, int] = attrs.field(repr=False)
    complete: bool
    waited: float

    def is_continuation(self) -> bool:
        """Whether `after` is in the store's history: else the answer is a head that was not reached from there."""
        return bool(self.user_ids) or self.cursor == self.after


class Store(Protocol):
    """A ledger and its records. Safe to use from several threads."""

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """
        The records of these users and the head, read after the call on a state with all acknowledged appends.

        Raises:
            TooLarge: several records have together more than `MAX_LOAD_BYTES`: ask for fewer users.
        """

    def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Appended:
        """
        Write all events or none, durable before it returns; with the same key again, the same answer.

        Raises:
            InvalidEvent: the policy refuses one of the events.

            VersionConflict: the record is not at *expected_version*.

            ValueError: there are no events or more than 1,000, the key was used with others, or an argument is
                malformed.

            TypeError: an argument has another type.

            StoreUnavailable: nothing was written.

            OutcomeUnknown: it may have been written; the same call with the same key tells.
        """

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """
        Who changed since *after*, at most *limit* entries on; with nothing new, after up to *wait* seconds.

        An *after* that is not in this history gives at once the head and no users.
        """

    def history(self, user_id: str) -> list[LedgerEntry]:
        """The user's entries, oldest first; of an erased user the `Erased` alone."""

    def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """The users after *after* with open requests, at most *limit* of them in one page."""

    def close(self) -> None:
        """Let go of what the store holds; any further call raises `StoreUnavailable`."""


class AsyncStore(Protocol):
    """The same ledger, its methods coroutines."""

    async def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""

    async def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Appended:
        """See `Store.append`."""

    async def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""

    async def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""

    async def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""

    async def close(self) -> None:
        """See `Store.close`."""


def checked_ids(user_ids: Iterable[str]) -> list[str]:
    """Each id once, in order; `TypeError` for one id in place of many, and what `identifier` raises for a bad one."""
    if isinstance(user_ids, (str, bytes)):
        raise TypeError("user_ids is a list of ids, not one id")
    return list(dict.fromkeys(map(identifier, user_ids)))


def checked_batch(events: Iterable[Event]) -> tuple[Event, ...]:
    """The events as a tuple; `ValueError` if there are none or more than 1,000, `TypeError` for what is no event."""
    batch = tuple(islice(events, MAX_EVENTS + 1))
    if not batch:
        raise ValueError("there are no events to append")
    if len(batch) > MAX_EVENTS:
        raise ValueError(f"one append has at most {MAX_EVENTS:,} events: make several of it")
    for event in batch:
        if not isinstance(event, get_args(Event)):
            raise TypeError(f"an event is needed, not {type(event).__name__}")
    return batch


def checked_version(version: int | None) -> int | None:
    """An `expected_version` as it is; `TypeError` if it is no whole number, `ValueError` if it is below 0."""
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise TypeError(f"expected_version is a whole number or None, not {type(version).__name__}")
    if version is not None and version < 0:
        raise ValueError("expected_version is 0 or more")
    return version
