"""
A queue of the calls under way, for turns and for waits until all are over, that no interrupted call can block.

A `Condition` is Python code: a signal handler that raises once its lock is taken leaves the lock held for good (see
`Promise`). Here nothing is locked, and the ticket of a call that was interrupted anywhere goes with the call's frame.
"""

from __future__ import annotations

import os
import time
import weakref
from contextlib import suppress
from typing import Any, Self

from .._threads import Promise

Entry = tuple["weakref.ref[Ticket]", Promise[Any]]
LOOK_EVERY_SECONDS = 0.05  # nothing wakes a waiter when the call before it was interrupted


class Ticket:
    """A call's place in a queue, until the end of its `with` block. Only the call's frame refers to it."""

    __slots__ = ("__weakref__", "_entry", "_queue", "over")

    def __init__(self, queue: CallQueue) -> None:
        self._queue = queue
        self.over: Promise[Any] = Promise()
        self._entry = weakref.ref(self), self.over
        queue.enter(self._entry)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Give the place back."""
        self.over.set_result(None)  # first: from here on the place is free, whatever interrupts the next lines
        self._queue.remove(self._entry)


class CallQueue:
    """The calls under way, in the order they came. Safe to use from several threads, and empty in a forked child."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self.entries: list[Entry] = []

    def enter(self, entry: Entry) -> None:
        """Put a new ticket's entry at the end."""
        if self._pid != os.getpid():  # the parent's other threads are not here
            self._begin()
        self.entries.append(entry)

    def join(self) -> Ticket:
        """Take a ticket, for a `with` block."""
        return Ticket(self)

    def take_turn(self, seconds: float) -> Ticket:
        """
        Take a ticket, and wait until the calls that came before are over.

        Args:
            seconds: How long to wait for them at most. This is fairness, no lock: a call goes on after that.
        """
        ticket = self.join()
        self.wait_until_first(ticket.over, seconds)
        return ticket

    def first(self) -> Promise[Any] | None:
        """Find the call that came first, as a promise of its end; None: no call is under way."""
        for entry in tuple(self.entries):
            ticket, over = entry
            if ticket() is not None and not over.done():
                return over
            over.set_result(None)
            self.remove(entry)
        return None

    def behind(self, ticket: Ticket) -> list[Ticket]:
        """Find the calls under way that came after this one, in order."""
        tickets = [other() for other, over in tuple(self.entries) if over is ticket.over or not over.done()]
        return [each for each in tickets[tickets.index(ticket) + 1 :] if each is not None]

    def remove(self, entry: Entry) -> None:
        """Remove what is left of a call that is over."""
        with suppress(ValueError):  # another call did
            self.entries.remove(entry)

    def wait_until_first(self, mine: Promise[Any] | None, seconds: float) -> bool:
        """Wait until *mine* is the first call, or with None until the queue is empty; False if that took too long."""
        until = time.monotonic() + seconds
        while (first := self.first()) is not mine:
            if first is None or (left := until - time.monotonic()) <= 0:
                return False
            first.wait(min(left, LOOK_EVERY_SECONDS))
        return True
