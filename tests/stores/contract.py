"""
What the contract tests stand on: where a store lives, a wall clock to set, and a few words to write tests with.

A new kind of store joins by a class like `SqliteHome` and its name in `HOMES` (and `LASTING_HOMES`, if its ledger
outlives the store). The tests know nothing of a store but `Store`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

import attrs

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.record import ConsentRecord, fold, unopened
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import (
    Appended,
    AsyncHttpStore,
    AsyncPostgresStore,
    Cursor,
    HttpStore,
    MemoryStore,
    PostgresStore,
    SqliteStore,
    Store,
)
from tests.service.conftest import running
from tests.strategies import START

from .blocking import Blocking
from .cluster import shared

T = TypeVar("T")
P = ParamSpec("P")
Batch = list[e.Event]

OPENED = e.AccountOpened()
TOLD = e.Notified("n-1", "acme-records", ["email"], "marketing")
AGREED = e.Agreed("n-1")


@attrs.define
class WallClock:
    """A wall clock that stands still until it is set."""

    at: datetime = START

    def __call__(self) -> datetime:
        return self.at

    def tick(self, seconds: float) -> None:
        """Set it forward, or back."""
        self.at += timedelta(seconds=seconds)


class Home(Protocol):
    """Where one ledger lives, and the wall clock that stamps its entries."""

    clock: WallClock

    def open(self) -> Store:
        """A store on the ledger."""

    def close(self) -> None:
        """Close what was opened."""


class MemoryHome:
    """A ledger in memory: there is one store on it."""

    def __init__(self, folder: Path) -> None:
        self.clock = WallClock()
        self._store = MemoryStore(clock=self.clock)

    def open(self) -> Store:
        """See `Home.open`."""
        return self._store

    def close(self) -> None:
        """See `Home.close`."""
        self._store.close()


class SqliteHome:
    """A ledger in a file: any number of stores on it."""

    def __init__(self, folder: Path) -> None:
        self.clock = WallClock()
        self._path = folder / "ledger.db"
        self._stores: list[SqliteStore] = []

    def open(self) -> Store:
        """See `Home.open`."""
        self._stores.append(SqliteStore(self._path, clock=self.clock, busy_seconds=5))
        return self._stores[-1]

    def close(self) -> None:
        """See `Home.close`."""
        for store in self._stores:
            store.close()


class PostgresHome:
    """A ledger in PostgreSQL: any number of stores on it."""

    def __init__(self, folder: Path) -> None:
        self.clock = WallClock()
        self._url = shared().ledger()
        self._stores: list[Store] = []

    def open(self) -> Store:
        """See `Home.open`."""
        shared().take(self._url)  # it was closed before, and is opened again
        self._stores.append(self._make())
        return self._stores[-1]

    def _make(self) -> Store:
        return PostgresStore(self._url, clock=self.clock, deadline=5)

    def close(self) -> None:
        """See `Home.close`."""
        for store in self._stores:
            store.close()
        shared().give_back(self._url)
        self._stores = []


class AsyncPostgresHome(PostgresHome):
    """The same through the async store."""

    def _make(self) -> Store:
        return Blocking(AsyncPostgresStore(self._url, clock=self.clock, deadline=5))


HOMES: dict[str, Callable[[Path], Home]] = {
    "memory": MemoryHome, "sqlite": SqliteHome, "postgres": PostgresHome, "async postgres": AsyncPostgresHome,
}  # fmt: skip
LASTING_HOMES = {name: home for name, home in HOMES.items() if home is not MemoryHome}


class HttpHome:
    """A ledger in memory behind a consent service: any number of stores on it. Its writers have the name `both`."""

    def __init__(self, folder: Path) -> None:
        self.clock = WallClock()
        self._inner = MemoryStore(clock=self.clock)
        tokens = folder / "tokens.json"
        self._token = new_token(tokens, "both", [Scope.ASK, Scope.LIST, Scope.READ, Scope.WRITE])
        self._service = running(self._inner, tokens)
        self._stores: list[Store] = []

    def open(self) -> Store:
        """See `Home.open`."""
        self._stores.append(self._make(self._service.url, self._token))
        return self._stores[-1]

    def _make(self, url: str, token: str) -> Store:
        return HttpStore(url, token=token, deadline=5)

    def close(self) -> None:
        """See `Home.close`."""
        for store in self._stores:
            store.close()
        self._service.stop()
        self._inner.close()


class AsyncHttpHome(HttpHome):
    """The same through the async store."""

    def _make(self, url: str, token: str) -> Store:
        return Blocking(AsyncHttpStore(url, token=token, deadline=5))


SERVED_HOMES: dict[str, Callable[[Path], Home]] = {**HOMES, "http": HttpHome, "async http": AsyncHttpHome}


def append_each(store: Store, batches: Iterable[tuple[str, Batch]]) -> list[Appended]:
    """Append these batches of these users, one after the other."""
    return [store.append(user_id, batch) for user_id, batch in batches]


def sign_up(store: Store, *user_ids: str) -> Appended:
    """Open an account for each user, one after the other."""
    return append_each(store, [(user_id, [OPENED]) for user_id in user_ids])[-1]


def erase(store: Store, user_id: str, *, key: str | None = None, anonymised: bool = False) -> Appended:
    """Close the account, release what holds keep, and erase: one batch."""
    (record,) = store.load([user_id]).records
    releases = [e.HoldReleased(hold) for hold in record.holds]
    batch: Batch = [e.AccountClosed(), *releases, e.Erased(anonymised=anonymised)]
    return store.append(user_id, batch, idempotency_key=key)


def record_of(appended: Appended) -> ConsentRecord:
    """The record of an append, which every store of one's own tells."""
    assert appended.record is not None
    return appended.record


def repeat_of(first: Appended) -> Appended:
    """The answer to the same append again."""
    assert not first.is_repeat
    return attrs.evolve(first, is_repeat=True)


def head(store: Store) -> Cursor:
    """Where the ledger ends."""
    return store.load([]).cursor


def folded(user_id: str, history: Iterable[e.LedgerEntry]) -> ConsentRecord:
    """The record that a history makes."""
    return reduce(fold, history, unopened(user_id))


def insist(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call until the store is not too busy: `StoreUnavailable` promises that nothing was written."""
    while True:
        with suppress(StoreUnavailable):
            return call(*args, **kwargs)


def at_once(work: Callable[[int], T], count: int = 8) -> list[T]:
    """What *work* gives to each of so many threads that start together."""
    start = threading.Barrier(count)

    def begin(number: int) -> T:
        start.wait(10)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def eventually(test: Callable[[], bool], within: float = 10) -> bool:
    """Whether *test* comes true in time."""
    end = time.monotonic() + within
    while not test():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
