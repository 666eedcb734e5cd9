"""The least position that a user's next record must have: after a write, and after leaving memory (rules 4 and 8)."""

from __future__ import annotations

MAX_FLOORS = 10_000  # users with a floor of their own; past that the oldest share one


class Floors:
    """By user, in bounded memory. Not thread-safe: `Leases` holds a lock."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}
        self._of_all = 0

    def __len__(self) -> int:
        """How many users have a floor of their own."""
        return len(self._of)

    def lift(self, user_id: str, position: int) -> None:
        """Accept nothing older of this user. Past the cap the oldest floor becomes everybody's: stricter."""
        self._of[user_id] = max(position, self._of.pop(user_id, 0))
        if len(self._of) > MAX_FLOORS:
            self._of_all = max(self._of_all, self._of.pop(next(iter(self._of))))

    def under(self, user_id: str) -> int:
        """The least position acceptable of this user."""
        return max(self._of_all, self._of.get(user_id, 0))

    def pass_by(self, position: int) -> None:
        """The feed has come here: it keeps out what is older."""
        if self._of:
            self._of = {user_id: floor for user_id, floor in self._of.items() if floor > position}

    def clear(self) -> None:
        """Another history began."""
        self._of, self._of_all = {}, 0
