"""The clients that services call: thin shells that run the same steps, in threads or in asyncio tasks."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from math import isfinite
from typing import Any, Self, TypedDict, TypeVar, Unpack
from weakref import WeakSet, finalize

from .._logging import log
from ..cache.guard import LoudAsyncIterator, LoudIterator
from ..cache.user import UserConsent
from ..decisions import NO_DATA, STALE, Ask, Decision, Explanation, Market, Process, Retain, Share, check_ask
from ..due import Due
from ..events import Event, LedgerEntry
from ..record import ConsentRecord
from ..status import Status
from ..stores.protocol import Appended, AsyncStore, Store
from ..stores.url import insecure_hosts_from_env, listen_url_from_env, open_async_store, open_store, url_from_env
from .batching import Malformed
from .engine import Batch, ClientSteps
from .runners import Tasks, Threads
from .telemetry import observe

V = TypeVar("V")

# CLOCK_BOOTTIME goes on while the machine is suspended; where there is none, the monotonic clock has to do.
lease_clock: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)


class Options(TypedDict, total=False):
    """What both clients take beside a store; see `ConsentClient`."""

    max_staleness: float
    capacity: int
    deadline: float
    follow: bool
    clock: Callable[[], float]


class _Client:
    """What both clients have: their options, and a new start in a forked child."""

    _driver_type: type[Threads | Tasks]
    _takes_async: bool
    _open_store: Callable[..., Any]

    def __init__(
        self,
        store: Store | AsyncStore,
        *,
        max_staleness: float = 60.0,
        capacity: int = 100_000,
        deadline: float = 1.0,
        follow: bool = True,
        clock: Callable[[], float] = lease_clock,
    ) -> None:
        if isinstance(store, type) or not callable(getattr(store, "load", None)):
            raise TypeError(f"a store is needed, not a {type(store).__name__}: from_url makes a client of a URL")
        if not self._takes_async and inspect.iscoroutinefunction(store.load):
            raise TypeError(
                f"a {type(store).__name__} is for AsyncConsentClient; here its twin without Async is needed"
            )
        _check("max_staleness", max_staleness, 1)
        _check("deadline", deadline, 0.001)
        _check("capacity", capacity, 1)
        if not isinstance(capacity, int):
            raise TypeError(f"capacity is a whole number of users, not a {type(capacity).__name__}")
        self._store = store
        self._owns_store = self._has_let_go = False
        self._on_close: list[Callable[[], None]] = []
        self._make_steps = partial(
            ClientSteps,
            clock=clock, max_staleness=max_staleness, capacity=capacity, deadline=deadline, is_following=follow,
        )  # fmt: skip
        self._begin()
        _clients.add(self)
        observe(self)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        token: str | Callable[[], str] | None = None,
        insecure_hosts: Iterable[str] = (),
        listen_url: str | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """
        A client over the store that *url* names, which it closes with itself.

        Args:
            url: `memory:`, `sqlite:///` and a path, `postgresql://…`, or the `https://` URL of a consent service.

            token: For a consent service: the bearer token, or what gives it anew for each call.

            insecure_hosts: Exact names of hosts to which plain http is allowed: where something below HTTP encrypts.

            listen_url: For PostgreSQL behind a pool that shares connections between transactions: a URL past it, to
                listen for changes.

            options: As for the client itself.

        Raises:
            ValueError: the URL names no store, or an option is out of range.

            StoreUnavailable: the database cannot be opened.

            StoreUnusable: it is damaged, another program's, or of a newer version of this library.
        """
        deadline = options.get("deadline", 1.0)
        store = cls._open_store(
            url, token=token, deadline=deadline, insecure_hosts=insecure_hosts, listen_url=listen_url
        )
        client = cls(store, **options)
        client._owns_store = True
        return client

    @classmethod
    def from_env(cls, *, insecure_hosts: Iterable[str] | None = None, **options: Unpack[Options]) -> Self:
        """
        `from_url` with `DIIJAM_CONSENT_URL` and, where the store asks for one, `DIIJAM_CONSENT_TOKEN`. Unless given,
        *insecure_hosts* are those of `DIIJAM_CONSENT_INSECURE_HOSTS`, with commas between. `DIIJAM_CONSENT_LISTEN_URL`
        is its *listen_url*.

        Raises:
            ValueError: `DIIJAM_CONSENT_URL` is not set; and all that `from_url` raises.
        """
        url, token = url_from_env()
        hosts = insecure_hosts_from_env() if insecure_hosts is None else insecure_hosts
        return cls.from_url(url, token=token, insecure_hosts=hosts, listen_url=listen_url_from_env(), **options)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self._leases.closed else 'open'}>"

    def status(self) -> Status:
        """How the client is doing: for health checks, from memory, at once. Raises nothing."""
        return self._steps.status()

    def _when_closed(self, call: Callable[[], None]) -> None:
        """Have *call* made once the client is closed, at once if it is: for integrations that report a status."""
        self._on_close.append(call)
        if self._has_let_go:
            call()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._driver = self._driver_type(self._store)
        self._all_steps = self._make_steps(spawn=self._driver.spawn)
        self._leases = self._all_steps.leases
        self._counts = self._leases.counts
        # The follower ends with the client, also with one that nobody closed.
        finalize(self, setattr, self._leases, "closed", True)  # noqa: FBT003

    def _begin_anew(self) -> None:
        inherited = self._leases
        inherited.abandon()
        self._begin()
        if not inherited.abandoned:  # it was closed, and stays so
            self._leases.close()

    @property
    def _steps(self) -> ClientSteps:
        if self._pid != os.getpid():  # forked, and the hook below never ran
            self._begin_anew()
        return self._all_steps


_clients: WeakSet[_Client] = WeakSet()


def _begin_all_anew() -> None:
    for client in list(_clients):
        client._begin_anew()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all_anew)


class ConsentClient(_Client):
    """
    What services ask before they touch a customer's data. Safe to use from several threads, and after a fork. A signal
    handler may raise in the midst of any call; itself it may call `close`, and nothing else.

    Answers come from memory, each under a lease: once a customer says no, no process says yes more than
    *max_staleness* seconds after the store accepted it, whatever fails. Nothing runs before the first question;
    from then on a daemon thread follows the store's changes.

    Args:
        store: Where the ledger lives. `from_url` makes one.

        max_staleness: The bound on a stale yes, in seconds; at least 1.

        capacity: How many users are kept in memory.

        deadline: How long an operation may wait for the store, in seconds. A guard then says `UNAVAILABLE`.

        follow: Whether to follow the store's changes. Without it each user is fetched again once a *max_staleness*.

        clock: The lease clock, in seconds: true in rate, and going on while the machine is suspended.

    Raises:
        ValueError: an option is out of range.
    """

    _driver_type = Threads
    _takes_async = False
    _open_store = staticmethod(open_store)
    _driver: Threads

    def user(self, user_id: str, at_least: str | None = None) -> UserConsent:
        """
        One user's answers, under one lease. Where nothing trustworthy is to be had, its guards say `UNAVAILABLE`.

        Args:
            user_id: 1 to 256 visible characters in Unicode form NFC, no white space at either end (`is_user_id`).

            at_least: `Appended.token` of a write, here or in another process, that the answers must include.

        Raises:
            ValueError: the id or the token is malformed.

            TypeError: one of them is no string.
        """
        if at_least is None and (user := self._leases.live_user(user_id)) is not None:
            return user
        return self._driver.run(self._steps.user(user_id, at_least))

    def users(self, user_ids: Iterable[str], malformed: Malformed = "raise") -> Iterator[UserConsent]:
        """
        The users, in order, loaded in batches as the iteration goes on: a few thousand ids are read ahead.

        Args:
            user_ids: The ids. `is_user_id` tells one that is malformed.

            malformed: What happens at a malformed id: `"raise"`, once the users before it were handed out; `"skip"`, it
                is left out; or a callable, it is left out and the callable gets its place among *user_ids*, from 0.

        Raises:
            ValueError: an id is malformed; its place is in the message. Or *malformed* is something else.

            TypeError: *user_ids* is a bare string, or holds something else than strings; its place is in the message.
        """
        users = self._users(user_ids, malformed)
        return LoudIterator(user if user.is_live() else self.user(user.user_id) for user in users)

    def permitted(self, user_ids: Iterable[str], ask: Ask, malformed: Malformed = "raise") -> Iterator[str]:
        """
        The ids that may, in order, each decided at the moment it is handed out. Ids of whom nothing could be known are
        left out too: `users` tells them apart. Errors as for `users`; and `TypeError` if *ask* is no ask.
        """
        check_ask(ask)
        return LoudIterator(user.user_id for user in self._users(user_ids, malformed) if self._decide(user, ask))

    def permitted_mask(self, user_ids: Iterable[str], ask: Ask, malformed: Malformed = "raise") -> bytearray:
        """
        `permitted` for frames and arrays: for each id in order 1 if it may, else 0, all true as it is handed out.

        A user whom this process writes meanwhile has 0, and so has a malformed id that is left out.

        Raises:
            StoreUnavailable: of some users nothing could be known, or not in time.

            StoreUnusable: the store's answer cannot be trusted.

            ClientClosed: the client is closed.

            ValueError, TypeError: as for `permitted`.
        """
        check_ask(ask)
        return self._driver.run(self._steps.mask(user_ids, ask, malformed))

    def _partial_mask(self, user_ids: Iterable[str], ask: Ask, malformed: Malformed) -> bytearray:
        """`permitted_mask`, with `masks.UNKNOWN` where nothing could be known; `StoreUnavailable` is not raised."""
        return self._driver.run(self._steps.mask(user_ids, ask, malformed, partly=True))

    # Each guard in one step: what is in memory, and without it what the user's own guard does.

    def decide(self, user_id: str, ask: Ask) -> Decision:
        """The answer to any *ask* for the user: `user(user_id).decide(ask)`."""
        if (answers := self._leases.answers(user_id)) is None:
            return self.user(user_id).decide(ask)
        decision = answers.decide(ask)
        self._counts.by_decision[decision].hits += 1
        return decision

    def can_market(self, user_id: str, channel: str, data: Iterable[str] = NO_DATA) -> Decision:
        """Whether marketing may reach the user over *channel*, touching its own field and *data*: clause 4."""
        if data is not NO_DATA:
            return self.decide(user_id, Market(channel, data))
        if (answers := self._leases.answers(user_id)) is None:
            return self.user(user_id).can_market(channel)
        count = answers.market[channel]
        count.hits += 1
        return count.decision

    def can_share(self, user_id: str, recipient: str, data: Iterable[str], purpose: str) -> Decision:
        """Whether *data* of the user may be shared with *recipient* for *purpose*: clause 5."""
        return self.decide(user_id, Share(recipient, data, purpose))

    def is_public(self, user_id: str, field: str) -> Decision:
        """Whether the user's *field* may be shown to everybody: clause 7."""
        if (answers := self._leases.answers(user_id)) is None:
            return self.user(user_id).is_public(field)
        count = answers.show[field]
        count.hits += 1
        return count.decision

    def can_process(self, user_id: str, purpose: str, data: Iterable[str] | None = None) -> Decision:
        """Whether *data* of the user (None: any; `()`: none) may be processed for *purpose*: clauses 4 and 6."""
        if data is not None:
            return self.decide(user_id, Process(purpose, data))
        if (answers := self._leases.answers(user_id)) is None:
            return self.user(user_id).can_process(purpose)
        count = answers.process[purpose]
        count.hits += 1
        return count.decision

    def can_retain(self, user_id: str, field: str) -> Decision:
        """Whether the user's *field* may be kept: clause 6."""
        return self.decide(user_id, Retain(field))

    def public_view(self, user_id: str, fields: Mapping[str, V]) -> dict[str, V]:
        """Of *fields*, keyed by `Field` words, only what the user chose to make public; unknown keys are dropped."""
        return self.user(user_id).public_view(fields)

    def record(
        self,
        user_id: str,
        *events: Event,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Appended:
        """
        Append what happened: all events or none, durable before it returns.

        From before it is sent until its outcome is definite, this process denies the user; another process passes
        `.token` of the answer to `user(..., at_least=token)` to see the write at once.

        Raises:
            InvalidEvent: the policy refuses one of the events; nothing was written.

            VersionConflict: the record is not at *expected_version*; nothing was written.

            StoreUnavailable, StoreUnusable: nothing was written.

            OutcomeUnknown: it may have been written. The client goes on asking the store until it knows.

            ClientClosed: the client was closed before.

            ValueError: there are no events, the key was used with others, or an id is malformed.

            TypeError: an argument has another type.
        """
        return self._driver.run(self._steps.record(user_id, events, expected_version, idempotency_key))

    def load(self, user_id: str) -> ConsentRecord:
        """
        The whole record, fresh from the store.

        Raises:
            StoreUnavailable: the store did not answer within the deadline.

            StoreUnusable: its answer cannot be trusted.

            ClientClosed: the client is closed.

            ValueError, TypeError: the id is malformed.
        """
        return self._driver.run(self._steps.load(user_id)).records[0]

    def explain(self, user_id: str, ask: Ask) -> Explanation:
        """A fresh decision with its evidence, for audit and support. Errors as for `load`."""
        return self._driver.run(self._steps.explain(user_id, ask))

    def history(self, user_id: str) -> list[LedgerEntry]:
        """What happened to the user, oldest first; of an erased one only that. Errors as for `load`."""
        return self._driver.run(self._steps.history(user_id))

    def due(self) -> Due:
        """
        The work list: open requests by the time they are due, and the pending erasures that may be done now, or are
        held. Each page of it is read fresh; errors as for `load`.
        """
        return self._driver.run(self._steps.due())

    def close(self) -> None:
        """Deny everything from now on, and let go of the store if `from_url` made it. Closing twice does nothing."""
        if not self._has_let_go:
            try:
                self._driver.run(self._steps.close())
            finally:
                self._driver.stop()
                if self._owns_store:
                    self._store.close()
            self._has_let_go = True  # last: a close that was interrupted can be made good
            for call in self._on_close:
                call()
            log.info("client.closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decide(self, user: UserConsent, ask: Ask) -> Decision:
        decision = user.answers().decide(ask)
        if decision is STALE:  # the iteration may have paused for long
            return self.user(user.user_id).decide(ask)
        if not decision.allowed:
            self._counts.by_decision[decision].denied += 1
        return decision

    def _users(self, user_ids: Iterable[str], malformed: Malformed) -> Iterator[UserConsent]:
        batches = self._steps.batches(user_ids, malformed)
        return (user for batch in batches for user in self._driver.run(self._steps.users(batch)))


class AsyncConsentClient(_Client):
    """
    `ConsentClient` for asyncio: the same options, and each of its operations a coroutine, over either kind of store.

    It has no guards of its own: a forgotten `await` must never read as yes. `await` the user; its guards are plain
    calls. Belongs to the event loop it is first used in.
    """

    _driver_type = Tasks
    _takes_async = True
    _open_store = staticmethod(open_async_store)
    _driver: Tasks

    async def user(self, user_id: str, at_least: str | None = None) -> UserConsent:
        """See `ConsentClient.user`."""
        if at_least is None and self._driver.is_home() and (user := self._leases.live_user(user_id)) is not None:
            return user
        return await self._driver.run(self._steps.user(user_id, at_least))

    def users(self, user_ids: Iterable[str], malformed: Malformed = "raise") -> AsyncIterator[UserConsent]:
        """See `ConsentClient.users`."""
        return LoudAsyncIterator(self._live(self._steps.batches(user_ids, malformed)))

    def permitted(self, user_ids: Iterable[str], ask: Ask, malformed: Malformed = "raise") -> AsyncIterator[str]:
        """See `ConsentClient.permitted`."""
        check_ask(ask)
        return LoudAsyncIterator(self._permitted(self._steps.batches(user_ids, malformed), ask))

    async def permitted_mask(self, user_ids: Iterable[str], ask: Ask, malformed: Malformed = "raise") -> bytearray:
        """See `ConsentClient.permitted_mask`."""
        check_ask(ask)
        return await self._driver.run(self._steps.mask(user_ids, ask, malformed))

    async def record(
        self,
        user_id: str,
        *events: Event,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Appended:
        """See `ConsentClient.record`."""
        return await self._driver.run(self._steps.record(user_id, events, expected_version, idempotency_key))

    async def load(self, user_id: str) -> ConsentRecord:
        """See `ConsentClient.load`."""
        return (await self._driver.run(self._steps.load(user_id))).records[0]

    async def explain(self, user_id: str, ask: Ask) -> Explanation:
        """See `ConsentClient.explain`."""
        return await self._driver.run(self._steps.explain(user_id, ask))

    async def history(self, user_id: str) -> list[LedgerEntry]:
        """See `ConsentClient.history`."""
        return await self._driver.run(self._steps.history(user_id))

    async def due(self) -> Due:
        """See `ConsentClient.due`."""
        return await self._driver.run(self._steps.due())

    async def close(self) -> None:
        """See `ConsentClient.close`."""
        if not self._has_let_go:
            try:
                await self._driver.run(self._steps.close())
            finally:
                self._driver.stop()
                if self._owns_store:
                    closing = self._store.close()
                    if closing is not None:
                        await closing
            self._has_let_go = True
            for call in self._on_close:
                call()
            log.info("client.closed")

    aclose = close  # the name that contextlib.aclosing calls

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _decide(self, user: UserConsent, ask: Ask) -> Decision:
        decision = user.answers().decide(ask)
        if decision is STALE:
            return (await self.user(user.user_id)).decide(ask)
        if not decision.allowed:
            self._counts.by_decision[decision].denied += 1
        return decision

    async def _live(self, batches: Iterator[Batch]) -> AsyncGenerator[UserConsent, None]:
        async for user in self._users(batches):
            yield user if user.is_live() else await self.user(user.user_id)

    async def _permitted(self, batches: Iterator[Batch], ask: Ask) -> AsyncGenerator[str, None]:
        async for user in self._users(batches):
            if await self._decide(user, ask):
                yield user.user_id

    async def _users(self, batches: Iterator[Batch]) -> AsyncIterator[UserConsent]:
        for batch in batches:
            for user in await self._driver.run(self._steps.users(batch)):
                yield user


def _check(name: str, value: float, least: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number, not a {type(value).__name__}")
    if not (isfinite(value) and value >= least):
        raise ValueError(f"{name} is finite and at least {least}")
