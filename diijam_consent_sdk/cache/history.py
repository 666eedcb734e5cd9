"""
History: which of the store's heads belong to the history that the client follows.

A store that was restored may continue another history, in which nothing that was cached is proof (protocol.md, rule 6).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from cachetools import FIFOCache

from ..stores.answers import Cursor
from .bounded import put, take
from .counters import Counters
from .generation import Generation

MAX_CONFIRMED = 1_000
MAX_UNCONFIRMED = 100  # past that, users loaded at the oldest heads have only their own leases


class History:
    """
    The heads seen in one unbroken history, and the generation of users that were loaded in it. Not thread-safe, except
    for `is_confirmed`: `Memory` holds a lock.
    """

    def __init__(self, clock: Callable[[], float], counters: Counters) -> None:
        self._clock = clock
        self._counters = counters
        self.latest_head: Cursor | None = None  # in any answer of the store
        self.generation = Generation(clock, counters)
        self._forget_heads()

    def _forget_heads(self) -> None:
        # Replaced, not cleared: `clear` of a cache that was interrupted stops half-way in older versions of cachetools.
        self._confirmed: FIFOCache[Cursor, None] = FIFOCache(MAX_CONFIRMED)
        self._unconfirmed: FIFOCache[Cursor, Generation] = FIFOCache(MAX_UNCONFIRMED)

    def continues_at(self, head: Cursor) -> bool:
        """Note a head of the store. Return whether it may be of this history, as far as the head alone shows."""
        latest = self.latest_head
        if latest is None or (head.epoch == latest.epoch and head.position > latest.position):
            self.latest_head = head
            return True
        return head.epoch == latest.epoch and (head.position != latest.position or head.hash == latest.hash)

    def is_confirmed(self, head: Cursor) -> bool:
        """Whether the feed showed this head, or the store confirmed it as one of this history. Takes no lock."""
        return head in self._confirmed

    def confirm(self, head: Cursor) -> Generation | None:
        """Note that a head is of this history. Return the generation of users who wait for that, if there are any."""
        self._confirmed = put(self._confirmed, head, None)
        return take(self._unconfirmed, head)

    def waiting_at(self, head: Cursor) -> Generation:
        """
        Return the generation of users who were loaded at an unconfirmed head. The feed does not keep them fresh yet: it
        goes on from `applied`, and would not show that a head which only a load saw is of a history lost since.
        """
        waiting = self._unconfirmed.get(head)
        if waiting is None:
            waiting = Generation(self._clock, self._counters)
            self._unconfirmed = put(self._unconfirmed, head, waiting)
        return waiting

    def unconfirmed_up_to(self, position: int) -> list[Cursor]:
        """Return the unconfirmed heads up to a position, oldest first."""
        return [head for head in self._unconfirmed if head.position <= position]

    def end(self) -> None:
        """Keep nobody fresh, and forget which heads were of this history."""
        self.generation.fresh_until = -inf
        self._forget_heads()

    def begin(self, head: Cursor, *, is_same: bool) -> None:
        """Begin a generation at a head, of another history unless *is_same*."""
        self.generation = Generation(self._clock, self._counters)
        self.confirm(head)
        if not is_same:
            self.latest_head = head


def is_behind(head: Cursor, seen_before: Cursor | None) -> bool:
    """Whether a head lies behind one seen before it was asked for: the store lags, or has another history."""
    return seen_before is not None and head.epoch == seen_before.epoch and head.position < seen_before.position
