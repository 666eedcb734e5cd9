"""A cap on calls under way at once (rule 11)."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future


class Places:
    """
    So many places; who comes later waits for one, in order. Safe to use from several threads.

    Args:
        places: How many there are.
    """

    def __init__(self, places: int) -> None:
        self._lock = threading.Lock()
        self._free = places
        self._waiting: deque[Future[None]] = deque()

    def take(self) -> Future[None]:
        """A place: done once it is one's own, then or earlier to be given back."""
        place: Future[None] = Future()
        with self._lock:
            if self._free:
                self._free -= 1
            else:
                self._waiting.append(place)
                return place
        place.set_result(None)
        return place

    def give_back(self, place: Future[None]) -> None:
        """The place is free, or is not waited for any more."""
        if place.cancel():
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
