"""Whose call is next: many callers take turns, so that one who asks much waits for itself alone."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Hashable
from contextlib import suppress


class Turns:
    """
    A number of places, and who gets the next free one. To be used on one event loop.

    Callers who wait come one after the other, whoever came first among each one's own calls. No caller has more than so
    many places: the others find one free.

    Args:
        places: How many calls may run at once.

        each: How many of them may be one caller's.
    """

    def __init__(self, places: int, each: int) -> None:
        self._free = places
        self._each = each
        self._running: Counter[Hashable] = Counter()
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, caller: Hashable) -> None:
        """
        Wait for a place, and take it. It has to be given back by `leave`.

        Args:
            caller: Who takes it.
        """
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(caller)  # it was given one in the same moment
            else:
                self._withdraw(caller, turn)
            raise

    def leave(self, caller: Hashable) -> None:
        """
        Give a place back.

        Args:
            caller: Who took it.
        """
        self._free += 1
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        self._admit()

    def _admit(self) -> None:
        while self._free and (ready := [each for each in self._waiting if self._running[each] < self._each]):
            caller = ready[0]
            turn = self._waiting[caller].popleft()
            self._waiting.move_to_end(caller)
            if not self._waiting[caller]:
                del self._waiting[caller]
            if not turn.done():
                self._free -= 1
                self._running[caller] += 1
                turn.set_result(None)

    def _withdraw(self, caller: Hashable, turn: asyncio.Future[None]) -> None:
        with suppress(KeyError, ValueError):
            self._waiting[caller].remove(turn)
            if not self._waiting[caller]:
                del self._waiting[caller]
