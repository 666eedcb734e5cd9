"""
The poller: polls the change feed, so that users who did not change stay fresh without being loaded again (protocol.md,
rules 2, 3, 5 and 6).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from functools import partial

from .._threads import Promise
from .effects import Effects, Sleep, Spawn
from .exchanges import Exchanges

MAX_PAUSE_SECONDS = 5.0
MAX_WAIT_SECONDS = 3600.0  # of a poll, whatever the bound: system clocks cannot wait for centuries
MAX_CONFIRMATIONS = 4  # after one poll, so that the next poll is not late


def poll_feed(
    exchanges: Exchanges,
    *,
    max_staleness: float,
    on_poll: Callable[[BaseException | None], None],
) -> Effects[None]:
    """
    Poll until the leases are closed.

    Args:
        exchanges: How the store is asked, for the leases that the feed keeps fresh.

        max_staleness: The bound B, in seconds. A poll waits up to B/4; a failed one is made again within B/6.

        on_poll: Called after each poll with its error, or None.
    """
    leases = exchanges.leases
    pause = min(MAX_PAUSE_SECONDS, max_staleness / 6)
    wait = 0.0  # the first poll, and the first after a failure, return at once to show that the feed is up
    while not leases.closed:
        try:
            if leases.applied is None:
                yield from exchanges.load_head()
            else:
                yield from exchanges.poll(leases.applied, wait)
                for head in leases.unconfirmed_heads()[:MAX_CONFIRMATIONS]:
                    yield from exchanges.confirm(head, is_head=True)
        except Exception as error:  # noqa: BLE001 - whatever failed renewed nothing, and is tried again
            wait = 0.0
            on_poll(error)
            yield Sleep(random.uniform(0, pause))  # noqa: S311 - jitter
        else:
            wait = min(MAX_WAIT_SECONDS, max_staleness / 4)
            on_poll(None)


class Poller:
    """
    Keeps one `poll_feed` running in the background. Safe to use from several threads.

    Args:
        exchanges: How the store is asked.

        spawn: Runs effects in the background.

        max_staleness: The bound B, in seconds.

        on_poll: Called after each poll with its error, or None.

        on_end: Called when the polling ended, be it at a close or by an error that nothing catches.
    """

    def __init__(
        self,
        exchanges: Exchanges,
        spawn: Spawn,
        *,
        max_staleness: float,
        on_poll: Callable[[BaseException | None], None],
        on_end: Callable[[], None],
    ) -> None:
        self._exchanges = exchanges
        self._spawn = spawn
        self._max_staleness = max_staleness
        self._on_poll = on_poll
        self._on_end = on_end
        self._lock = threading.Lock()
        self._worker: object = None  # identifies the effects that poll; None: none do

    def ensure_started(self) -> None:
        """Start polling unless it runs."""
        if self._worker is None:
            worker = object()
            self._spawn(self._run(worker)).add_done_callback(partial(self._ended, worker))

    def _run(self, worker: object) -> Effects[None]:
        with self._lock:
            if self._worker is not None:  # another was started at the same time
                return
            self._worker = worker
        yield from poll_feed(self._exchanges, max_staleness=self._max_staleness, on_poll=self._on_poll)

    def _ended(self, worker: object, _: Promise[None]) -> None:
        """Let the next `ensure_started` start another."""
        if self._worker is worker:
            self._worker = None
            self._on_end()
