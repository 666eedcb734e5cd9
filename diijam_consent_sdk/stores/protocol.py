"""
The protocol of every store, so that a client works the same over any database.

A store raises `StoreUnavailable` if it did nothing, `OutcomeUnknown` if it may have written, `StoreUnusable` if what it
found cannot be trusted, and no other error for an outage. One contract test suite holds all stores to this page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from ..events import Event, LedgerEntry, Provenance
from .answers import (
    BEFORE_FIRST,
    MAX_LOAD_BYTES,
    MAX_POSITION,
    Appended,
    Changes,
    Cursor,
    Entries,
    ErasurePlace,
    Loaded,
    OpenRequests,
    OwedErasures,
    StandingRow,
    Standings,
    StandingsPage,
    Write,
    WriteResult,
)
from .async_protocol import AsyncStore
from .changes_stream import AsyncChangesStream, ChangesStream, StreamsChanges
from .registry import Registry

__all__ = [  # the whole protocol, wherever its parts are
    "BEFORE_FIRST",
    "MAX_LOAD_BYTES",
    "MAX_POSITION",
    "Appended",
    "AsyncChangesStream",
    "AsyncStore",
    "Changes",
    "ChangesStream",
    "Cursor",
    "Entries",
    "ErasurePlace",
    "Loaded",
    "OpenRequests",
    "OwedErasures",
    "StandingRow",
    "Standings",
    "StandingsPage",
    "Store",
    "StreamsChanges",
    "Write",
    "WriteResult",
]


class Store(Registry, Protocol):
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

            KeyReused: the key was used with other events, and these do not only take away.

            ValueError: there are no events or more than 1,000, or an argument is malformed.

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

    def erasures(self, holder: str, after: ErasurePlace | None = None, *, limit: int = 1000) -> OwedErasures:
        """
        Read the erasures that *holder* has yet to confirm after a place, at most *limit* of them in one page.

        Raises:
            ValueError: no such holder is registered.
        """

    def close(self) -> None:
        """Release what the store holds; any further call raises `StoreUnavailable`."""
