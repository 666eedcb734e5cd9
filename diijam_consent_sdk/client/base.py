"""
What both clients share: their options, how they are made, and a new start in a forked child.

A child inherits answers that no thread of the child keeps fresh, and locks that may be held, so it begins with empty
memory.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from functools import partial
from math import isfinite
from typing import Any, Self, TypedDict, Unpack
from weakref import WeakSet, finalize

from .._clock import steady_seconds
from .._logging import log
from ..identifiers import optional_identifier
from ..status import Status
from ..stores.async_protocol import AsyncStore
from ..stores.changes_stream import StreamsChanges
from ..stores.protocol import Store
from ..stores.url import actor_from_env, insecure_hosts_from_env, listen_url_from_env, url_from_env
from .engine import Engine
from .runners import TaskRunner, ThreadRunner
from .telemetry import observe


class Options(TypedDict, total=False):
    """What both clients take beside a store; see `ConsentClient`."""

    max_staleness: float
    capacity: int
    deadline: float
    follow: bool
    clock: Callable[[], float]
    actor: str | None


class BaseClient:
    """The options and the engine of a client."""

    _runner_type: type[ThreadRunner | TaskRunner]
    _takes_async_stores: bool
    _open_store: Callable[..., Any]

    def __init__(
        self,
        store: Store | AsyncStore,
        *,
        max_staleness: float = 60.0,
        capacity: int = 100_000,
        deadline: float = 1.0,
        follow: bool = True,
        clock: Callable[[], float] = steady_seconds,
        actor: str | None = None,
    ) -> None:
        if isinstance(store, type) or not callable(getattr(store, "load", None)):
            raise TypeError(f"a store is needed, not a {type(store).__name__}: from_url makes a client of a URL")
        if not self._takes_async_stores and inspect.iscoroutinefunction(store.load):
            name = type(store).__name__
            raise TypeError(f"a {name} is for AsyncConsentClient: pass the store whose name has no Async")
        _check("max_staleness", max_staleness, 1)
        _check("deadline", deadline, 0.001)
        _check("capacity", capacity, 1)
        if not isinstance(capacity, int):
            raise TypeError(f"capacity is a whole number of users, not a {type(capacity).__name__}")
        if not isinstance(follow, bool):
            raise TypeError(f"follow is True or False, not a {type(follow).__name__}")
        if not callable(clock):  # else each lease would fail, and read as an outage
            raise TypeError(f"clock is a function that gives seconds, not a {type(clock).__name__}")
        self._store = store
        self._owns_store = self._is_closed = False
        self._on_close: list[Callable[[], None]] = []
        self._make_engine = partial(
            Engine,
            clock=clock, max_staleness=max_staleness, capacity=capacity, deadline=deadline, is_following=follow,
            actor=optional_identifier(actor),
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
        Make a client over the store that *url* names. The client closes the store with itself.

        Args:
            url: `memory:`, `sqlite:///` and a path, `postgresql://…`, or the `https://` URL of a consent service.

            token: The bearer token for a consent service, or a callable that gives the token for each call.

            insecure_hosts: Exact names of hosts to which plain http is allowed, where a layer below HTTP encrypts.

            listen_url: A URL past the connection pool, to listen for changes. Only a PostgreSQL pool that shares
                connections between transactions needs one.

            options: As for the client itself.

        Raises:
            ValueError: the URL names no store, or an option is out of range.

            StoreUnavailable: the database cannot be opened.

            StoreUnusable: the database is damaged, another program's, or of a newer version of this library.

            OSError: the file of certificates that `SSL_CERT_FILE` names cannot be read.

            ModuleNotFoundError: the store needs an extra that is not installed; the message names it.
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
        Make a client by `from_url` with `DIIJAM_CONSENT_URL` and, if the store needs a token, `DIIJAM_CONSENT_TOKEN`,
        or the file that `DIIJAM_CONSENT_TOKEN_FILE` names, which is read again for each call.

        *insecure_hosts* are by default those of `DIIJAM_CONSENT_INSECURE_HOSTS`, separated by commas; *listen_url* is
        `DIIJAM_CONSENT_LISTEN_URL`, and *actor*, unless it is given, `DIIJAM_CONSENT_ACTOR`.

        Raises:
            ValueError: `DIIJAM_CONSENT_URL` is not set, or both `DIIJAM_CONSENT_TOKEN` and `DIIJAM_CONSENT_TOKEN_FILE`
                are, or the file holds no token; and all that `from_url` raises.

            OSError: the file cannot be read, or another user could have written it.
        """
        url, token = url_from_env()
        hosts = insecure_hosts_from_env() if insecure_hosts is None else insecure_hosts
        options.setdefault("actor", actor_from_env())
        return cls.from_url(url, token=token, insecure_hosts=hosts, listen_url=listen_url_from_env(), **options)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self._leases.closed else 'open'}>"

    def status(self) -> Status:
        """Give the client's status for health checks, from memory, at once. Raises nothing."""
        return self._engine.status()

    def _when_closed(self, call: Callable[[], None]) -> None:
        """Call *call* once the client is closed, or now if it is: for integrations that report a status."""
        self._on_close.append(call)
        if self._is_closed:
            call()

    def _finish_close(self) -> None:
        """Mark the client closed. This comes last, so that a close that was interrupted can be repeated."""
        self._is_closed = True
        for call in self._on_close:
            call()
        log.info("client.closed")

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._runner = self._runner_type(self._store)
        can_stream = isinstance(self._store, StreamsChanges)
        self._own_engine = self._make_engine(spawn=self._runner.spawn, limit=self._runner.limit, can_stream=can_stream)
        self._leases = self._own_engine.leases
        self._counters = self._leases.counters
        self._cached = self._leases.users.by_id  # one attribute less for each lookup to load
        # Polling ends with the client, also with one that nobody closed. Not before the application's own `atexit`
        # functions, though: a no that they record is written, where Python starts a thread for it then (3.12 may not).
        finalize(self, setattr, self._leases, "closed", True).atexit = False  # noqa: FBT003

    def _begin_in_child(self) -> None:
        inherited = self._leases
        inherited.abandon()
        self._begin()
        if not inherited.abandoned:  # closed before the fork, so it stays closed
            self._leases.close()

    @property
    def _engine(self) -> Engine:
        """The engine of this process."""
        if self._pid != os.getpid():  # a fork whose hook below did not run
            self._begin_in_child()
        return self._own_engine


_clients: WeakSet[BaseClient] = WeakSet()


def _begin_all_in_child() -> None:
    for client in list(_clients):
        client._begin_in_child()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all_in_child)


def _check(name: str, value: float, least: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number, not a {type(value).__name__}")
    if not (isfinite(value) and value >= least):
        raise ValueError(f"{name} is finite and at least {least}")
