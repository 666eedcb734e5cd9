"""Lets calls of the store in: not too many at once, and once the ledger is found broken only those that take away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from ..errors import LedgerBroken, StoreUnavailable

MAX_CALLS = 4_000  # of one kind, running or queued; past that the service answers at once that it is too busy
MAX_OF_ONE = MAX_CALLS // 2  # of one caller, so that its crowd keeps nobody else out


class Admission:
    """
    What is let in. Use it on one event loop only.

    Attributes:
        broken: How the ledger does not verify; None as far as is known.
    """

    def __init__(self) -> None:
        self.broken: LedgerBroken | None = None
        self._in_flight: Counter[Hashable] = Counter()

    @contextmanager
    def admit(self, kind: Hashable, caller: Hashable = None, *, is_allowed_when_broken: bool = False) -> Iterator[None]:
        """
        Let a call in, and count it while it is here.

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
        in_flight = self._in_flight
        if in_flight[kind] >= MAX_CALLS or (in_flight[own] >= MAX_OF_ONE and caller is not None):
            raise StoreUnavailable("the service has too much to do: try again later")
        in_flight[kind] += 1
        in_flight[own] += 1
        try:
            yield
        finally:
            in_flight[kind] -= 1
            in_flight[own] -= 1
            if not in_flight[own]:
                del in_flight[own]  # else it would keep each caller for ever

    def check_whole(self) -> None:
        """Raise `LedgerBroken` if the ledger was found broken."""
        if self.broken is not None:
            raise type(self.broken)(*self.broken.args)
