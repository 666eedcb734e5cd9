"""
Effects: what a client waits for, as values. The engine's functions are generators that yield one effect at a time and
are sent its outcome, so the same code runs in threads, in asyncio tasks and in the simulator (see `runners`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any, Generic, Protocol, TypeVar

import attrs

from .._threads import Promise
from ..events import Event, Provenance
from ..stores.answers import Appended, Changes, Cursor, Entries, Loaded, OpenRequests, Standings, StandingsPage
from ..stores.async_protocol import AsyncStore
from ..stores.changes_stream import AsyncChangesStream, ChangesStream, StreamsChanges
from ..stores.protocol import Store

T = TypeVar("T")
AnyStore = Store | AsyncStore
AnyStream = ChangesStream | AsyncChangesStream


class StoreCall(Generic[T]):
    """One call of a store's method. Its arguments name users, so its repr leaves them out."""

    @abstractmethod
    def on(self, store: AnyStore) -> T | Awaitable[T]:
        """Make the call: the answer of a sync store, the awaitable answer of an async one."""


@attrs.frozen
class Load(StoreCall[Loaded]):
    """Load the records of these users."""

    user_ids: tuple[str, ...] = attrs.field(repr=False)

    def on(self, store: AnyStore) -> Loaded | Awaitable[Loaded]:
        """See `StoreCall.on`."""
        return store.load(self.user_ids)


@attrs.frozen
class LoadStandings(StoreCall[Standings]):
    """Load the standings of these users."""

    user_ids: tuple[str, ...] = attrs.field(repr=False)

    def on(self, store: AnyStore) -> Standings | Awaitable[Standings]:
        """See `StoreCall.on`."""
        return store.standings(self.user_ids)


@attrs.frozen
class Append(StoreCall[Appended]):
    """Append events of one user."""

    user_id: str = attrs.field(repr=False)
    events: tuple[Event, ...] = attrs.field(repr=False)
    expected_version: int | None
    idempotency_key: str = attrs.field(repr=False)
    provenance: Provenance = attrs.field(repr=False)

    def on(self, store: AnyStore) -> Appended | Awaitable[Appended]:
        """See `StoreCall.on`."""
        return store.append(
            self.user_id, self.events,
            expected_version=self.expected_version, idempotency_key=self.idempotency_key, provenance=self.provenance,
        )  # fmt: skip


@attrs.frozen
class ChangesSince(StoreCall[Changes]):
    """Poll the change feed for up to *wait* seconds."""

    after: Cursor
    wait: float = 0.0
    limit: int = 1000

    def on(self, store: AnyStore) -> Changes | Awaitable[Changes]:
        """See `StoreCall.on`."""
        return store.changes(self.after, wait=self.wait, limit=self.limit)


@attrs.frozen
class ListStandings(StoreCall[StandingsPage]):
    """Load the page of everybody's standings that follows a user id."""

    after: str | None = attrs.field(repr=False)
    limit: int

    def on(self, store: AnyStore) -> StandingsPage | Awaitable[StandingsPage]:
        """See `StoreCall.on`."""
        return store.list_standings(self.after, self.limit)


@attrs.frozen
class EntriesAfter(StoreCall[Entries]):
    """Read the ledger in order, waiting up to *wait* seconds for news."""

    after: Cursor
    wait: float = 0.0

    def on(self, store: AnyStore) -> Entries | Awaitable[Entries]:
        """See `StoreCall.on`."""
        return store.entries(self.after, wait=self.wait)


@attrs.frozen
class StreamChanges(StoreCall[AnyStream]):
    """Begin a poll that is answered in parts. Its outcome is the stream; nothing is sent before the first part."""

    after: Cursor
    wait: float
    beat: float
    client: str
    silence: float

    def on(self, store: AnyStore) -> AnyStream:
        """See `StoreCall.on`."""
        assert isinstance(store, StreamsChanges)
        return store.stream_changes(
            self.after, wait=self.wait, beat=self.beat, client=self.client, silence=self.silence
        )


@attrs.frozen
class NextPart(StoreCall[Changes | None]):
    """Wait for the next part of a stream; None once it has ended."""

    stream: AnyStream

    def on(self, _: AnyStore) -> Changes | Awaitable[Changes | None] | None:
        """See `StoreCall.on`."""
        return next(self.stream, None) if isinstance(self.stream, Iterator) else anext(self.stream, None)


@attrs.frozen
class OpenRequestsAfter(StoreCall[OpenRequests]):
    """Read the page of open requests that follows a user id."""

    after: str | None = attrs.field(repr=False)

    def on(self, store: AnyStore) -> OpenRequests | Awaitable[OpenRequests]:
        """See `StoreCall.on`."""
        return store.open_requests(self.after)


@attrs.frozen
class Wait:
    """Wait for a promise until an instant of `time.monotonic()`. Past it the generator gets a `WaitTimeout`."""

    promise: Promise[Any]
    until: float


@attrs.frozen
class Sleep:
    """Sleep for some seconds, or until the client closes."""

    seconds: float


Effect = StoreCall[Any] | Wait | Sleep
Effects = Generator[Effect, Any, T]  # a generator of effects that returns a T


class Spawn(Protocol):
    """Starts a generator of effects in the background. Raises nothing itself."""

    def __call__(self, effects: Effects[T], /) -> Promise[T]:
        """Give a promise of what the generator returns or raises."""


class LimitedSpawn(Protocol):
    """
    Starts generators of effects in the background, in order, so many at once. Raises nothing itself. One whose promise
    has an outcome before its turn, or whose turn does not come by *until*, need not be started.
    """

    def __call__(self, effects: Effects[T], until: float, /) -> Promise[T]:
        """Give a promise of what the generator returns or raises."""


Limit = Callable[[int], LimitedSpawn]  # from how many may run at once


def perform(call: StoreCall[T]) -> Effects[T]:
    """Yield one call, and return the store's answer with its type."""
    answer: T = yield call
    return answer


def wait(promise: Promise[T], until: float) -> Effects[T]:
    """
    Yield one wait and return the promise's result.

    Raises:
        WaitTimeout: the promise is not done by then.
    """
    result: T = yield Wait(promise, until)
    return result
