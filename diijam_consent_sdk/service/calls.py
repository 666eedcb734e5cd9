"""Calls to the store from the event loop, which none of them ever blocks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ..drivers import in_thread
from ..errors import ConsentError, StoreUnavailable
from ..events import Event, LedgerEntry
from ..stores.protocol import Appended, AsyncStore, Changes, Cursor, Loaded, OpenRequests, Store

READERS = 8  # threads for calls that read a sync store
WRITERS = 4  # threads for appends: apart, so that appends waiting for a lock hold up no reader
MAX_CALLS = 4_000  # under way or queued; past that the service says at once that it is too busy


class MisusedStore(Exception):
    """The store says (`ValueError`, `TypeError`) that the call was wrong: the question was."""


class Calls:
    """
    The store's methods as coroutines. To be used on one event loop.

    Args:
        store: A sync store, whose methods run in a bounded number of threads, or an async one.
    """

    def __init__(self, store: Store | AsyncStore) -> None:
        self._store: Any = store
        self._is_async = inspect.iscoroutinefunction(store.load)
        self._readers = ThreadPoolExecutor(READERS, "diijam-consent-read")
        self._writers = ThreadPoolExecutor(WRITERS, "diijam-consent-write")
        self._under_way = 0

    async def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        loaded: Loaded = await self._call(self._readers, partial(self._store.load, user_ids))
        return loaded

    async def append(
        self, user_id: str, events: Iterable[Event], expected_version: int | None, idempotency_key: str | None
    ) -> Appended:
        """See `Store.append`."""
        call = partial(
            self._store.append, user_id, events, expected_version=expected_version, idempotency_key=idempotency_key
        )
        appended: Appended = await self._call(self._writers, call)
        return appended

    async def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        entries: list[LedgerEntry] = await self._call(self._readers, partial(self._store.history, user_id))
        return entries

    async def open_requests(self, after: str | None, limit: int) -> OpenRequests:
        """See `Store.open_requests`."""
        page: OpenRequests = await self._call(self._readers, partial(self._store.open_requests, after, limit=limit))
        return page

    async def look(self, after: Cursor, limit: int) -> Changes:
        """`Store.changes` without waiting."""
        call = partial(self._store.changes, after, wait=0.0, limit=limit)
        changes: Changes = await self._call(self._readers, call)
        return changes

    async def watch(self, after: Cursor, wait: float) -> Changes:
        """`Store.changes` with waiting: in a thread of its own, which keeps nothing from ending."""
        call = partial(self._store.changes, after, wait=wait)
        if self._is_async:
            return await call()  # type: ignore[no-any-return]
        return await asyncio.wrap_future(in_thread(call))

    def clock_trouble(self) -> str | None:
        """What is wrong with the clock that the store stamps with, as of its last call; None: nothing."""
        trouble = getattr(self._store, "clock_trouble", None)
        return None if trouble is None else trouble()

    def close(self) -> None:
        """Begin no further call. The store itself stays open."""
        for pool in (self._readers, self._writers):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _call(self, pool: ThreadPoolExecutor, call: Callable[[], Any]) -> Any:
        if self._under_way >= MAX_CALLS:
            raise StoreUnavailable("the service has too much to do: try again later")
        self._under_way += 1
        try:
            if self._is_async:
                return await call()
            return await asyncio.get_running_loop().run_in_executor(pool, call)
        except ConsentError:  # first: InvalidEvent is a ValueError too
            raise
        except (ValueError, TypeError) as error:
            raise MisusedStore(str(error)) from error
        finally:
            self._under_way -= 1
