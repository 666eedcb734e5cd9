"""One poll that is answered in parts: when a part is due to it, and which it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

import attrs

from ..stores.answers import Cursor
from .parts import Part


@attrs.define(eq=False)
class Stream:
    """
    One poll that is answered in parts.

    Args:
        add_taker: Has the streams give it the next part.

        cursor: The client's cursor; with each part, the part's.

        limit: How many entries each part goes on at most.

        beat: How many seconds without news a part follows the one before.

        arrived_at: When its request was here, on the monotonic clock.

        ends_at: When it ends by itself.

        caller: The one that it was opened for.
    """

    add_taker: Callable[[Stream], None]
    cursor: Cursor
    limit: int
    beat: float
    arrived_at: float
    ends_at: float
    caller: Hashable = None
    has_news: bool = False
    is_new: bool = True  # until its first part
    is_ended: bool = False
    _ready_at: float = 0.0  # no part before
    _beat_at: float = 0.0
    _next: asyncio.Future[Part | None] | None = None  # while the last part is with the client's socket
    _is_looking: bool = False

    async def next_part(self) -> Part | None:
        """
        Wait for the next part. Call it once the client's socket took the last one.

        Returns:
            The part, or None at the end of the stream.

        Raises:
            ConsentError: as the store raises it at the first look; later `StoreUnavailable` only makes a part late.
        """
        if self.is_ended and not self.is_new:
            return None
        self._next = asyncio.get_running_loop().create_future()
        self.add_taker(self)
        return await self._next

    def due_at(self) -> float:
        """Return when it is to get a part, as far as is known now; infinity while it can take none."""
        if self._next is None or self._is_looking:
            return float("inf")
        return min(self.ends_at, self._ready_at if self.has_news else max(self._ready_at, self._beat_at))

    def end(self) -> None:
        """End it, after its first part."""
        self.is_ended = True
        if not self.is_new:
            self._resolve(None)

    def await_turn(self, ready_at: float) -> None:
        """Take no part before *ready_at*."""
        self._ready_at = ready_at
        self._is_looking = False

    def begin_look(self) -> None:
        """Leave the waves until the look ends; news from now on is for the next one."""
        self._is_looking, self.has_news = True, False

    def give(self, part: Part, now: float) -> None:
        """Take a part, unless it has no news and is early."""
        self._is_looking = False
        found = part.found
        if found.cursor == self.cursor and not self.is_new and now < self._beat_at:
            return
        self.is_new, self.cursor, self._beat_at = False, found.cursor, now + self.beat
        self.has_news |= not found.complete
        self.is_ended |= not found.is_continuation()
        self._resolve(part)

    def fail(self, error: Exception) -> None:
        """End it with an error."""
        self.is_ended, self._is_looking = True, False
        if self._next is not None and not self._next.done():
            self._next.set_exception(error)

    def _resolve(self, part: Part | None) -> None:
        if self._next is not None and not self._next.done():
            self._next.set_result(part)
        self._next = None
