"""Clocks that a test moves, so that no test waits for a lease or a consent to end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class LeaseClock:
    """A lease clock, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds


class WallClock:
    """A wall clock, which a test can also set back."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> None:
        """Move the clock."""
        self.now += timedelta(seconds=seconds)


class Clock:
    """The wall clock of a store and the lease clock of its client, moved together."""

    def __init__(self) -> None:
        self.wall = WallClock()
        self.lease = LeaseClock()

    def tick(self, seconds: float) -> None:
        """
        Move both clocks.

        Raises:
            ValueError: *seconds* is negative, and a lease clock never goes back.
        """
        if not seconds >= 0:
            raise ValueError("time goes on: tick by 0 seconds or more (clock.wall.tick sets the wall clock back)")
        self.wall.tick(seconds)
        self.lease.tick(seconds)

    def later(self, seconds: float) -> datetime:
        """Return the instant so many seconds from now, for `expires_at` and `until`."""
        return self.wall.now + timedelta(seconds=seconds)
