"""
Promises: results to wait for, from threads and from asyncio tasks, that no signal handler can leave locked.

A `concurrent.futures.Future` is guarded by a `Condition`, which is Python code. If a signal handler raises after the
lock is taken and before the block that releases it, the future stays locked for good, and so does every thread that
uses the future. `Event` has the same fault, and so has `Thread.start`, which waits for an `Event`. Here each step that
other threads see is one operation on a list, which cannot be interrupted half-way, and each waiter has its own lock.
"""

from __future__ import annotations

import asyncio
import threading
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from contextlib import suppress
from threading import TIMEOUT_MAX
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class WaitTimeout(Exception):
    """A promise was not done in time. The work for it goes on."""


class Lost(Exception):
    """Spawned work has no outcome. Unless it is `Ended`, it did not begin, for want of a thread or an event loop."""


class Ended(Lost):
    """The work may have begun, and its event loop or its client ended before it did."""


class Promise(Generic[T]):
    """A result or an error that will be set; the first one counts. Safe to use from several threads."""

    __slots__ = ("_callbacks", "_outcomes")

    def __init__(self) -> None:
        self._outcomes: list[tuple[T | None, BaseException | None]] = []  # the first one counts
        self._callbacks: list[Callable[[Promise[T]], object]] = []

    def __repr__(self) -> str:  # without the result, which may name a user
        return f"<Promise {'done' if self.done() else 'pending'}>"

    def done(self) -> bool:
        """Whether the result or the error is set."""
        return bool(self._outcomes)

    def result(self) -> T:
        """Give the result of a promise that is done, or raise its error."""
        value, error = self._outcomes[0]
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

    def exception(self) -> BaseException | None:
        """Give the error of a promise that is done, or None."""
        return self._outcomes[0][1]

    def set_result(self, value: T) -> bool:
        """Set the result. False: the promise was done before."""
        return self._settle((value, None))

    def set_exception(self, error: BaseException) -> bool:
        """Set the error. False: the promise was done before."""
        return self._settle((None, error))

    def _settle(self, outcome: tuple[T | None, BaseException | None]) -> bool:
        self._outcomes.append(outcome)
        self._call_back()
        return self._outcomes[0] is outcome

    def add_done_callback(self, callback: Callable[[Promise[T]], object]) -> None:
        """Call *callback* with the promise once it is done: now, or in the thread that sets the outcome."""
        self._callbacks.append(callback)  # before the check, or an outcome set in between is missed
        if self._outcomes:
            self._call_back()

    def remove_done_callback(self, callback: Callable[[Promise[T]], object]) -> None:
        """Withdraw a callback that was not called yet."""
        with suppress(ValueError):
            self._callbacks.remove(callback)

    def _call_back(self) -> None:
        failure: Exception | None = None
        while self._callbacks:
            try:
                callback = self._callbacks.pop(0)
            except IndexError:  # another thread called it
                break
            try:
                callback(self)
            except Exception as error:  # noqa: BLE001 - raised below, once the others were called
                failure = error
        if failure is not None:
            raise failure

    def wait(self, seconds: float) -> bool:
        """Wait for up to so many seconds. Whether the promise is done."""
        if self._outcomes:
            return True
        lock = allocate_lock()
        lock.acquire()

        def wake(_: Any) -> None:
            lock.release()

        self.add_done_callback(wake)
        try:
            lock.acquire(timeout=min(max(0.0, seconds), TIMEOUT_MAX))
        finally:
            self.remove_done_callback(wake)
        return self.done()


def run_in_thread(work: Callable[[], T]) -> Promise[T]:
    """
    Run *work* in a daemon thread, so that work which hangs holds up neither its waiters nor the interpreter's exit.

    If no thread can be started the promise fails with `Lost`. If a signal handler raises meanwhile, there is either a
    thread that does the work or none. `Thread.start` waits for an `Event`, so another thread calls it, in which no
    signal handler runs.
    """
    promise: Promise[T] = Promise()
    to_do = [work]

    def run() -> None:
        if not to_do:
            return
        try:
            result = to_do.pop()()
        except BaseException as error:  # noqa: BLE001 - raised where the promise is waited for
            promise.set_exception(error)
        else:
            promise.set_result(result)

    def begin() -> None:
        try:
            threading.Thread(target=run, name="diijam-consent", daemon=True).start()
        except RuntimeError as error:
            if to_do:
                promise.set_exception(lost("there is no thread for it", error))

    try:
        start_new_thread(begin, ())
    except RuntimeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # from a signal handler, once the thread had begun
        promise.set_exception(lost("there is no thread for it", error))
    return promise


def lost(why: str, cause: Exception | None = None) -> Lost:
    """Make the error for spawned work that never began."""
    lost = Lost(why)
    lost.__cause__ = cause
    return lost


async def await_promise(promise: Promise[T], seconds: float | None = None) -> T:
    """
    Wait for a promise from a task, and give its result. If the task is cancelled, the work goes on.

    Raises:
        WaitTimeout: the promise is not done within so many seconds.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        """Wake the task that waits."""
        if not waiter.done():
            waiter.set_result(None)

    def wake(_: Promise[T]) -> None:
        """Wake the task from the thread that set the outcome."""
        with suppress(RuntimeError):  # the loop ended
            loop.call_soon_threadsafe(settle)

    promise.add_done_callback(wake)
    try:
        await asyncio.wait([waiter], timeout=seconds)
    finally:
        promise.remove_done_callback(wake)
    if not promise.done():
        raise WaitTimeout
    return promise.result()
