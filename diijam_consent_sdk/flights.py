"""Loads on their way: concurrent misses for one user share one, and misses that have to wait leave together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from functools import partial

import attrs

from .bulk import BATCH
from .exchanges import Exchanges
from .operations import Spawn, Steps
from .user import UserConsent

MAX_FLIGHTS = 8  # loads under way at once
MAX_QUEUED = 100  # loads that wait for a place; past that a miss is answered UNAVAILABLE at once


@attrs.define(eq=False)
class Flight:
    """One load, and what it brought."""

    user_ids: dict[str, None] = attrs.field(factory=dict, repr=False)  # ordered, each once
    landed: Future[None] = attrs.field(factory=Future)
    users: dict[str, UserConsent] = attrs.field(factory=dict, repr=False)
    failed: bool = False


class Flights:
    """
    All loads of one client. Safe to use from several threads.

    Args:
        exchanges: How users are loaded.

        spawn: Runs steps beside everything else.

        on_landing: Called after each load, with its error or None.
    """

    def __init__(
        self,
        exchanges: Exchanges,
        spawn: Spawn,
        on_landing: Callable[[BaseException | None], None],
    ) -> None:
        self._exchanges = exchanges
        self._spawn = spawn
        self._on_landing = on_landing
        self._lock = threading.Lock()
        self._of: dict[str, Flight] = {}
        self._queue: deque[Flight] = deque()
        self._aloft: set[Flight] = set()

    def book(self, user_ids: Iterable[str]) -> list[Flight]:
        """The flights that will bring these users, under way or new. Users there is no room for have none."""
        booked: dict[Flight, None] = {}
        leaving: list[Flight] = []
        try:
            with self._lock:
                for user_id in user_ids:
                    flight = self._of.get(user_id) or self._seat(user_id)
                    if flight is not None:
                        booked[flight] = None
                self._next(leaving)
            self._take_off(leaving)
        except BaseException:  # a signal handler raised: these may never take off, and others wait for them
            for flight in leaving:
                self._give_way(flight)
            raise
        return list(booked)

    def _seat(self, user_id: str) -> Flight | None:
        if not self._queue or len(self._queue[-1].user_ids) >= BATCH:
            if len(self._queue) >= MAX_QUEUED:
                return None
            self._queue.append(Flight())
        flight = self._queue[-1]
        flight.user_ids[user_id] = None  # before it can be found: who is found leaves with its flight
        self._of[user_id] = flight
        return flight

    def _next(self, leaving: list[Flight]) -> None:
        while self._queue and len(self._aloft) < MAX_FLIGHTS:
            leaving.append(self._queue[0])  # first: wherever this is interrupted, the caller knows of it
            self._aloft.add(self._queue[0])
            self._queue.popleft()

    def _take_off(self, leaving: list[Flight]) -> None:
        while leaving:
            flight = leaving[0]
            try:
                self._spawn(self._fly(flight)).add_done_callback(partial(self._ended, flight))
            except RuntimeError as error:  # no thread to be had, or no event loop any more
                self._land(flight, error)
            del leaving[0]

    def _ended(self, flight: Flight, _: Future[None]) -> None:
        """A task that is cancelled before it began runs none of its steps."""
        if not flight.landed.done():
            self._land(flight, CancelledError())

    def _fly(self, flight: Flight) -> Steps[None]:
        failure: BaseException | None = None
        try:
            _, flight.users = yield from self._exchanges.load(flight.user_ids)
        except BaseException as error:  # noqa: BLE001 - a guard never raises for what the world does; `on_landing` tells
            failure = error
        self._land(flight, failure)

    def _land(self, flight: Flight, failure: BaseException | None) -> None:
        flight.failed = failure is not None
        try:
            self._on_landing(failure)
        finally:
            self._give_way(flight)

    def _give_way(self, flight: Flight) -> None:
        """The flight is over, or never began; a second time it changes nothing."""
        leaving: list[Flight] = []
        with self._lock:
            for user_id in flight.user_ids:
                if self._of.get(user_id) is flight:
                    del self._of[user_id]
            self._aloft.discard(flight)
            if flight in self._queue:
                self._queue.remove(flight)
            self._next(leaving)
        with suppress(InvalidStateError):
            flight.landed.set_result(None)
        self._take_off(leaving)
