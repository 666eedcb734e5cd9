"""
What is waited for. A `concurrent.futures.Future` is guarded by a `Condition`, which is Python code: a signal handler
that raises after the lock is taken and before the block that gives it back leaves the future locked for good, and with
it every thread that settles it or asks it. An `Event` is no better, nor `Thread.start`, which waits for one. Here each
step that other threads see is one operation on a list, which nothing can interrupt half-way, and each waiter has a lock
of its own.
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
    """What was waited for did not come in time; it goes on."""


class Lost(Exception):
    """What was spawned did not begin, for want of a thread or an event loop, or its event loop ended before it did."""


class Promise(Generic[T]):
    """A result that will be there, or an error; the first one counts. Safe to use from several threads."""

    __slots__ = ("_callbacks", "_outcomes")

    def __init__(self) -> None:
        self._outcomes: list[tuple[T | None, BaseException | None]] = []  # the first is it
        self._callbacks: list[Callable[[Promise[T]], object]] = []

    def __repr__(self) -> str:  # tells nothing of the result, which may be about somebody
        return f"<Promise {'done' if self.done() else 'pending'}>"

    def done(self) -> bool:
        """Whether the result or the error is there."""
        return bool(self._outcomes)

    def result(self) -> T:
        """The result of one that is done; raises the error if it is one."""
        value, error = self._outcomes[0]
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

    def exception(self) -> BaseException | None:
        """The error of one that is done."""
        return self._outcomes[0][1]

    def set_result(self, value: T) -> bool:
        """It is done with this result; False: it was done before."""
        return self._settle((value, None))

    def set_exception(self, error: BaseException) -> bool:
        """It is done with this error; False: it was done before."""
        return self._settle((None, error))

    def _settle(self, outcome: tuple[T | None, BaseException | None]) -> bool:
        self._outcomes.append(outcome)
        self._call_back()
        return self._outcomes[0] is outcome

    def add_done_callback(self, callback: Callable[[Promise[T]], object]) -> None:
        """Call *callback* with this once it is done: now, or in the thread that settles it."""
        self._callbacks.append(callback)  # before the look: whoever settles it after the look sees the callback
        if self._outcomes:
            self._call_back()

    def remove_done_callback(self, callback: Callable[[Promise[T]], object]) -> None:
        """It is not to be called any more."""
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
        """Whether it is done within so many seconds."""
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


def in_thread(work: Callable[[], T]) -> Promise[T]:
    """
    Do *work* in a daemon thread: one that hangs keeps neither its waiters nor the interpreter's exit.

    Without a thread to be had the promise is `Lost`. A signal handler that raises meanwhile leaves a thread that does
    the work, or none: `Thread.start` waits for an `Event`, so another thread calls it, where no handler runs.
    """
    promise: Promise[T] = Promise()
    to_do = [work]

    def run() -> None:
        if not to_do:
            return
        try:
            result = to_do.pop()()
        except BaseException as error:  # noqa: BLE001 - it is the waiter's
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
            raise  # a signal handler did, once the thread had begun
        promise.set_exception(lost("there is no thread for it", error))
    return promise


def lost(why: str, cause: Exception | None = None) -> Lost:
    """The error for what was spawned and never began, or did not end."""
    lost = Lost(why)
    lost.__cause__ = cause
    return lost


async def awaited(promise: Promise[T], seconds: float | None = None) -> T:
    """
    What *promise* comes to, from a task. Cancels nothing.

    Raises:
        WaitTimeout: it did not within so many seconds.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        """Wake the task that waits."""
        if not waiter.done():
            waiter.set_result(None)

    def wake(_: Promise[T]) -> None:
        """Wake the task from whatever thread settled the promise."""
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
