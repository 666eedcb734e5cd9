"""
The users in memory: a bounded `cachetools` cache with CLOCK eviction.

A user that leaves is invalidated first, since no change reaches a `UserConsent` that is in nobody's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

from cachetools import Cache

from .compiled import ALL_STALE, Answers
from .fast_path import FastPath
from .in_flight import Fetches
from .user import UserConsent

NOBODY = UserConsent.stale()  # shared by all clients: never changed


class UserCache(Cache[str, UserConsent]):
    """
    Users by id. Writers hold the lock of `Memory`. Readers take none, and read `cache[user_id]`, which answers `STALE`
    for a user who is not here: `get` looks twice, and the user may leave in between.

    Args:
        capacity: How many users stay.

        fast_path: Where guards by id find users. A user leaves it first, and being there counts as a reference.

        fetches: The loads under way, which must not bring back an older state of a user that left.

    Attributes:
        by_id: The cache's own items, to read from alone. `cache[user_id]` is a Python function, which would be a tenth
            of what finding a user costs.
    """

    def __init__(self, capacity: int, fast_path: FastPath, fetches: Fetches) -> None:
        super().__init__(maxsize=inf)  # the capacity is kept below
        self._items: dict[str, UserConsent] = vars(self)["_Cache__data"]
        self.by_id: Mapping[str, UserConsent] = self._items
        self.capacity = capacity
        self._fast_path = fast_path
        self._fetches = fetches
        self._eviction_cursor: Iterator[str] = iter(())

    def __repr__(self) -> str:
        return f"<UserCache of {len(self)} users>"  # a cache's own representation has every id

    def __missing__(self, user_id: str) -> UserConsent:
        return NOBODY

    def __setitem__(self, user_id: str, user: UserConsent) -> None:
        """Put a user in place of the one with the same id, if there is one; evict another when full."""
        if user_id in self.by_id:
            del self[user_id]
        while len(self.by_id) >= self.capacity:
            self.popitem()
        # Not by `Cache`, which keeps a count beside its items: an interruption between the two would shift it, and
        # keeping it would be a twentieth of what a cold user costs.
        self._items[user_id] = user

    put = __setitem__  # by this name it costs half as much

    def __delitem__(self, user_id: str) -> None:
        """Invalidate a user, then remove it: interrupted anywhere, it answers no more than it should."""
        user = self[user_id]
        if user is NOBODY:
            raise KeyError("there is no such user")
        self._fast_path.remove(user_id)
        user.invalidate()
        self._fetches.note(user_id, user.position)
        self._items.pop(user_id, None)  # a signal handler may have closed the client meanwhile

    def popitem(self) -> tuple[str, UserConsent]:
        """Evict the next user that was not referenced since the eviction cursor passed it (CLOCK)."""
        while self:
            for user_id in self._eviction_cursor:
                user = self[user_id]
                was_on_fast_path = self._fast_path.remove(user_id)  # a guard by id put it there
                if user is not NOBODY and not (user.clear_referenced() or was_on_fast_path):
                    del self[user_id]
                    return user_id, user
            self._eviction_cursor = iter(list(self._items))
        raise KeyError("there are no users to evict")

    def clear(self, answers: Answers = ALL_STALE) -> None:
        """Invalidate everybody: from now on each user answers *answers*."""
        self._fast_path.clear()
        for user in list(self._items.values()):
            if not self._items:  # a signal handler closed the client meanwhile
                return
            user.invalidate(answers)
        self._items.clear()
