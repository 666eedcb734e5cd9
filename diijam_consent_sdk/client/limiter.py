"""
Limits on the calls of one client (protocol.md, rule 11): how many run at once, and until when their caller waits.

A slow store then costs a caller no more than the deadline, and the process no more than a few threads.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TypeVar

from .._threads import Ended, Lost, Promise, WaitTimeout
from ..errors import OutcomeUnknown, StoreUnavailable
from .effects import Effects, Limit, Spawn, wait

T = TypeVar("T")

MAX_CALLS = 8  # at once, beside the loads of `SingleFlight`
MAYBE_WRITTEN = "the store has not said in time whether it wrote this: make the same call again to be sure"
NOT_BEGUN = "there is no thread or event loop for the call, so it was not sent: try again"


class Abandoned(Exception):
    """Nobody waits for this permit, or for this call, any more."""


class Limiter:
    """
    A number of permits, granted in the order of `acquire`, for calls in tasks: those that wait are tasks, too, so each
    runs on its caller's event loop and in its context. Safe to use from several threads.

    Args:
        permits: How many there are.

        spawn: Runs effects in a task.
    """

    def __init__(self, permits: int, spawn: Spawn) -> None:
        self._lock = threading.Lock()
        self._spawn = spawn
        self._free = permits
        self._waiting: deque[Promise[None]] = deque()

    def spawn(self, effects: Effects[T], until: float) -> Promise[T]:
        """See `LimitedSpawn`."""
        return self._spawn(self._with_permit(effects, until))

    def acquire(self) -> Promise[None]:
        """Ask for a permit: the promise is done once it is granted. Release it, granted or not."""
        permit: Promise[None] = Promise()
        with self._lock:
            if self._free:
                self._free -= 1
            else:
                self._waiting.append(permit)
                return permit
        permit.set_result(None)
        return permit

    def release(self, permit: Promise[None]) -> None:
        """Pass a granted permit on to the next who waits; withdraw the request for one that is not granted yet."""
        is_withdrawn = permit.set_exception(Abandoned())
        with self._lock:
            if is_withdrawn:  # else one would be left for each call that a store which hangs did not answer
                with suppress(ValueError):
                    self._waiting.remove(permit)
            else:
                self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            if self._waiting.popleft().set_result(None):
                return
        self._free += 1

    def _with_permit(self, effects: Effects[T], until: float) -> Effects[T]:
        """Run *effects* with a permit. This runs in the background, so an interrupted caller loses no permit."""
        permit = self.acquire()
        try:
            yield from wait(permit, until)
            return (yield from effects)
        finally:
            self.release(permit)


class LimitedCalls:
    """
    Runs exchanges in the background, a few at once, and waits for each within the deadline. Safe to use from several
    threads.

    Args:
        deadline: How long, in real seconds, a caller waits.

        limit: Runs effects in the background, so many at once.
    """

    def __init__(self, deadline: float, limit: Limit) -> None:
        self.deadline = deadline
        self._spawn = limit(MAX_CALLS)
        self._too_late = f"the store did not answer within {deadline} s: try again"

    def until(self) -> float:
        """The instant of `time.monotonic()` at which the wait of a call that begins now ends."""
        return time.monotonic() + self.deadline

    def run(self, effects: Effects[T], until: float, *, is_write: bool = False) -> Effects[T]:
        """
        Run *effects* once it is their turn, and wait for them until then.

        Raises:
            StoreUnavailable: they did not end in time, or there is no thread or event loop for them.

            OutcomeUnknown: they did not end in time, and *is_write*.
        """
        outcome = self._spawn(effects, until)
        try:
            return (yield from wait(outcome, until))
        except WaitTimeout:
            if is_write:
                raise OutcomeUnknown(MAYBE_WRITTEN, "") from None
            raise StoreUnavailable(self._too_late) from None
        except Lost as error:
            if is_write and isinstance(error, Ended):
                raise OutcomeUnknown(MAYBE_WRITTEN, "") from error
            raise StoreUnavailable(NOT_BEGUN) from error
        finally:
            outcome.set_exception(Abandoned())  # if the caller leaves early, and the call waits for its turn
