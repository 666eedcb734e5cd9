"""
The time of a store: its wall clock, as far as it agrees with the clock that counts suspended time.

A wall clock set years ahead would otherwise end every consent for good.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ..._clock import steady_seconds
from ..._logging import log

MAX_AHEAD = timedelta(hours=1)
_lock = threading.RLock()  # of all clocks; a signal handler may come back here
CLOCK_AHEAD = (
    "the clock of this ledger's machine jumped ahead by more than an hour, so only withdrawals and other refusals are"
    " written: set it right, then try again; if it is right, start this process again (a test passes clock=)"
)


class StoreClock:
    """
    The time for stamps and answers, from a wall clock that may be set by hand.

    A time more than an hour ahead of what the steady clock measured since the first reading is not used: the time is
    then the last good one plus what was measured since. A clock set back is not followed either, so what expired stays
    expired.

    Safe to use from several threads.

    Args:
        steady: Gives the seconds of a clock that goes on at a true rate.
    """

    def __init__(self, steady: Callable[[], float] = steady_seconds) -> None:
        self._steady = steady
        self._first: datetime | None = None  # what the wall clock showed when the steady clock was at 0
        self._latest: datetime | None = None  # the same, of the latest time given out
        self.is_ahead = False

    def read(self, shown: datetime, last: datetime | None) -> datetime:
        """
        Find the time now.

        Args:
            shown: What the wall clock shows, read just before.

            last: The time of the ledger's last entry.

        Returns:
            The time, never before *last* nor before an earlier answer. `is_ahead` is then whether *shown* was too far
            ahead to be used.
        """
        measured = timedelta(seconds=self._steady())
        with _lock:  # or a thread would put an earlier time in place of another one's
            was_ahead, now = self.is_ahead, self._advance(shown - measured, measured, last)
        if self.is_ahead and not was_ahead:
            log.error("store.clock_ahead")
        return now

    def _advance(self, start: datetime, measured: timedelta, last: datetime | None) -> datetime:
        if self._first is None or self._latest is None:
            self._first = self._latest = start
        self.is_ahead = start - self._first > MAX_AHEAD
        start = self._latest if self.is_ahead else max(start, self._latest)
        now = start + measured if last is None else max(start + measured, last)
        self._latest = max(self._latest, now - measured)
        return now

    def estimate(self) -> datetime:
        """Estimate what `read` is about to find, before a wall clock was read."""
        if self._latest is None:
            return datetime.now(UTC)
        return self._latest + timedelta(seconds=self._steady())


def _renew_lock() -> None:
    """In a forked child: the thread that held the lock is not there."""
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
