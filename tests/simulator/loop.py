"""Virtual time: events in order of their instant, one at a time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

Work = Callable[[], None]


class Loop:
    """A queue of what is going to happen. Running one event inside another models a thread that was preempted."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self._queue: list[tuple[float, int, Work]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, work: Work) -> None:
        """Do *work* in so many seconds."""
        heapq.heappush(self._queue, (self.now + max(0.0, seconds), next(self._numbers), work))

    def step(self) -> None:
        """Go on to the next event and let it happen."""
        if self._queue:
            when, _, work = heapq.heappop(self._queue)
            self.now = max(self.now, when)
            self.steps += 1
            work()

    def is_due(self, until: float) -> bool:
        """Whether an event is due before this instant."""
        return bool(self._queue) and self._queue[0][0] <= until
