"""Loads on their way: concurrent misses for one user share one, and misses that have to wait leave together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from math import inf

import attrs

from .._threads import Promise
from ..errors import TooLarge
from .batching import BATCH
from .effects import Spawn, Steps
from .exchanges import Exchanges
from .halving import Parts, load_in_parts

MAX_FLIGHTS = 8  # loads under way at once
START_SECONDS = 0.05  # for a thread to begin; past that another one may, and the later of them does nothing
MAX_QUEUED = 100  # loads that wait for a place; past that a miss is answered UNAVAILABLE at once


@attrs.define(eq=False)
class Flight(Parts):
    """One load, and what it brought."""

    landed: Promise[None] = attrs.field(factory=Promise)
    failed: bool = False
    started_at: float = -inf
    _grounded: list[bool] = attrs.field(factory=lambda: [True])

    def is_grounded(self) -> bool:
        """Whether nothing flies it yet."""
        return bool(self._grounded)

    def lift_off(self) -> bool:
        """Whether the caller is to fly it: only one is."""
        try:
            return self._grounded.pop()
        except IndexError:
            return False


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
        self._aloft: dict[Flight, None] = {}  # ordered

    def book(self, user_ids: Iterable[str]) -> list[Flight]:
        """
        The flights that will bring these users, under way or new. Users there is no room for have none.

        A signal handler that raises may interrupt this anywhere: what is left half done, the next call does.
        """
        booked: dict[Flight, None] = {}
        with self._lock:
            for user_id in user_ids:
                flight = self._of.get(user_id) or self._seat(user_id)
                if flight is not None:
                    booked[flight] = None
            leaving = self._next()
        self._take_off(leaving)
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

    def _next(self) -> list[Flight]:
        """Which are to take off now: those with a place that nothing flies, also after an interrupted call."""
        now = time.monotonic()
        while self._queue and len(self._aloft) < MAX_FLIGHTS:
            self._aloft[self._queue[0]] = None  # first: interrupted here, it goes again
            self._queue.popleft()
        leaving = [flight for flight in self._aloft if flight.is_grounded() and now > flight.started_at + START_SECONDS]
        for flight in leaving:
            flight.started_at = now
        return leaving

    def _take_off(self, leaving: list[Flight]) -> None:
        for flight in leaving:
            self._spawn(self._fly(flight)).add_done_callback(partial(self._ended, flight))

    def _ended(self, flight: Flight, flown: Promise[None]) -> None:
        """What was to fly it is over, perhaps before it ran any step."""
        if not flight.landed.done() and flown.exception() is not None:
            self._land(flight, flown.exception())

    def _fly(self, flight: Flight) -> Steps[None]:
        if not flight.lift_off():
            return
        failure: BaseException | None = None
        try:
            yield from load_in_parts(self._exchanges, flight)
        except BaseException as error:  # noqa: BLE001 - a guard never raises for what the world does; `on_landing` tells
            failure = error
        self._land(flight, failure)

    def _land(self, flight: Flight, failure: BaseException | None) -> None:
        flight.failed = failure is not None
        try:
            self._on_landing(
                None if isinstance(failure, TooLarge) else failure
            )  # the store is there, the user too much
        finally:
            self._give_way(flight)

    def _give_way(self, flight: Flight) -> None:
        """The flight is over; a second time it changes nothing."""
        with self._lock:
            for user_id in flight.user_ids:
                if self._of.get(user_id) is flight:
                    del self._of[user_id]
            self._aloft.pop(flight, None)
            leaving = self._next()
        flight.landed.set_result(None)
        self._take_off(leaving)
