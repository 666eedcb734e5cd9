"""
Clients to test a service with.

They are the real ones over a store in memory, so a test meets the same answers and errors as production.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Self, TypeVar, Unpack

from ..cache.guard import guard
from ..cache.user import UserConsent
from ..client import AsyncConsentClient, ConsentClient, Options
from ..events import AccountOpened, Agreed, Event, Granted, Notified, Published, Withdrawn
from ..stores.sqlite.memory import MemoryStore
from ..vocabulary import Account, Channel, Purpose
from .clocks import Clock
from .coroutines import StrictCoroutine
from .faulty import FaultyStore, Raised

NOTICE = "notice-in-a-test"
T = TypeVar("T")

GUARDS = ("can_market", "can_process", "can_retain", "can_share", "decide", "is_public", "public_view")


class AsyncConsentForTests(AsyncConsentClient):
    """An `AsyncConsentClient` beside a `ConsentForTests`, made by its `asynchronous`."""

    def user(self, user_id: str, at_least: str | None = None) -> Coroutine[Any, Any, UserConsent]:
        """See `ConsentClient.user`."""
        return StrictCoroutine(super().user(user_id, at_least))


class ConsentForTests(ConsentClient):
    """
    A `ConsentClient` over a `MemoryStore`, for the tests of a service. As a pytest fixture: `consent`.

    It follows no feed, so nothing happens but what the test does. The client's writes show at once, those of another
    client after the lease of *max_staleness* seconds (`consent.clock.tick(60)`). A guard by id raises `TypeError` where
    a test uses it as a condition without calling it.

    Attributes:
        clock: `consent.clock.tick(seconds)` moves the clocks of the store and of leases;
            `consent.clock.later(seconds)` is a later instant.

        store: The store, which counts its calls and can be broken.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        self.clock = Clock()
        self.store = FaultyStore(MemoryStore(clock=self.clock.wall))
        self._notices = itertools.count(1)
        with_defaults: Options = {"follow": False, "clock": self.clock.lease, **options}
        super().__init__(self.store, **with_defaults)
        self._owns_store = True

    @property
    def _self(self) -> Self:
        return self  # see `UserConsent`

    def asynchronous(self, **options: Unpack[Options]) -> AsyncConsentForTests:
        """Make an `AsyncConsentClient` over the same store and clocks. Close it in the loop that uses it."""
        with_defaults: Options = {"follow": False, "clock": self.clock.lease, **options}
        return AsyncConsentForTests(self.store, **with_defaults)

    def offline(self) -> AbstractContextManager[None]:
        """
        Put the store out of reach within a block. What is cached answers until its lease is over, then the answers are
        `STALE` or `UNAVAILABLE`; `record` raises `StoreUnavailable`.
        """
        return self.store.offline()

    def failing(
        self, error: Raised, *, written: bool = False, only_appends: bool = False
    ) -> AbstractContextManager[None]:
        """
        Let the store raise *error* within a block.

        `record` raises `OutcomeUnknown`, `VersionConflict`, `InvalidEvent` and `KeyReused`; every call to the store
        raises any other error. Guards raise none of them, and deny with `UNAVAILABLE`.

        Args:
            error: What the store raises.

            written: Whether events are written all the same, as when only the answer is lost.

            only_appends: Whether only `record` raises it, as `NotEntitled` where the token may ask and not write.

        Raises:
            TypeError: no store raises such an error. `ConsentDenied` comes of a no, and `ClientClosed` of `close`.
        """
        return self.store.failing(error, written=written, only_appends=only_appends)

    # Each method below records what a customer did and returns the user, loaded again. Errors are those of `record`.

    def given(self, user_id: str, *events: Event) -> UserConsent:
        """Record events of a user."""
        self.record(user_id, *events)
        return self.user(user_id)

    def opened(self, user_id: str) -> UserConsent:
        """Open a user's account, unless it is open."""
        if self.load(user_id).account is not Account.OPEN:
            self.record(user_id, AccountOpened())
        return self.user(user_id)

    def opted_in(
        self, user_id: str, *what: str, notice: str = NOTICE, expires_at: datetime | None = None
    ) -> UserConsent:
        """Record a user's yes to *what*: channels of marketing, and purposes. The account is opened first."""
        self.opened(user_id)
        channels, purposes = _channels_and_purposes(what)
        grants = [Granted(purpose, notice, expires_at=expires_at) for purpose in purposes]
        if channels:
            grants.append(Granted(Purpose.MARKETING, notice, channels, expires_at))
        return self.given(user_id, *grants)

    def opted_out(self, user_id: str, *what: str) -> UserConsent:
        """Record a user's no to *what*: channels of marketing, and purposes (`MARKETING` for all its channels)."""
        self.opened(user_id)
        channels, purposes = _channels_and_purposes(what)
        refusals = [Withdrawn(purpose) for purpose in purposes]
        if channels:
            refusals.append(Withdrawn(Purpose.MARKETING, channels))
        return self.given(user_id, *refusals)

    def agreed(
        self, user_id: str, recipient: str, data: Iterable[str], purpose: str, *, expires_at: datetime | None = None
    ) -> UserConsent:
        """Record that a user was notified of a sharing and agreed to it. The account is opened first."""
        self.opened(user_id)
        notice = f"{NOTICE}-{next(self._notices)}"
        return self.given(user_id, Notified(notice, recipient, data, purpose), Agreed(notice, expires_at))

    def published(self, user_id: str, *fields: str) -> UserConsent:
        """Record that a user made fields public. The account is opened first."""
        self.opened(user_id)
        return self.given(user_id, *map(Published, fields))


def _loud(method: Callable[..., T]) -> Callable[..., T]:
    @functools.wraps(method)
    def call(self: ConsentForTests, *args: Any, **kwargs: Any) -> T:
        return method(self._self, *args, **kwargs)

    return guard(call)


for _name in GUARDS:
    setattr(ConsentForTests, _name, _loud(getattr(ConsentClient, _name)))


def _channels_and_purposes(words: Iterable[str]) -> tuple[list[Channel], list[Purpose]]:
    """Sort words into channels and purposes; a word that is neither is a `ValueError` that lists the purposes."""
    given = list(words)
    channels = [Channel(word) for word in given if word in list(Channel)]
    return channels, [Purpose(word) for word in given if word not in list(Channel)]
