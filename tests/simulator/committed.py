"""
What the store held when: the oracle of I1.

The committed state at an instant is the one a load would have been answered from, had the store been within reach. A
restore commits the copy's state at the instant it is put back: what it lost is no longer so, and a yes that
rests on a lost grant has B seconds left. A restart commits nothing new.
"""

from __future__ import annotations

from collections import deque

import attrs

from diijam_consent_sdk.decisions import Ask, decide
from diijam_consent_sdk.record import ConsentRecord
from tests.simulator.wall import WallClock, instant, seconds_of


@attrs.define(eq=False)
class Segment:
    """One state of one user, from `start` until the next one."""

    start: float
    shown: float  # the wall clock at `start`
    record: ConsentRecord
    ends: dict[Ask, float] = attrs.field(factory=dict)

    def allowed_until(self, ask: Ask) -> float:
        """Until when, on the wall clock, this state allows: time alone only ever takes away."""
        if ask not in self.ends:
            self.ends[ask] = self._end(ask)
        return self.ends[ask]

    def _end(self, ask: Ask) -> float:
        at = instant(self.shown)
        while decide(self.record, ask, at).allowed:
            turn = self.record.next_change_at(at)
            if turn is None:
                return float("inf")
            at = turn
        return seconds_of(at) if at > instant(self.shown) else float("-inf")


class Committed:
    """The states of all users, as far back as a lease can reach."""

    def __init__(self, wall: WallClock, reach: float) -> None:
        self._wall = wall
        self._reach = reach
        self._of: dict[str, deque[Segment]] = {}

    def commit(self, record: ConsentRecord, now: float) -> None:
        """From now on this is the user's state."""
        segments = self._of.setdefault(record.user_id, deque())
        segments.append(Segment(now, self._wall.peek(), record))
        while len(segments) > 1 and segments[1].start < now - 4 * self._reach:
            segments.popleft()

    def allows_within(self, user_id: str, ask: Ask, since: float, until: float) -> bool:
        """Whether at some instant from *since* to *until* the committed state allowed."""
        end = until
        for segment in reversed(self._of.get(user_id, ())):
            if segment.start <= until and end >= since:
                first = max(segment.start, since)
                if self._wall.slowest(segment.start, segment.shown, first) < segment.allowed_until(ask):
                    return True
            end = segment.start
            if end < since:
                break
        return False

    def allows_now(self, user_id: str, ask: Ask, margin: float = 0.0) -> bool:
        """Whether the state allows, on the wall clock as it is and for so many seconds more."""
        segments = self._of.get(user_id)
        return segments is not None and self._wall.peek() + margin < segments[-1].allowed_until(ask)
