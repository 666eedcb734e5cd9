"""What many users in memory share: the history that they were loaded in, and the load that brought them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import inf
from typing import Self

import msgspec
from msgspec.structs import replace

from ..stores.answers import Cursor
from .counters import Counters


class Generation:
    """
    What users loaded in one unbroken history share: the lease clock, and until when the feed keeps them fresh.

    The feed does not keep users fresh that were loaded at a head which is not confirmed (see `History`). Those share a
    generation of that head alone, whose `waiting` has the ids of those still in memory.
    """

    __slots__ = ("clock", "counters", "fresh_until", "waiting")

    def __init__(self, clock: Callable[[], float], counters: Counters, fresh_until: float = -inf) -> None:
        self.clock = clock
        self.counters = counters
        self.fresh_until = fresh_until
        self.waiting: set[str] = set()


class Basis(msgspec.Struct, eq=False, gc=False, frozen=True):
    """What the users that one load brought share: the store's head and wall clock then, and until when it counts."""

    head: Cursor
    as_of: datetime | None
    own_until: float

    def no_shorter_than(self, earlier: Self) -> Self:
        """Return the basis with the end of *earlier*, if that is later."""
        return self if self.own_until >= earlier.own_until else replace(self, own_until=earlier.own_until)
