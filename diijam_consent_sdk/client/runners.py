"""The two ways to run steps: `Threads` for the sync client, `Tasks` for the async one."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, assert_never

from .._threads import Late, Promise, awaited, in_thread, lost
from .effects import Call, Sleep, Steps, Wait

T = TypeVar("T")


class Threads:
    """Runs steps in the thread that asks, and spawned steps in daemon threads."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._stopped: Promise[None] = Promise()

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

    def spawn(self, steps: Steps[T]) -> Promise[T]:
        """Run *steps* beside everything else."""
        return in_thread(lambda: self.run(steps))

    def stop(self) -> None:
        """End every sleep, now and later."""
        self._stopped.set_result(None)

    def _perform(self, wanted: Call | Wait | Sleep) -> Any:
        match wanted:
            case Call(method, args, kwargs):
                return getattr(self._store, method)(*args, **kwargs)
            case Wait(promise, until):
                if not promise.wait(until - time.monotonic()):
                    raise Late
                return promise.result()
            case Sleep(seconds):
                return self._stopped.wait(seconds)
            case _:
                assert_never(wanted)


class Tasks:
    """Runs steps in the task that asks, and spawned steps in tasks of their own; calls a sync store in threads."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._is_async = inspect.iscoroutinefunction(store.load)
        self._spawned: dict[asyncio.Task[None], tuple[Promise[Any], Steps[Any]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, steps: Steps[T]) -> T:
        """Run *steps* to their end, in this task."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move(loop)
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

    def spawn(self, steps: Steps[T]) -> Promise[T]:
        """Run *steps* beside everything else."""
        promise: Promise[T] = Promise()

        async def run() -> None:
            """Run them. The task itself has no result: in debug mode asyncio logs it."""
            try:
                result = await self.run(steps)
            except Exception as error:  # noqa: BLE001 - it is the waiter's
                promise.set_exception(error)
            else:
                promise.set_result(result)

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            promise.set_exception(lost("there is no event loop for it", error))
            return promise
        task = loop.create_task(run())
        self._spawned[task] = promise, steps
        task.add_done_callback(self._finish)
        return promise

    def stop(self) -> None:
        """Cancel what was spawned."""
        for task in list(self._spawned):
            _cancel(task)

    def is_home(self) -> bool:
        """Whether the event loop that runs is the one that was used last."""
        return asyncio.get_running_loop() is self._loop

    def _finish(self, task: asyncio.Task[None]) -> None:
        """A task is over, or will never go on: its waiters hear of it."""
        promise, steps = self._spawned.pop(task, (None, None))
        if promise is None or steps is None:
            return
        steps.close()  # what they hold is free, at once
        if task.done() and not task.cancelled():
            task.exception()  # asyncio need not tell of it
        promise.set_exception(lost("its event loop or its client ended"))

    def _move(self, loop: asyncio.AbstractEventLoop) -> None:
        """Another event loop is used now: what was spawned on one that does not run any more is lost."""
        self._loop = loop
        for task in list(self._spawned):
            if not task.get_loop().is_running():
                _cancel(task)
                self._finish(task)

    async def _perform(self, wanted: Call | Wait | Sleep) -> Any:
        match wanted:
            case Call(method, args, kwargs):
                call = partial(getattr(self._store, method), *args, **kwargs)
                return await (call() if self._is_async else awaited(in_thread(call)))
            case Wait(promise, until):
                return await awaited(promise, max(0.0, until - time.monotonic()))
            case Sleep(seconds):
                return await asyncio.sleep(seconds)
            case _:
                assert_never(wanted)


def _cancel(task: asyncio.Task[None]) -> None:
    with suppress(RuntimeError):  # its loop is closed
        task.get_loop().call_soon_threadsafe(task.cancel)
