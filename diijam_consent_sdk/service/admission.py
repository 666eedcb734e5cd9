"""Lets calls of the store and polls in: not too many at once, and to a broken ledger only what takes away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from ..errors import LedgerBroken, StoreUnavailable
from .connections import MAX_CONNECTIONS

MAX_CALLS = 4_000  # of one kind, running or queued; past that the service answers at once that it is too busy
MAX_OF_ONE = 1_500  # of one caller, so that its crowd keeps nobody else out; its noes are counted apart


class Admitted:
    """A call that is let in, and counted within a `with` block. (One of `contextmanager` takes three times as long.)"""

    __slots__ = ("_in_flight", "_kind", "_own")

    def __init__(self, in_flight: Counter[Hashable], kind: Hashable, own: Hashable) -> None:
        self._in_flight, self._kind, self._own = in_flight, kind, own

    def __enter__(self) -> None:
        self._in_flight[self._kind] += 1
        self._in_flight[self._own] += 1

    def __exit__(self, *_: object) -> None:
        self._in_flight[self._kind] -= 1
        self._in_flight[self._own] -= 1
        if not self._in_flight[self._own]:
            del self._in_flight[self._own]  # else it would keep each caller for ever


class Admission:
    """
    What is let in. Use it on one event loop only.

    Attributes:
        broken: How the ledger does not verify; None as far as is known.
    """

    def __init__(self) -> None:
        self.broken: LedgerBroken | None = None
        self._in_flight: Counter[Hashable] = Counter()

    def admit(self, kind: Hashable, caller: Hashable = None, *, is_allowed_when_broken: bool = False) -> Admitted:
        """
        Let a call in, which is counted while it is here.

        Args:
            kind: What kind of call it is. Each has room apart, so a crowd of loads keeps no look or health check out.

            caller: The one that it is made for; None for a call that many share, or that is the service's.

            is_allowed_when_broken: Whether the call only takes away, or sees to a broken ledger itself.

        Raises:
            LedgerBroken: the ledger was found broken.

            StoreUnavailable: there are too many calls of the kind, or too many of the caller's.
        """
        if not is_allowed_when_broken:
            self.check_whole()
        own = (kind, caller)
        if self._in_flight[kind] >= MAX_CALLS or (self._in_flight[own] >= MAX_OF_ONE and caller is not None):
            raise StoreUnavailable("the service has too much to do: try again later")
        return Admitted(self._in_flight, kind, own)

    def check_whole(self) -> None:
        """Raise `LedgerBroken` if the ledger was found broken."""
        if self.broken is not None:
            raise type(self.broken)(*self.broken.args)


class Waiting:
    """
    Polls that wait for news, each of which keeps its connection. Use it on one event loop only.

    Attributes:
        connections: How many there may be. Three quarters of them may wait, and half for one caller, so that all others
            still find one.
    """

    def __init__(self) -> None:
        self.connections = MAX_CONNECTIONS
        self._by_caller: Counter[Hashable] = Counter()
        self._all = 0

    @contextmanager
    def counted(self, caller: Hashable) -> Iterator[None]:
        """
        Count a poll that waits within the block.

        Raises:
            StoreUnavailable: too many wait, or too many of the caller's.
        """
        if self._all >= self.connections * 3 // 4 or self._by_caller[caller] >= self.connections // 2:
            raise StoreUnavailable("too many polls wait for news: ask again later")
        self._all += 1
        self._by_caller[caller] += 1
        try:
            yield
        finally:
            self._all -= 1
            self._by_caller[caller] -= 1
            if not self._by_caller[caller]:
                del self._by_caller[caller]  # else it would keep each caller for ever
