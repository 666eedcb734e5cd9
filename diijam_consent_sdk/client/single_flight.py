"""
Single-flight: concurrent misses for one user share one load, and misses that have to wait leave in one batch.

Without it, a popular user whose lease ends would be loaded once for every request that is being served.
"""

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
from .effects import Effects, Spawn
from .exchanges import Exchanges
from .halving import BatchLoad, load_in_parts

MAX_IN_FLIGHT = 8  # loads at once
MAX_QUEUED = 100  # loads that wait for a place; past that a miss is answered UNAVAILABLE at once
START_SECONDS = 0.05  # for a thread to begin; after that another is started, and the later of the two does nothing


@attrs.define(eq=False)
class SharedLoad(BatchLoad):
    """One load that several callers wait for."""

    done: Promise[None] = attrs.field(factory=Promise)
    has_failed: bool = False
    started_at: float = -inf
    _unclaimed: list[bool] = attrs.field(factory=lambda: [True])

    def is_unclaimed(self) -> bool:
        """Whether no thread or task runs it yet."""
        return bool(self._unclaimed)

    def claim(self) -> bool:
        """Whether the caller is to run it: True once. One step of a list, which no signal handler interrupts."""
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False


class SingleFlight:
    """
    All loads of one client. Safe to use from several threads.

    Args:
        exchanges: How users are loaded.

        spawn: Runs effects in the background.

        on_exchange: Called after each load with its error, or None.
    """

    def __init__(
        self,
        exchanges: Exchanges,
        spawn: Spawn,
        on_exchange: Callable[[BaseException | None], None],
    ) -> None:
        self._exchanges = exchanges
        self._spawn = spawn
        self._on_exchange = on_exchange
        self._lock = threading.Lock()
        self._by_user: dict[str, SharedLoad] = {}
        self._queue: deque[SharedLoad] = deque()
        self._in_flight: dict[SharedLoad, None] = {}  # ordered

    def join(self, user_ids: Iterable[str]) -> list[SharedLoad]:
        """
        Give the loads that will bring these users, joined or new. If the queue is full, a user has no load.

        A signal handler that raises may interrupt this anywhere; the next call does what was left undone.
        """
        wanted = dict.fromkeys(user_ids)
        with self._lock:
            joined, ready = self._joined(wanted), self._ready()
        self._start(ready)
        return joined

    def _joined(self, wanted: dict[str, None]) -> list[SharedLoad]:
        joined = {self._by_user[user_id]: None for user_id in wanted if user_id in self._by_user}
        others = [user_id for user_id in wanted if user_id not in self._by_user]
        while others and (load := self._with_room()) is not None:
            room = BATCH - len(load.user_ids)
            part, others = dict.fromkeys(others[:room]), others[room:]
            load.user_ids.update(part)  # first, so that a user who is found by id is always in the load
            self._by_user.update(dict.fromkeys(part, load))
            joined[load] = None
        return list(joined)

    def _with_room(self) -> SharedLoad | None:
        """Give the last load of the queue, or another one where it is full. None: the queue is full."""
        if not self._queue or len(self._queue[-1].user_ids) >= BATCH:
            if len(self._queue) >= MAX_QUEUED:
                return None
            self._queue.append(SharedLoad())
        return self._queue[-1]

    def _ready(self) -> list[SharedLoad]:
        """The loads to start now: those in flight that nothing runs, which includes any that were interrupted."""
        now = time.monotonic()
        # A load goes in flight before it leaves the queue. Interrupted in between, it leaves here, however many are in
        # flight by then: else others would join it once it runs, and it would go in flight again once it is over.
        while self._queue and (self._queue[0] in self._in_flight or len(self._in_flight) < MAX_IN_FLIGHT):
            self._in_flight[self._queue[0]] = None
            self._queue.popleft()
        ready = [load for load in self._in_flight if load.is_unclaimed() and now > load.started_at + START_SECONDS]
        for load in ready:
            load.started_at = now
        return ready

    def _start(self, ready: list[SharedLoad]) -> None:
        for load in ready:
            self._spawn(self._run(load)).add_done_callback(partial(self._on_end, load))

    def _on_end(self, load: SharedLoad, ended: Promise[None]) -> None:
        """Finish a load whose effects ended without doing so, perhaps before they ran at all."""
        if not load.done.done() and ended.exception() is not None:
            self._finish(load, ended.exception())

    def _run(self, load: SharedLoad) -> Effects[None]:
        if not load.claim():
            return
        failure: BaseException | None = None
        try:
            yield from load_in_parts(self._exchanges, load)
        except BaseException as error:  # noqa: BLE001 - guards never raise on outages; `on_exchange` logs it
            failure = error
        self._finish(load, failure)

    def _finish(self, load: SharedLoad, failure: BaseException | None) -> None:
        load.has_failed = failure is not None
        try:
            # A user who is too large is no outage: the store answered. Nor is the end of the event loop: nothing did.
            if failure is None or isinstance(failure, Exception):
                self._on_exchange(None if isinstance(failure, TooLarge) else failure)
        finally:
            self._remove(load)

    def _remove(self, load: SharedLoad) -> None:
        """Make room for the next load and wake the callers. Doing so twice changes nothing."""
        with self._lock:
            self._forget(load)
            ready = self._ready()
        load.done.set_result(None)
        self._start(ready)

    def _forget(self, load: SharedLoad) -> None:
        for user_id in load.user_ids:
            if self._by_user.get(user_id) is load:
                del self._by_user[user_id]
        self._in_flight.pop(load, None)
