"""Threads for work that must not block the event loop, shared fairly between callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from .fair_semaphore import FairSemaphore

T = TypeVar("T")


class Lane:
    """
    Work of one kind, which waits for its like and for no other kind. Use it on one event loop only.

    Args:
        name: Names its threads.

        places: How many pieces of work may run at once.

        per_caller: How many of them may be one caller's.
    """

    def __init__(self, name: str, places: int, per_caller: int) -> None:
        self.semaphore = FairSemaphore(places, per_caller)
        self._threads = ThreadPoolExecutor(places, f"diijam-consent-{name}")

    async def run(self, caller: Hashable, work: Callable[[], T]) -> T:
        """
        Do *work* in a thread, once it is the caller's turn.

        The place is released when the thread is done, even if nobody waits for the result any more.
        """
        await self.semaphore.acquire(caller)
        loop = asyncio.get_running_loop()

        def release(_: Future[T]) -> None:
            """Release the place, from the thread that did the work."""
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self.semaphore.release, caller)

        future = self._threads.submit(work)
        future.add_done_callback(release)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Begin no more work, and wait for none."""
        self._threads.shutdown(wait=False, cancel_futures=True)
