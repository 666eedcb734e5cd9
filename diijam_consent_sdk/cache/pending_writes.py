"""The least position that a user's next record must have after a write of this process (rule 8)."""

from __future__ import annotations

from math import inf

import attrs

MAX_MINIMUMS = 10_000  # users with a floor of their own; past that the oldest share one


@attrs.define
class _Kept:
    """Minimums by user, oldest first; past the cap the oldest are merged into one for all: stricter."""

    of: dict[str, tuple[int, float]] = attrs.field(factory=dict, repr=False)  # the position, and until when it counts
    of_all: tuple[int, float] = (0, -inf)

    def lift(self, user_id: str, position: int, until: float) -> None:
        """Of this user nothing older until then."""
        self.of[user_id] = _stricter(self.of.pop(user_id, (0, -inf)), (position, until))
        while len(self.of) > MAX_MINIMUMS:
            self.of_all = _stricter(self.of_all, self.of.pop(next(iter(self.of))))

    def under(self, user_id: str, sent_at: float) -> int:
        """The least position that counted for a load sent then."""
        both = (self.of_all, self.of.get(user_id, (0, -inf)))
        return max(position if sent_at < until else 0 for position, until in both)

    def expire(self, now: float) -> None:
        """Forget what counts no more, as far as it is the oldest: the rest goes with it later."""
        while self.of and next(iter(self.of.values()))[1] <= now:
            del self.of[next(iter(self.of))]


class MinimumPositions:
    """
    By user, in bounded memory. Not thread-safe: `Leases` holds a lock.

    Args:
        seconds: How long a floor that the feed has passed is remembered: B of the protocol. If the store is then taken
            for another history although it only lags, it counts again (rule 6).
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._clear()

    def _clear(self) -> None:
        self._lifted = _Kept()
        self._passed = _Kept()
        self._of_before = _Kept()  # lifted in a history of the same epoch that was left

    def __len__(self) -> int:
        """How many users have a floor of their own in this history."""
        return len(self._lifted.of)

    def sizes(self) -> list[int]:
        """How many floors there are of each kind, none of them more than `MAX_MINIMUMS`."""
        return [len(kept.of) for kept in (self._lifted, self._passed, self._of_before)]

    def lift(self, user_id: str, position: int) -> None:
        """Accept nothing older of this user."""
        self._lifted.lift(user_id, position, inf)

    def under(self, user_id: str, sent_at: float) -> int:
        """The least position acceptable of this user from a load that was sent then."""
        return max(self._lifted.under(user_id, sent_at), self._of_before.under(user_id, sent_at))

    def pass_by(self, position: int, now: float) -> None:
        """The feed has come here: it keeps out what is older."""
        self._passed.expire(now)
        self._of_before.expire(now)
        if not self._lifted.of:
            return
        above: dict[str, tuple[int, float]] = {}
        for user_id, (floor, until) in self._lifted.of.items():
            if floor > position:
                above[user_id] = floor, until
            else:
                self._passed.lift(user_id, floor, now + self._seconds)
        self._lifted.of = above

    def keep_until(self, until: float) -> None:
        """The store seems to have another history of the same epoch: what was lifted here counts until then."""
        now = until - self._seconds
        of_before = _Kept()
        for kept in (self._of_before, self._passed, self._lifted):
            for user_id, (floor, ends) in kept.of.items():
                if ends > now:
                    of_before.lift(user_id, floor, min(ends, until))
            if kept.of_all[1] > now:
                of_before.of_all = _stricter(of_before.of_all, (kept.of_all[0], min(kept.of_all[1], until)))
        self._clear()
        self._of_before = of_before

    def clear(self) -> None:
        """Another history began, whose positions tell nothing of these."""
        self._clear()


def _stricter(one: tuple[int, float], other: tuple[int, float]) -> tuple[int, float]:
    return max(one[0], other[0]), max(one[1], other[1])
