"""
Who the change feed covers, for guards in one step: an answer found here says nothing of a user's own lease. A guard so
reads nothing of the user's own, whose memory is seldom in the processor's cache: that would be its dearest part.
"""

from __future__ import annotations

from math import inf

from .compiled import Answers
from .user import UserConsent

MIN_VALID_SECONDS = 60.0  # whoever turns so soon is not here, so that those are looked for once a minute at most


class FastPath:
    """
    The answers of users in the present generation, none of which turns before `fresh_until`. Written under the lock of
    `Leases`, which removes a user here before anything happens to it; read without.
    """

    __slots__ = ("_ends", "_horizon", "_next_end", "answers", "fresh_until")

    def __init__(self) -> None:
        self.fresh_until = -inf
        self.answers: dict[str, Answers] = {}
        self._ends: dict[str, float] = {}  # of those whose record turns some day
        self._next_end = inf  # none of them is earlier
        self._horizon = -inf  # the latest `fresh_until` that a reader may have in hand, also from a history before

    def __contains__(self, user_id: str) -> bool:
        return user_id in self.answers

    def __len__(self) -> int:
        return len(self.answers)

    def add(self, user: UserConsent) -> None:
        """From now on the user is here, unless it turns soon."""
        answers, valid_until = user.compiled()
        if not valid_until >= self._horizon + MIN_VALID_SECONDS:  # so that NaN, of a clock that is none, is not either
            return
        if valid_until < inf:
            self._ends[user.user_id] = valid_until
            self._next_end = min(valid_until, self._next_end)
        self.answers[user.user_id] = answers

    def remove(self, user_id: str) -> bool:
        """From now on the user is not here; whether it was."""
        was_here = self.answers.pop(user_id, None) is not None
        self._ends.pop(user_id, None)
        return was_here

    def renew(self, fresh_until: float) -> None:
        """The feed said that nothing else changed: rule 2. Who turns before or soon after leaves first."""
        if fresh_until > self._next_end:
            for user_id in [
                u for u, valid_until in self._ends.items() if valid_until < fresh_until + MIN_VALID_SECONDS
            ]:
                self.remove(user_id)
            self._next_end = min(self._ends.values(), default=inf)
        self._horizon = max(self._horizon, fresh_until)
        self.fresh_until = fresh_until

    def clear(self) -> None:
        """Nobody is here, and the feed said nothing: another history begins, or none (rules 6 and 9)."""
        self.fresh_until = -inf
        self.answers.clear()
        self._ends.clear()
        self._next_end = inf
