"""The two ways to run steps: `Threads` for the sync client, `Tasks` for the async one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Generic, TypeVar, assert_never

from .operations import Call, Late, Sleep, Steps, Wait

T = TypeVar("T")


def in_thread(work: Callable[[], T]) -> Future[T]:
    """Do *work* in a daemon thread: one that hangs keeps neither its waiters nor the interpreter's exit."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # whoever stops waiting must not cancel it for the others

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is the waiter's
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="diijam-consent", daemon=True).start()
    return future


class Threads:
    """Runs steps in the thread that asks, and spawned steps in daemon threads."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._stopped = threading.Event()

    def run(self, steps: Steps[T]) -> T:
        """Run *steps* to their end, in this thread."""
        outcome: Any = None
        resume: Callable[[Any], Call | Wait | Sleep] = steps.send
        while True:
            try:
                wanted = resume(outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                outcome, resume = self._perform(wanted), steps.send
            except BaseException as error:  # noqa: BLE001 - the steps decide what it means
                outcome, resume = error, steps.throw

    def spawn(self, steps: Steps[T]) -> Future[T]:
        """Run *steps* beside everything else."""
        return in_thread(lambda: self.run(steps))

    def stop(self) -> None:
        """End every sleep, now and later."""
        self._stopped.set()

    def _perform(self, wanted: Call | Wait | Sleep) -> Any:
        match wanted:
            case Call(method, args, kwargs):
                return getattr(self._store, method)(*args, **kwargs)
            case Wait(future, until):
                left = min(max(0.0, until - time.monotonic()), threading.TIMEOUT_MAX)
                concurrent.futures.wait([future], timeout=left)
                if not future.done():
                    raise Late
                return future.result()
            case Sleep(seconds):
                return self._stopped.wait(seconds)
            case _:
                assert_never(wanted)


class _Result(Generic[T]):
    """What steps returned. Its repr tells nothing: in debug mode asyncio logs the results of tasks and futures."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


class Tasks:
    """Runs steps in the task that asks, and spawned steps in tasks of their own; calls a sync store in threads."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._is_async = inspect.iscoroutinefunction(store.load)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, steps: Steps[T]) -> T:
        """Run *steps* to their end, in this task."""
        outcome: Any = None
        resume: Callable[[Any], Call | Wait | Sleep] = steps.send
        while True:
            try:
                wanted = resume(outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                outcome, resume = await self._perform(wanted), steps.send
            except BaseException as error:  # noqa: BLE001 - the steps decide what it means
                outcome, resume = error, steps.throw

    def spawn(self, steps: Steps[T]) -> Future[Any]:
        """Run *steps* beside everything else; what they return, `Wait` gives."""
        future: Future[_Result[T]] = Future()
        future.set_running_or_notify_cancel()

        async def run() -> _Result[T]:
            """Run them, with a result that tells nothing."""
            return _Result(await self.run(steps))

        def finish(task: asyncio.Task[_Result[T]]) -> None:
            self._tasks.discard(task)
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is None:
                future.set_result(task.result())
            else:
                future.set_exception(error)

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(finish)
        return future

    def stop(self) -> None:
        """Cancel what was spawned."""
        for task in self._tasks:
            task.cancel()

    async def _perform(self, wanted: Call | Wait | Sleep) -> Any:
        match wanted:
            case Call(method, args, kwargs):
                call = partial(getattr(self._store, method), *args, **kwargs)
                return await (call() if self._is_async else asyncio.wrap_future(in_thread(call)))
            case Wait(future, until):
                waiting = asyncio.wrap_future(future)
                waiting.add_done_callback(_retrieve)
                # asyncio.wait cancels nothing, neither when time is up nor when this task is cancelled.
                await asyncio.wait([waiting], timeout=max(0.0, until - time.monotonic()))
                if not waiting.done():
                    raise Late
                result = waiting.result()
                return result.value if isinstance(result, _Result) else result
            case Sleep(seconds):
                return await asyncio.sleep(seconds)
            case _:
                assert_never(wanted)


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Have an error count as seen although its waiter may have gone."""
    if not future.cancelled():
        future.exception()
