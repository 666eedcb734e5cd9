"""A cap on calls under way at once (rule 11)."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future


class Limiter:
    """
    So many permits; who comes later waits for one, in order. Safe to use from several threads.

    Args:
        permits: How many there are.
    """

    def __init__(self, permits: int) -> None:
        self._lock = threading.Lock()
        self._free = permits
        self._waiting: deque[Future[None]] = deque()

    def acquire(self) -> Future[None]:
        """A permit: done once it is one's own, then or earlier to be released."""
        permit: Future[None] = Future()
        with self._lock:
            if self._free:
                self._free -= 1
            else:
                self._waiting.append(permit)
                return permit
        permit.set_result(None)
        return permit

    def release(self, permit: Future[None]) -> None:
        """The permit is free, or is not waited for any more."""
        if permit.cancel():
            return
        with self._lock:
            while self._waiting:
                following = self._waiting.popleft()
                if following.set_running_or_notify_cancel():
                    break
            else:
                self._free += 1
                return
        following.set_result(None)
