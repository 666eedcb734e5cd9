"""Turns of the threads that write: SQLite lets in whoever asks at the right moment, and others wait for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .._places import Places


class Turns:
    """
    One thread after the other, in the order they came. Safe to use from several threads.

    It is fairness, no lock: who waited long enough goes on, and the database has the last word. So nothing is lost if
    a turn is never given back, and a turn whose call is gone is passed over.
    """

    def __init__(self) -> None:
        self._queue = Places()

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """
        Have the block run after those that came before.

        Args:
            seconds: How long to wait for them at most.
        """
        with self._queue.place() as mine:
            self._queue.wait_until_first(mine, seconds)
            yield
