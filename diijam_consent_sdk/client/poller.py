"""
The poller: polls the change feed, so that users who did not change stay fresh without being loaded again (protocol.md,
rules 2, 3, 5 and 6).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Protocol

from .._jitter import random
from .._threads import Promise
from .effects import Effects, Sleep, Spawn
from .exchanges import Exchanges
from .stream import FeedStream

MAX_PAUSE_SECONDS = 5.0
MAX_WAIT_SECONDS = 3600.0  # of a poll, whatever the bound: system clocks cannot wait for centuries


class OnPoll(Protocol):
    """Takes the error of a poll, or None after one, or a part of a stream, that was answered."""

    def __call__(self, failure: BaseException | None, /, *, is_streaming: bool = False) -> None: ...


def poll_feed(exchanges: Exchanges, on_poll: OnPoll, stream: FeedStream | None) -> Effects[None]:
    """
    Follow the feed until the leases are closed, by one question at a time.

    Args:
        exchanges: How the store is asked, for the leases that the feed keeps fresh. A poll waits up to B/4; a failed
            one is made again within B/6.

        on_poll: Called after each poll.

        stream: Followed while it works; None for a store that has no streams.
    """
    leases = exchanges.leases
    pause = min(MAX_PAUSE_SECONDS, exchanges.max_staleness / 6)
    longest = min(MAX_WAIT_SECONDS, exchanges.max_staleness / 4)
    wait = 0.0  # the first poll, and the first after a stream or a failure, return at once to show that the feed is up
    is_up = True
    while not leases.closed:
        due_in = stream.seconds_until_due() if stream and is_up else inf
        try:
            if leases.applied is None or leases.is_view_doubted:
                yield from exchanges.load_head()
            elif stream and due_in <= 0:
                yield from stream.follow()
                wait = 0.0
                continue
            else:
                yield from exchanges.poll(leases.applied, min(wait, due_in))
                yield from exchanges.confirm_heads()
        except Exception as error:  # noqa: BLE001 - whatever failed renewed nothing, and is tried again
            wait, is_up = 0.0, False
            on_poll(error)
            yield Sleep(random.uniform(0, pause))
        else:
            wait, is_up = longest, True
            on_poll(None)


class Poller:
    """
    Keeps one `poll_feed` running in the background. Safe to use from several threads.

    Args:
        exchanges: How the store is asked.

        spawn: Runs effects in the background.

        on_poll: Called after each poll.

        on_end: Called when the polling ended, be it at a close or by an error that nothing catches.

        can_stream: Whether the store answers polls in parts.
    """

    def __init__(
        self,
        exchanges: Exchanges,
        spawn: Spawn,
        on_poll: OnPoll,
        on_end: Callable[[], None],
        *,
        can_stream: bool,
    ) -> None:
        self._exchanges = exchanges
        self._spawn = spawn
        self._on_poll = on_poll
        self._on_end = on_end
        self._stream = FeedStream(exchanges, partial(on_poll, None, is_streaming=True)) if can_stream else None
        self._lock = threading.Lock()
        self._worker: object = None  # identifies the effects that poll; None: none do

    def ensure_started(self) -> None:
        """Start polling unless it runs."""
        if self._worker is None:
            worker = object()
            self._spawn(self._run(worker)).add_done_callback(partial(self._ended, worker))

    def close(self) -> None:
        """End the stream, if there is one. The leases are closed before, so that there is no other."""
        if self._stream is not None:
            self._stream.close()

    def _run(self, worker: object) -> Effects[None]:
        with self._lock:
            if self._worker is not None:  # another was started at the same time
                return
            self._worker = worker
        yield from poll_feed(self._exchanges, self._on_poll, self._stream)

    def _ended(self, worker: object, _: Promise[None]) -> None:
        """Let the next `ensure_started` start another."""
        if self._worker is worker:
            self._worker = None
            self._on_end()
