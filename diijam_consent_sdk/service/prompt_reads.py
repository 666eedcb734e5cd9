"""
Reads of one user's standing on the event loop itself. From a file that is in memory such a read takes less time than
the way to a thread and back.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..stores.answers import Standings

SLOW_SECONDS = 0.02  # of a read that had to wait for the disk
PAUSES = 50  # after a slow read, threads read for this many times as long: the event loop is not to wait for the disk


class PromptReads:
    """
    Reads that wait for no lock and for no other call. Use them on one event loop only.

    Args:
        read: Reads a user's standing without waiting for a lock; gives None if it cannot.

        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self, read: Callable[[str], Standings | None], *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._read = read
        self._clock = clock
        self._paused_until = float("-inf")

    def read(self, user_id: str) -> Standings | None:
        """
        Read a user's standing.

        Args:
            user_id: The user's id, which was checked.

        Returns:
            The standing; None if a thread has to read it.
        """
        began = self._clock()
        if began < self._paused_until:
            return None
        found, ended = self._read(user_id), self._clock()
        if ended - began > SLOW_SECONDS:
            self._paused_until = ended + PAUSES * (ended - began)
        return found
