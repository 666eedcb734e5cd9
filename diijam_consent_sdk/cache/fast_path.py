"""
Fast path for `consent.can_*(id)`: answers of users that the feed keeps fresh, keyed by id.

It avoids the per-user object, which is rarely in the CPU cache and was most of a guard's cost.
"""

from __future__ import annotations

from math import inf

from .compiled import Answers
from .user import UserConsent

MIN_VALID_SECONDS = 60.0  # users whose answers change sooner stay out, so `renew` searches once a minute at most


class FastPath:
    """
    The answers of users in the present generation, none of which changes by itself before `fresh_until`. Written under
    the lock of `Memory`, which removes a user here before anything else happens to the user. Read without a lock, by
    `Memory.answers`.

    Attributes:
        answers: By user id. Always the same dict, since `Memory` keeps it.

        fresh_until: Until when the feed keeps these users fresh, on the lease clock.
    """

    __slots__ = ("_ends", "_latest_fresh_until", "_next_end", "answers", "fresh_until")

    def __init__(self) -> None:
        self.fresh_until = -inf
        self.answers: dict[str, Answers] = {}
        self._ends: dict[str, float] = {}  # by id, for answers that change by themselves some day
        self._next_end = inf  # no end is earlier
        # The latest value of `fresh_until` that a reader may hold, also one from before `clear`.
        self._latest_fresh_until = -inf

    def __contains__(self, user_id: str) -> bool:
        return user_id in self.answers

    def __len__(self) -> int:
        return len(self.answers)

    def add(self, user: UserConsent) -> None:
        """Add a user, unless its answers change soon."""
        answers, valid_until = user.compiled()
        # Written so that a NaN, from a clock that is broken, keeps the user out.
        if not valid_until >= self._latest_fresh_until + MIN_VALID_SECONDS:
            return
        if valid_until < inf:
            self._ends[user.user_id] = valid_until
            self._next_end = min(valid_until, self._next_end)
        self.answers[user.user_id] = answers  # last: without its end, an interrupted add would leave a lasting yes

    def remove(self, user_id: str) -> bool:
        """Remove a user. Return whether the user was here."""
        was_here = self.answers.pop(user_id, None) is not None
        self._ends.pop(user_id, None)
        return was_here

    def renew(self, fresh_until: float) -> None:
        """Keep users here fresh until then (rule 2), but remove those whose answers change before or soon after."""
        if fresh_until > self._next_end:
            for user_id in [u for u, end in self._ends.items() if end < fresh_until + MIN_VALID_SECONDS]:
                self.remove(user_id)
            self._next_end = min(self._ends.values(), default=inf)
        self._latest_fresh_until = max(self._latest_fresh_until, fresh_until)
        self.fresh_until = fresh_until

    def clear(self) -> None:
        """Remove everybody, and keep nobody fresh: another history begins, or the client ends (rules 6 and 9)."""
        self.fresh_until = -inf
        self.answers.clear()
        self._ends.clear()
        self._next_end = inf
