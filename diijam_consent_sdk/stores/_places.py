"""
Calls that go on, in the order they came. A `Condition` is Python code: a signal handler that raises once its lock is
taken leaves it locked for good (see `Promise`). Here nothing is locked, and the place of a call that was interrupted
anywhere goes with the call.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .._threads import Promise

LOOK_EVERY_SECONDS = 0.05  # whether the call that is waited for was interrupted: nobody tells then


class _Call:
    """Is there for as long as its call goes on."""


class Places:
    """The calls under way. Safe to use from several threads."""

    def __init__(self) -> None:
        self._taken: list[tuple[weakref.ref[_Call], Promise[None]]] = []

    @contextmanager
    def place(self) -> Iterator[Promise[None]]:
        """Have a place during the block; it is done once the place is given back."""
        call, over = _Call(), Promise[None]()
        mine = weakref.ref(call), over
        self._taken.append(mine)
        try:
            yield over
        finally:
            del call  # first: from here on the place is free, whatever interrupts the next line
            self._leave(mine)

    def _leave(self, place: tuple[weakref.ref[_Call], Promise[None]]) -> None:
        with suppress(ValueError):
            self._taken.remove(place)
        place[1].set_result(None)

    def first(self) -> Promise[None] | None:
        """The place of the call that came first; None: there is none."""
        for place in tuple(self._taken):
            if place[0]() is not None:
                return place[1]
            self._leave(place)
        return None

    def wait_until_first(self, mine: Promise[None] | None, seconds: float) -> bool:
        """Wait until *mine* is the first place, or with None until there is none; whether that came in time."""
        until = time.monotonic() + seconds
        while (first := self.first()) is not mine:
            if first is None or (left := until - time.monotonic()) <= 0:
                return False
            first.wait(min(left, LOOK_EVERY_SECONDS))
        return True
