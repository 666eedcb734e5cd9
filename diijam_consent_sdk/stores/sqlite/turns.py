"""Turns of the threads that write: SQLite lets in whoever asks at the right moment, and others wait for ever."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class _Turn:
    """A place in the queue, for as long as its call goes on."""


class Turns:
    """
    One thread after the other, in the order they came. Safe to use from several threads.

    It is fairness, no lock: who waited long enough goes on, and the database has the last word. So nothing is lost if
    a turn is never given back, and a turn whose call is gone is passed over.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[weakref.ref[_Turn]] = deque()

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """
        Have the block run after those that came before.

        Args:
            seconds: How long to wait for them at most.
        """
        mine = _Turn()
        place = weakref.ref(mine)
        try:
            with self._changed:
                self._queue.append(place)
                self._changed.wait_for(lambda: self._first() is mine, seconds)
            yield
        finally:
            with self._changed:
                with suppress(ValueError):
                    self._queue.remove(place)
                self._changed.notify_all()

    def _first(self) -> _Turn | None:
        while self._queue:
            if (first := self._queue[0]()) is not None:
                return first
            self._queue.popleft()
        return None
