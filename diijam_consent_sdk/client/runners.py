"""
The two ways to run a generator of effects: in the calling thread for `ConsentClient`, in the calling task for
`AsyncConsentClient`. All waiting happens here, so the engine exists once.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, assert_never

from .._threads import Ended, Promise, WaitTimeout, await_promise, lost, run_in_thread
from .effects import AnyStore, Effect, Effects, LimitedSpawn, Sleep, StoreCall, Wait
from .limiter import Limiter
from .thread_pool import ThreadPool

T = TypeVar("T")


class ThreadRunner:
    """Runs effects in the calling thread, and spawned ones in daemon threads. Safe to use from several threads."""

    def __init__(self, store: AnyStore) -> None:
        self._store = store
        self._stopped: Promise[None] = Promise()

    def run(self, effects: Effects[T]) -> T:
        """Run *effects* to the end, in this thread."""
        outcome: object = None
        resume: Callable[[Any], Effect] = effects.send
        while True:
            try:
                effect = resume(outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                outcome, resume = self._perform(effect), effects.send
            except BaseException as error:  # noqa: BLE001 - the generator decides what it means
                outcome, resume = error, effects.throw

    def spawn(self, effects: Effects[T]) -> Promise[T]:
        """Run *effects* in a thread beside the caller's."""
        return run_in_thread(lambda: self.run(effects))

    def limit(self, most: int) -> LimitedSpawn:
        """Give a `spawn` that runs so many effects at once; those that wait take no thread."""
        return ThreadPool(most, self.spawn).spawn

    def stop(self) -> None:
        """End every `Sleep`, running and to come."""
        self._stopped.set_result(None)

    def _perform(self, effect: Effect) -> object:
        match effect:
            case StoreCall():
                return effect.on(self._store)
            case Wait(promise, until):
                if not promise.wait(until - time.monotonic()):
                    raise WaitTimeout
                return promise.result()
            case Sleep(seconds):
                return self._stopped.wait(seconds)
            case _:
                assert_never(effect)


class TaskRunner:
    """
    Runs effects in the calling asyncio task, and spawned ones in tasks beside it; over a sync store, in threads: its
    calls cannot be cancelled, so a task that ended with its event loop would leave each call under way behind.

    Belongs to the event loop that was used last: what was spawned in a task of a loop that has ended is `Lost`.
    """

    def __init__(self, store: AnyStore) -> None:
        self._store = store
        self._threads = None if inspect.iscoroutinefunction(store.load) else ThreadRunner(store)
        self._spawned: dict[asyncio.Task[None], tuple[Promise[Any], Effects[Any]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, effects: Effects[T]) -> T:
        """Run *effects* to the end, in this task."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._switch_to(loop)
        outcome: object = None
        resume: Callable[[Any], Effect] = effects.send
        while True:
            try:
                effect = resume(outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                outcome, resume = await self._perform(effect), effects.send
            except BaseException as error:  # noqa: BLE001 - the generator decides what it means
                outcome, resume = error, effects.throw

    def spawn(self, effects: Effects[T]) -> Promise[T]:
        """Run *effects* beside the caller's task."""
        if self._threads is not None:
            return self._threads.spawn(effects)
        promise: Promise[T] = Promise()

        async def run() -> None:
            """Run the effects. The task itself has no result, since asyncio logs results in debug mode."""
            try:
                result = await self.run(effects)
            except Exception as error:  # noqa: BLE001 - raised where the promise is waited for
                promise.set_exception(error)
            else:
                promise.set_result(result)

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            promise.set_exception(lost("there is no event loop for it", error))
            return promise
        task = loop.create_task(run())
        self._spawned[task] = promise, effects
        task.add_done_callback(self._release)
        return promise

    def limit(self, most: int) -> LimitedSpawn:
        """Give a `spawn` that runs so many effects at once."""
        return Limiter(most, self.spawn).spawn if self._threads is None else self._threads.limit(most)

    async def stop(self) -> None:
        """End what was spawned; tasks of the running event loop are over on return."""
        if self._threads is not None:
            self._threads.stop()
        tasks = list(self._spawned)
        for task in tasks:
            _cancel(task)
        if here := [task for task in tasks if task.get_loop() is asyncio.get_running_loop()]:
            await asyncio.wait(here)

    def is_on_its_loop(self) -> bool:
        """Whether the running event loop is the one that was used last."""
        return asyncio.get_running_loop() is self._loop

    def _release(self, task: asyncio.Task[None]) -> None:
        """Forget a task that is over or will never continue, and fail its promise if it has no result."""
        promise, effects = self._spawned.pop(task, (None, None))
        if promise is None or effects is None:
            return
        effects.close()  # releases what the generator holds, such as a permit, without waiting for the collector
        if task.done() and not task.cancelled():
            task.exception()  # marks the exception as retrieved, or asyncio logs it
        promise.set_exception(Ended("its event loop or its client ended"))

    def _switch_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make *loop* the current one, and give up the tasks of loops that no longer run."""
        self._loop = loop
        for task in list(self._spawned):
            if not task.get_loop().is_running():
                _cancel(task)
                self._release(task)

    async def _perform(self, effect: Effect) -> object:
        match effect:
            case StoreCall():
                if self._threads is not None:
                    return await await_promise(run_in_thread(partial(effect.on, self._store)))
                answer = effect.on(self._store)
                return await answer if isinstance(answer, Awaitable) else answer
            case Wait(promise, until):
                return await await_promise(promise, max(0.0, until - time.monotonic()))
            case Sleep(seconds):
                await asyncio.sleep(seconds)
                return None
            case _:
                assert_never(effect)


def _cancel(task: asyncio.Task[None]) -> None:
    with suppress(RuntimeError):  # its loop is closed
        task.get_loop().call_soon_threadsafe(task.cancel)
