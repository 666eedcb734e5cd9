"""Threads for work that must not block the event loop, shared fairly between callers."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Hashable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from .fair_semaphore import FairSemaphore

T = TypeVar("T")

Settle = Callable[[Any, BaseException | None], None]  # takes the result, or the error
Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, Settle]


class Lane:
    """
    Work of one kind, which waits for its like and for no other kind. Use it on one event loop only.

    Its threads are daemons, so that work which hangs does not hold up the interpreter's exit. With a
    `ThreadPoolExecutor` and its futures, the way to a thread and back took 1.7 times as long.

    Args:
        name: Names its threads.

        places: How many pieces of work may run at once.

        per_caller: How many of them may be one caller's.
    """

    def __init__(self, name: str, places: int, per_caller: int) -> None:
        self.semaphore = FairSemaphore(places, per_caller)
        self._name = f"diijam-consent-{name}"
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._under_way = 0
        self._threads = 0
        self._end_threads = weakref.finalize(self, _end_threads, self._jobs, places)

    async def run(self, caller: Hashable, work: Callable[[], T]) -> T:
        """
        Do *work* in a thread, once it is the caller's turn.

        The place is released when the thread is done, even if nobody waits for the result any more.

        Raises:
            RuntimeError: the lane is closed, or there is no thread for it.
        """
        await self.semaphore.acquire(caller)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def end(result: Any, error: BaseException | None) -> None:
            """Release the place and hand over the outcome, on the event loop."""
            self._under_way -= 1
            self.semaphore.release(caller)
            if done.done():
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        try:
            self._find_thread()
        except BaseException:
            self.semaphore.release(caller)
            raise
        self._under_way += 1
        self._jobs.put((work, loop, end))
        return await done

    def _find_thread(self) -> None:
        """Start a thread, unless one is free."""
        if not self._end_threads.alive:
            raise RuntimeError("this lane is closed")
        if self._under_way >= self._threads:
            threading.Thread(target=_work_off, args=(self._jobs,), name=self._name, daemon=True).start()
            self._threads += 1

    def close(self) -> None:
        """Begin no more work, and wait for none."""
        self._end_threads()


def settle(done: asyncio.Future[Any], outcome: Any) -> None:
    """Give a future its result, or its error if *outcome* is one, unless it was given up."""
    if done.done():
        return
    if isinstance(outcome, Exception):
        done.set_exception(_for_future(outcome))
    else:
        done.set_result(outcome)


def _for_future(error: BaseException) -> BaseException:
    """Make an error that a future takes: with a StopIteration, before Python 3.12, its waiter waits for ever."""
    if not isinstance(error, StopIteration):
        return error
    taken = RuntimeError("the work raised StopIteration")
    taken.__cause__ = error
    return taken


def _work_off(jobs: SimpleQueue[Job | None]) -> None:
    """Do what is handed over, in a thread."""
    while (job := jobs.get()) is not None:
        work, loop, end = job
        result: Any = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - raised where the work is waited for
            error = _for_future(raised)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(end, result, error)
        del job, work, loop, end, result, error  # nothing is kept while the thread waits


def _end_threads(jobs: SimpleQueue[Job | None], places: int) -> None:
    """End every thread of a lane once it is idle."""
    for _ in range(places):
        jobs.put(None)
