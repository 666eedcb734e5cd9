"""A semaphore that is fair to callers, so that one caller with many calls delays its own calls and no others."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Hashable
from contextlib import suppress


class FairSemaphore:
    """
    A number of places, handed out round-robin over the callers that wait. Use it on one event loop only.

    Calls of one caller are served in order. One caller never has more places than its limit, so another caller finds
    one free.

    Args:
        places: How many calls may run at once.

        per_caller: How many of them may be one caller's.
    """

    def __init__(self, places: int, per_caller: int) -> None:
        self._free = places
        self._per_caller = per_caller
        self._running: Counter[Hashable] = Counter()
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    async def acquire(self, caller: Hashable) -> None:
        """
        Wait for a place and take it. Give it back with `release`.

        Args:
            caller: The one that the call is made for.
        """
        if self._free and not self._waiting and self._running[caller] < self._per_caller:
            self._take(caller)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(caller)  # the place was given in the moment of the cancellation
            else:
                self._withdraw(caller, turn)
            raise

    def release(self, caller: Hashable) -> None:
        """
        Give a place back.

        Args:
            caller: As it was given to `acquire`.
        """
        self._free += 1
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        if self._waiting:
            self._admit()

    def _take(self, caller: Hashable) -> None:
        self._free -= 1
        self._running[caller] += 1

    def _admit(self) -> None:
        """Hand out free places; the caller that got one goes to the end of the queue."""
        while self._free and (caller := self._next_caller()) is not _NOBODY:
            turn = self._waiting[caller].popleft()
            self._waiting.move_to_end(caller)
            if not self._waiting[caller]:
                del self._waiting[caller]
            if not turn.done():
                self._take(caller)
                turn.set_result(None)

    def _next_caller(self) -> Hashable:
        return next((each for each in self._waiting if self._running[each] < self._per_caller), _NOBODY)

    def _withdraw(self, caller: Hashable, turn: asyncio.Future[None]) -> None:
        with suppress(KeyError, ValueError):
            self._waiting[caller].remove(turn)
            if not self._waiting[caller]:
                del self._waiting[caller]


_NOBODY = object()  # a caller may be None
