"""
References to customers: what stands in an address instead of a customer's id.

Addresses end in histories, bookmarks and logs. A reference is random, serves one staff member of this process alone,
and ends by itself.
"""

from __future__ import annotations

from secrets import token_urlsafe

from cachetools import TTLCache

LIVES_SECONDS = 1800.0  # after it was last used
MAX_REFERENCES = 10_000
PATTERN = r"[\w-]{22}"


class References:
    """The references that were given out. For one event loop."""

    def __init__(self) -> None:
        self._opened: TTLCache[tuple[str, str], str] = TTLCache(MAX_REFERENCES, LIVES_SECONDS)

    def open(self, staff_id: str, user_id: str) -> str:
        """Give a staff member a reference to a customer."""
        reference = token_urlsafe(16)
        self._opened[staff_id, reference] = user_id
        return reference

    def find(self, staff_id: str, reference: str) -> str | None:
        """Find the customer, and begin the reference's time again; None if it ended, or is somebody else's."""
        user_id = self._opened.get((staff_id, reference))
        if user_id is not None:
            self._opened[staff_id, reference] = user_id
        return user_id
