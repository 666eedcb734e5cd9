"""
A pool of threads for the calls of one client: a few at once, while the others wait in a queue.

A thread for each call that waits would cost the process as many threads as it has callers.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import attrs

from .._threads import Ended, Promise, WaitTimeout, lost
from .effects import Effects, Spawn

T = TypeVar("T")


@attrs.define(eq=False)
class QueuedCall:
    """Effects that wait for a worker, or that one runs."""

    effects: Effects[Any] = attrs.field(repr=False)
    until: float
    outcome: Promise[Any] = attrs.field(factory=Promise)
    has_begun: bool = False


@attrs.define(eq=False)
class Worker:
    """A thread that runs one call after the other until none waits."""

    ended: Promise[None] | None = None  # None: its thread is being started
    is_over: bool = False  # it takes no other call

    def is_alive(self) -> bool:
        """Whether it takes, or will take, another call. It does not if there was no thread for it."""
        return not self.is_over and (self.ended is None or not self.ended.done())


class ThreadPool:
    """
    Runs calls in the order of `spawn`. Safe to use from several threads.

    A signal handler that raises may interrupt `spawn` anywhere. A worker is counted, and a call is queued, by one step
    each, and after its thread began; so what is interrupted before leaves nothing behind.

    Args:
        size: How many calls run at once.

        spawn: Runs effects in a thread.
    """

    def __init__(self, size: int, spawn: Spawn) -> None:
        self._size = size
        self._spawn = spawn
        self._lock = threading.RLock()  # a signal handler may call while its thread starts a worker
        self._workers: list[Worker] = []
        self._queue: deque[QueuedCall] = deque()

    def spawn(self, effects: Effects[T], until: float) -> Promise[T]:
        """See `LimitedSpawn`."""
        call, hired = QueuedCall(effects, until), None
        call.outcome.add_done_callback(partial(self._withdraw, call))
        with self._lock:
            alive = self._alive()
            if len(alive) < self._size:
                hired = Worker()
                hired.ended = self._spawn(self._work(hired))  # which waits for the lock
                self._workers = [*alive, hired]
            self._queue.append(call)
        if hired is not None and hired.ended is not None:
            hired.ended.add_done_callback(self._on_end)
        return call.outcome

    def _alive(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.is_alive()]

    def _withdraw(self, call: QueuedCall, _: Promise[Any]) -> None:
        """Forget a call whose caller left before it began: a store that hangs would collect them."""
        if not call.has_begun:
            with suppress(ValueError):
                self._queue.remove(call)

    def _work(self, worker: Worker) -> Effects[None]:
        try:
            while (call := self._next(worker)) is not None:
                yield from _run(call)
        finally:
            worker.is_over = True

    def _next(self, worker: Worker) -> QueuedCall | None:
        """Take the next call. None: the worker is over, since none waits, or since who started it was interrupted."""
        with self._lock:
            if worker in self._workers and self._queue:
                call = self._queue.popleft()
                call.has_begun = True
                return call
            worker.is_over = True
            return None

    def _on_end(self, ended: Promise[None]) -> None:
        """Fail the calls that wait, if no thread could be had for any worker."""
        error = ended.exception()
        if not isinstance(error, Exception):
            return
        with self._lock:
            if self._alive():
                return
            calls, self._queue = self._queue, deque()
        for call in calls:
            call.outcome.set_exception(lost("there is no thread for it", error))


def _run(call: QueuedCall) -> Effects[None]:
    """Run a call, unless it is too late, or its caller left as it began."""
    outcome = call.outcome
    if outcome.done() or time.monotonic() > call.until:
        outcome.set_exception(WaitTimeout())
        return
    try:
        result = yield from call.effects
    except GeneratorExit:
        outcome.set_exception(Ended("its client ended"))
        raise
    except BaseException as error:  # noqa: BLE001 - raised where the outcome is waited for
        outcome.set_exception(error)
    else:
        outcome.set_result(result)
