"""Clients to test a service with: real ones, over a store in memory, on clocks that go on only when told."""

from __future__ import annotations

import itertools
from collections.abc import Coroutine, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Unpack

from ..cache.guard import guard
from ..cache.user import UserConsent
from ..client import AsyncConsentClient, ConsentClient, Options
from ..errors import InvalidEvent, StoreError, VersionConflict
from ..events import AccountOpened, Agreed, Event, Granted, Notified, Published, Withdrawn
from ..stores.sqlite.memory import MemoryStore
from ..vocabulary import Account, Channel, Purpose
from .clocks import Clock
from .faulty import FaultyStore
from .loud import LoudCoroutine

NOTICE = "notice-in-a-test"
GUARDS = ("can_market", "can_process", "can_retain", "can_share", "decide", "is_public", "public_view")


class AsyncConsentForTests(AsyncConsentClient):
    """The asyncio face of a `ConsentForTests`; `asynchronous` makes it."""

    def user(self, user_id: str, at_least: str | None = None) -> Coroutine[Any, Any, UserConsent]:
        """See `ConsentClient.user`."""
        return LoudCoroutine(super().user(user_id, at_least))


class ConsentForTests(ConsentClient):
    """
    A `ConsentClient` over a `MemoryStore`, for the tests of a service. As a pytest fixture: `consent`.

    It follows no feed, so that nothing happens but what the test does: its own writes show at once, those of another
    client once the lease of *max_staleness* seconds is over (`consent.clock.tick(60)`). Its guards in one step raise
    `TypeError` as well if they are not called.

    Attributes:
        clock: `consent.clock.tick(seconds)` lets time pass, for the store and for leases;
            `consent.clock.later(seconds)` is an instant to come.

        store: The store, which counts its calls and can be broken.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        self.clock = Clock()
        self.store = FaultyStore(MemoryStore(clock=self.clock.wall))
        self._notices = itertools.count(1)
        with_defaults: Options = {"follow": False, "clock": self.clock.lease, **options}
        super().__init__(self.store, **with_defaults)
        self._owns_store = True

    def asynchronous(self, **options: Unpack[Options]) -> AsyncConsentForTests:
        """An `AsyncConsentClient` over the same store and clocks. Close it in the loop that it is used in."""
        with_defaults: Options = {"follow": False, "clock": self.clock.lease, **options}
        return AsyncConsentForTests(self.store, **with_defaults)

    def offline(self) -> AbstractContextManager[None]:
        """
        A context in which the store is out of reach. What is cached answers until its lease is over, then `STALE` or
        `UNAVAILABLE`; `record` raises `StoreUnavailable`.
        """
        return self.store.offline()

    def failing(
        self, error: StoreError | InvalidEvent | VersionConflict, *, written: bool = False
    ) -> AbstractContextManager[None]:
        """
        A context in which the store raises *error*: `OutcomeUnknown`, `VersionConflict` and `InvalidEvent` from
        `record`, any other from whatever asks the store. Guards raise none of them: they say `UNAVAILABLE`.

        Args:
            error: What it raises.

            written: Whether what is recorded gets into the ledger all the same: an answer that was lost.

        Raises:
            TypeError: no store raises such an error: `ConsentDenied` and `ClientClosed` come of a no and of `close`.
        """
        return self.store.failing(error, written=written)

    # What a customer did, in one line. Each gives the user, read anew; errors as for `record`.

    def given(self, user_id: str, *events: Event) -> UserConsent:
        """A user to whom all this happened."""
        self.record(user_id, *events)
        return self.user(user_id)

    def opened(self, user_id: str) -> UserConsent:
        """A user with an open account."""
        if self.load(user_id).account is not Account.OPEN:
            self.record(user_id, AccountOpened())
        return self.user(user_id)

    def opted_in(
        self, user_id: str, *what: str, notice: str = NOTICE, expires_at: datetime | None = None
    ) -> UserConsent:
        """A user with an open account who said yes to *what*: channels of marketing, and purposes."""
        self.opened(user_id)
        channels, purposes = _channels_and_purposes(what)
        grants = [Granted(purpose, notice, expires_at=expires_at) for purpose in purposes]
        if channels:
            grants.append(Granted(Purpose.MARKETING, notice, channels, expires_at))
        return self.given(user_id, *grants)

    def opted_out(self, user_id: str, *what: str) -> UserConsent:
        """A user who said no to *what*: channels of marketing, and purposes (`MARKETING`: all its channels)."""
        self.opened(user_id)
        channels, purposes = _channels_and_purposes(what)
        refusals = [Withdrawn(purpose) for purpose in purposes]
        if channels:
            refusals.append(Withdrawn(Purpose.MARKETING, channels))
        return self.given(user_id, *refusals)

    def agreed(
        self, user_id: str, recipient: str, data: Iterable[str], purpose: str, *, expires_at: datetime | None = None
    ) -> UserConsent:
        """A user with an open account who was told of a sharing, and agreed to it."""
        self.opened(user_id)
        notice = f"{NOTICE}-{next(self._notices)}"
        return self.given(user_id, Notified(notice, recipient, data, purpose), Agreed(notice, expires_at))

    def published(self, user_id: str, *fields: str) -> UserConsent:
        """A user with an open account who made these fields public."""
        self.opened(user_id)
        return self.given(user_id, *map(Published, fields))


for _name in GUARDS:
    setattr(ConsentForTests, _name, guard(getattr(ConsentClient, _name)))


def _channels_and_purposes(words: Iterable[str]) -> tuple[list[Channel], list[Purpose]]:
    """What the words mean; one that is no channel is a purpose, or a `ValueError` that lists those."""
    given = list(words)
    channels = [Channel(word) for word in given if word in list(Channel)]
    return channels, [Purpose(word) for word in given if word not in list(Channel)]
