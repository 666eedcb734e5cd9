"""A cap on calls under way at once (rule 11)."""

from __future__ import annotations

import threading
from collections import deque

from .._threads import Promise


class Unwanted(Exception):
    """Nobody waits for this permit any more."""


class Limiter:
    """
    So many permits; who comes later waits for one, in order. Safe to use from several threads.

    Args:
        permits: How many there are.
    """

    def __init__(self, permits: int) -> None:
        self._lock = threading.Lock()
        self._free = permits
        self._waiting: deque[Promise[None]] = deque()

    def acquire(self) -> Promise[None]:
        """A permit: done once it is one's own, then or earlier to be released."""
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
        """The permit is free, or is not waited for any more."""
        if permit.set_exception(Unwanted()):
            return
        with self._lock:
            while self._waiting:
                if self._waiting.popleft().set_result(None):
                    return
            self._free += 1
