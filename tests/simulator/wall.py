"""The store's wall clock, which hands set back and forth, and never shows an earlier `at` than before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.simulator.loop import Loop

ORIGIN = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def instant(seconds: float) -> datetime:
    """A wall clock's reading as an instant."""
    return ORIGIN + timedelta(seconds=seconds)


def seconds_of(at: datetime) -> float:
    """The seconds of an instant of `instant`."""
    return (at - ORIGIN).total_seconds()


class WallClock:
    """
    The store's wall clock, on which permissions end.

    A client counts from the `at` of its load, on its lease clock. An operator who sets this clock *forth* so ends a
    permission for clients that load later, not for those that hold the user. The oracle therefore takes the slowest
    reading since the state was committed, `slowest`.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._offset = 0.0
        self._latest = 0.0
        self._samples: list[tuple[float, float]] = []

    def peek(self) -> float:
        """What it shows."""
        return max(self._latest, self._loop.now + self._offset)

    def at(self) -> float:
        """What it shows, and never less again."""
        self._latest = self.peek()
        return self._latest

    def set(self, offset: float) -> None:
        """A hand sets the clock."""
        self._sample()
        self._offset = offset
        self._sample()

    def _sample(self) -> None:
        self._samples = [*self._samples[-50:], (self._loop.now, self.peek() - self._loop.now)]

    def slowest(self, since: float, shown_then: float, when: float) -> float:
        """The least that a clock shows at *when* that was read at an instant from *since* on and then ran true."""
        offsets = [offset for time, offset in self._samples if time >= since]
        return when + min([shown_then - since, self.peek() - self._loop.now, *offsets])
