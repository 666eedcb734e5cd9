"""Calls to the store from the event loop, which none of them ever blocks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from .._threads import awaited, in_thread
from ..errors import ConsentError, StoreUnavailable
from ..events import Event, LedgerEntry, is_no
from ..stores.protocol import Appended, AsyncStore, Changes, Cursor, Loaded, OpenRequests, Store
from .turns import Turns

T = TypeVar("T")
MAX_CALLS = 4_000  # under way or queued; past that the service says at once that it is too busy


class MisusedStore(Exception):
    """The store says (`ValueError`, `TypeError`) that the call was wrong: the question was."""


class _Lane:
    """Calls of one kind: they wait for each other, and for no other kind."""

    def __init__(self, name: str, places: int, each: int) -> None:
        self.threads = ThreadPoolExecutor(places, f"diijam-consent-{name}")
        self.turns = Turns(places, each)


FEW = 16  # records or entries, from which an answer is made on the loop without anybody noticing


class Calls:
    """
    The store's methods as coroutines. To be used on one event loop.

    What `then` makes of an answer is made off the loop, too: an answer may be large.

    Args:
        store: A sync store, whose methods run in a bounded number of threads, or an async one.
    """

    def __init__(self, store: Store | AsyncStore) -> None:
        self._store: Any = store
        self._is_async = inspect.iscoroutinefunction(store.load)
        self._heads = _Lane("head", 2, 2)
        self._looks = _Lane("look", 4, 4)
        self._readers = _Lane("read", 8, 4)
        self._writers = _Lane("write", 6, 4)
        self._listers = _Lane("list", 2, 1)  # what goes through many users or entries
        self._under_way = 0

    async def head(self) -> Cursor:
        """The ledger's head: nobody's load or list is waited for."""
        loaded: Loaded = await self._call(self._heads, None, partial(self._store.load, ()), _as_it_is)
        return loaded.cursor

    async def load(self, caller: Hashable, user_ids: Iterable[str], then: Callable[[Loaded], T]) -> T:
        """See `Store.load`."""
        return await self._call(self._readers, caller, partial(self._store.load, user_ids), then)

    async def append(
        self,
        caller: Hashable,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None,
        idempotency_key: str | None,
        then: Callable[[Appended], T],
    ) -> T:
        """See `Store.append`. What only takes away waits for nothing else of the same caller."""
        batch = tuple(events)
        call = partial(
            self._store.append, user_id, batch, expected_version=expected_version, idempotency_key=idempotency_key
        )
        return await self._call(self._writers, (caller, all(map(is_no, batch))), call, then)

    async def history(self, caller: Hashable, user_id: str, then: Callable[[list[LedgerEntry]], T]) -> T:
        """See `Store.history`."""
        return await self._call(self._listers, caller, partial(self._store.history, user_id), then)

    async def open_requests(
        self, caller: Hashable, after: str | None, limit: int, then: Callable[[OpenRequests], T]
    ) -> T:
        """See `Store.open_requests`."""
        return await self._call(self._listers, caller, partial(self._store.open_requests, after, limit=limit), then)

    async def look(self, after: Cursor, limit: int) -> Changes:
        """`Store.changes` without waiting."""
        call = partial(self._store.changes, after, wait=0.0, limit=limit)
        changes: Changes = await self._call(self._looks, None, call, _as_it_is)
        return changes

    async def watch(self, after: Cursor, wait: float) -> Changes:
        """`Store.changes` with waiting: in a thread of its own, which keeps nothing from ending."""
        call = partial(self._store.changes, after, wait=wait)
        if self._is_async:
            return await call()  # type: ignore[no-any-return]
        return await awaited(in_thread(call))

    def clock_trouble(self) -> str | None:
        """What is wrong with the clock that the store stamps with, as of its last call; None: nothing."""
        trouble = getattr(self._store, "clock_trouble", None)
        return None if trouble is None else trouble()

    def close(self) -> None:
        """Begin no further call. The store itself stays open."""
        for lane in (self._heads, self._looks, self._readers, self._writers, self._listers):
            lane.threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, lane: _Lane, caller: Hashable, ask: Callable[[], Any], then: Callable[[Any], T]) -> T:
        if self._under_way >= MAX_CALLS:
            raise StoreUnavailable("the service has too much to do: try again later")
        self._under_way += 1
        try:
            await lane.turns.take(caller)
            if not self._is_async:
                return await _in_thread(lane, caller, lambda: then(_asked(ask)))
            try:
                found = await _awaited(ask)
                if _is_small(found):
                    return then(found)
            finally:
                lane.turns.leave(caller)
            await lane.turns.take(caller)
            return await _in_thread(lane, caller, partial(then, found))
        finally:
            self._under_way -= 1


async def _in_thread(lane: _Lane, caller: Hashable, work: Callable[[], T]) -> T:
    """What *work* gives, in a thread of the lane. The turn ends with the thread's work, whoever waits for it or not."""
    loop = asyncio.get_running_loop()

    def leave(_: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(lane.turns.leave, caller)

    future = lane.threads.submit(work)
    future.add_done_callback(leave)
    return await asyncio.wrap_future(future)


def _asked(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except ConsentError:  # first: InvalidEvent is a ValueError too
        raise
    except (ValueError, TypeError) as error:
        raise MisusedStore(str(error)) from error


async def _awaited(ask: Callable[[], Any]) -> Any:
    try:
        return await ask()
    except ConsentError:
        raise
    except (ValueError, TypeError) as error:
        raise MisusedStore(str(error)) from error


def _is_small(found: Any) -> bool:
    many = found if isinstance(found, list) else getattr(found, "records", ())
    return len(many) <= FEW


def _as_it_is(found: T) -> T:
    return found
