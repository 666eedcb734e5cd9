"""
The protocol of every store, and the values it answers with, so that a client works the same over any database.

A store raises `StoreUnavailable` if it did nothing, `OutcomeUnknown` if it may have written, `StoreUnusable` if what it
found cannot be trusted, and no other error for an outage. One contract test suite holds all stores to this page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs
import msgspec

from ..errors import ConsentError
from ..events import Event, LedgerEntry, Provenance
from ..record import ConsentRecord
from ..standing import EVERY_ASK, View
from .registry import AsyncNotices, Notices

MAX_LOAD_BYTES = 32 * 2**20  # of the records or standings of one call, as JSON


MAX_POSITION = 2**63 - 1
BEFORE_FIRST = "00" * 32  # the chain hash before the first entry, in hex


@attrs.frozen
class Cursor:
    """
    A place in one unbroken history. `str(cursor)` makes a token of it, `Cursor.parse` reads the token.

    `epoch` is the random id of the history, `position` the entry's (0 before the first), `hash` its chain hash in hex.
    """

    epoch: str
    position: int
    hash: str

    def __str__(self) -> str:
        return f"{self.epoch}.{self.position}.{self.hash}"

    def beginning(self) -> Cursor:
        """Return the place before the first entry of the same history."""
        return Cursor(self.epoch, 0, BEFORE_FIRST)

    @classmethod
    def parse(cls, token: str) -> Cursor:
        """
        Read the cursor that a token stands for.

        Raises:
            TypeError: *token* is not a string.

            ValueError: *token* is not what `Appended.token` gives.
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
    Records of the ids asked, in order, as of `cursor`, which was the store's head at `at` by its wall clock (UTC).

    An id that was given twice has one record, at its first place.
    """

    cursor: Cursor
    at: datetime
    records: tuple[ConsentRecord, ...]


class StandingRow(
    msgspec.Struct, frozen=True, gc=False
):  # a cold cache makes one for each user: attrs takes 5 times longer
    """
    One user's standing: the version of the record that it was made of, and its bytes (`stores.standings`). A user
    without entries has version 0.
    """

    user_id: str
    version: int
    standing: bytes

    def __repr__(self) -> str:
        return f"StandingRow(version={self.version})"


@attrs.frozen
class Standings:
    """
    Standings of the ids asked, in order, as of `cursor`, which was the store's head at `at` by its wall clock (UTC).

    An id that was given twice has one row, at its first place. Each standing is made for `at`, so that the ends in it
    lie after `at`, and for the asks of `view`.
    """

    cursor: Cursor
    at: datetime
    view: View
    users: tuple[StandingRow, ...] = attrs.field(repr=False)


@attrs.frozen
class StandingsPage:
    """
    Standings of users with entries, erased ones too, in order of their ids by the bytes of their UTF-8. The rest as in
    `Standings`.

    `after` is the id to go on from; None after the last page. A page that has fewer users than asked for may still have
    a next one.
    """

    cursor: Cursor
    at: datetime
    view: View
    users: tuple[StandingRow, ...] = attrs.field(repr=False)
    after: str | None = attrs.field(repr=False)


@attrs.frozen
class OpenRequests:
    """
    A page of the users with open requests, in order of their ids, as of the store's time `at`.

    `after` is the id to go on from; None after the last page.
    """

    at: datetime
    records: tuple[ConsentRecord, ...] = attrs.field(repr=False)
    after: str | None = attrs.field(repr=False)


@attrs.frozen
class Appended:
    """
    A durable append.

    `cursor` is that of its last entry, and `version` the one that this entry gave the user's record. `is_repeat`: the
    same key and events were written before, and nothing was now; `cursor`, `version` and `record` are of that time. A
    call that tried again after a fault says so of a try of its own, too. `record` is what the append made of the user;
    None if the service's token may not read records.
    """

    cursor: Cursor
    version: int
    is_repeat: bool
    record: ConsentRecord | None

    @property
    def token(self) -> str:
        """The token for `client.user(id, at_least=token)`, by which another process sees at least this write."""
        return str(self.cursor)


@attrs.frozen
class Write:
    """The arguments of one `Store.append`, for `append_many`."""

    user_id: str = attrs.field(repr=False)
    events: Sequence[Event] = attrs.field(repr=False)
    expected_version: int | None = None
    idempotency_key: str | None = attrs.field(default=None, repr=False)
    provenance: Provenance | None = attrs.field(default=None, repr=False)


WriteResult = Appended | ConsentError | ValueError  # of one of many; the error is what `append` would raise


@attrs.frozen
class Changes:
    """
    The users changed in (`after`, `cursor`], each with the position of its last change there, in order of position.

    `complete` is true if `cursor` is the store's head. `waited` is how many seconds the store waited before it looked.
    `view` is that of the standings which the store gives.
    """

    after: Cursor
    cursor: Cursor
    user_ids: Mapping[str, int] = attrs.field(repr=False)
    complete: bool
    waited: float
    view: View = EVERY_ASK

    def is_continuation(self) -> bool:
        """Whether `after` is in the store's history; if not, the answer holds only the head of another history."""
        return bool(self.user_ids) or self.cursor == self.after

    def is_within_page(self) -> bool:
        """Whether each change lies after `after`, and not past `cursor`."""
        first, last = self.after.position, self.cursor.position
        return all(first < position <= last for position in self.user_ids.values())


@attrs.frozen
class Entries:
    """
    The entries in (`after`, `cursor`], in order of position. Those that an erasure blanked are left out; the `Erased`
    of the same user follows.

    `complete` is true if `cursor` is the store's head.
    """

    after: Cursor
    cursor: Cursor
    entries: tuple[LedgerEntry, ...] = attrs.field(repr=False)
    complete: bool

    @property
    def token(self) -> str:
        """The token to go on from, once the entries were taken in."""
        return str(self.cursor)

    def is_continuation(self) -> bool:
        """Whether `after` is in the store's history; if not, the answer holds only the head of another history."""
        return bool(self.entries) or self.cursor == self.after


class Store(Notices, Protocol):
    """A ledger and its records. Safe to use from several threads."""

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """
        Read the records of these users and the head, on a state with all appends acknowledged before the call.

        Raises:
            TooLarge: several records have more than `MAX_LOAD_BYTES` together; ask for fewer users.
        """

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """
        Read the standings of these users and the head, on a state with all appends acknowledged before the call. Each
        is made for the time of the answer; of no ids: just the head.

        Raises:
            TooLarge: several standings have more than `MAX_LOAD_BYTES` together; ask for fewer users.
        """

    def list_standings(self, after_user_id: str | None, limit: int = 1000) -> StandingsPage:
        """
        Read the standings of the users with entries after *after_user_id*, at most *limit* of them in one page; of all
        users to begin with (None). A page may be shorter, so that it has at most `MAX_LOAD_BYTES`.
        """

    def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        provenance: Provenance | None = None,
    ) -> Appended:
        """
        Write all events or none, durable before this returns.

        A key belongs to its user, for all writers. The same key and events again give the same answer with `is_repeat`,
        and write nothing; *expected_version* is no part of it. Events that only take away (`events.takes_away`) are
        written also under a key that was used for others. The key of a refused append is free.

        One *provenance* holds for all events. Its `by` is kept as it is given: clients and the service set it.

        Raises:
            InvalidEvent: the policy refuses one of the events.

            VersionConflict: the record is not at *expected_version*.

            ValueError: there are no events or more than 1,000, the key was used with others and these do not only take
                away, or an argument is malformed.

            TypeError: an argument has another type.

            StoreUnavailable: nothing was written.

            OutcomeUnknown: the events may have been written; the same call with the same key finds out.
        """

    def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """
        Write up to 1,000 appends in one transaction, durable before this returns. Each is judged as `append` does,
        after those before it, and one that is refused leaves the others alone.

        Returns:
            The result of each, in order. A refused one is an error, which is not raised.

        Raises:
            ValueError: there are more than 1,000 writes, or more than 10,000 events; nothing was written.

            TypeError: an argument has another type; nothing was written.

            TooLarge: the records of the users are too large together: write fewer at once. Nothing was written.

            StoreUnavailable: nothing was written.

            OutcomeUnknown: they may have been written; the same call finds out, if each write has a key.
        """

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """
        Find the users changed since *after*, at most *limit* entries on. With nothing new, wait up to *wait* seconds.

        An *after* that is not in this history gives the head and no users, at once.
        """

    def entries(self, after: Cursor, *, wait: float, limit: int = 1000) -> Entries:
        """
        Read the ledger after *after*, at most *limit* entries. With nothing new, wait up to *wait* seconds.

        An *after* that is not in this history gives the head and no entries, at once.
        """

    def history(self, user_id: str) -> list[LedgerEntry]:
        """Read the user's entries, oldest first; of an erased user the `Erased` alone."""

    def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """Read the users after *after* with open requests, at most *limit* of them in one page."""

    def close(self) -> None:
        """Release what the store holds; any further call raises `StoreUnavailable`."""


class AsyncStore(AsyncNotices, Protocol):
    """The same ledger, its methods coroutines."""

    async def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""

    async def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""

    async def list_standings(self, after_user_id: str | None, limit: int = 1000) -> StandingsPage:
        """See `Store.list_standings`."""

    async def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        provenance: Provenance | None = None,
    ) -> Appended:
        """See `Store.append`."""

    async def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """See `Store.append_many`."""

    async def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""

    async def entries(self, after: Cursor, *, wait: float, limit: int = 1000) -> Entries:
        """See `Store.entries`."""

    async def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""

    async def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""

    async def close(self) -> None:
        """See `Store.close`."""


class ChangesStream(Iterator[Changes], Protocol):
    """
    The answer to a poll in parts. Each part is a whole answer, whose `after` is the `cursor` of the part before.

    `next` waits for a part, and raises `StoreUnavailable` if none came in time or one is not right; the stream is over
    then.
    """

    def close(self) -> None:
        """End the stream, from any thread at any time. A thread that waits for a part is woken, and finds the end."""


class AsyncChangesStream(Protocol):
    """The same for tasks."""

    def __aiter__(self) -> AsyncChangesStream: ...

    async def __anext__(self) -> Changes: ...

    async def aclose(self) -> None:
        """End the stream, from any task of its event loop."""

    def close(self) -> None:
        """End the stream without waiting for that, from anywhere; what is left is done by its event loop."""


@runtime_checkable
class StreamsChanges(Protocol):
    """A store, of either kind, that can answer one poll in parts: one over HTTP."""

    def stream_changes(
        self,
        after: Cursor,
        *,
        wait: float,
        beat: float,
        limit: int = 1000,
        client: str | None = None,
        silence: float | None = None,
    ) -> ChangesStream | AsyncChangesStream:
        """
        Begin a poll that is answered in parts: one at once, one for each news, and one after *beat* seconds without.

        Nothing is sent before the first part is asked for.

        Args:
            after: As for `Store.changes`.

            wait: Seconds after which the stream ends.

            beat: Seconds after which a part comes without news.

            limit: How many entries each part goes on at most.

            client: A random name of the asking client. A new stream of the same name ends the one before it.

            silence: Seconds without a part after which the stream is over; by default *beat* and the call's deadline.
        """
