"""
What is waited for. A `concurrent.futures.Future` is guarded by a `Condition`, which is Python code: a signal handler
that raises after the lock is taken and before the block that gives it back leaves the future locked for good, and with
it every thread that settles it or asks it. An `Event` is no better, nor `Thread.start`, which waits for one. Here each
step that other threads see is one operation on a list, which nothing can interrupt half-way, and each waiter has a lock
of its own.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable
from contextlib import suppress
from threading import TIMEOUT_MAX
from typing import Any, Generic, TypeVar

T = TypeVar("T")


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
