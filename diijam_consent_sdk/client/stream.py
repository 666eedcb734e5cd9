"""
Follows the change feed as a stream: a poll that is answered in parts (protocol.md, "A poll in parts").

A stream spares the service a question from each client after each change. It may fail where single polls work, behind
a proxy that holds parts back, so whatever goes wrong ends the stream, and single polls go on.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf

from .._jitter import random
from .effects import AnyStream, Effects, NextPart, StreamChanges, perform
from .exchanges import Exchanges

SHORTEST_SECONDS, LONGEST_SECONDS = 240.0, 300.0  # of one stream: chosen at random, so that clients do not end together
MAX_BEAT_SECONDS = 60.0
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 300.0  # before another stream


class FeedStream:
    """
    The streams of one client, one after the other. `follow` is for one thread or task, `close` is safe from any.

    Args:
        exchanges: How the store is asked, for the leases that the feed keeps fresh.

        on_part: Called after each part that counted.
    """

    def __init__(self, exchanges: Exchanges, on_part: Callable[[], None]) -> None:
        self._exchanges = exchanges
        self._leases = exchanges.leases
        self._on_part = on_part
        self._client = secrets.token_hex(16)
        self._beat = min(MAX_BEAT_SECONDS, exchanges.max_staleness / 4)
        self._silence = min(self._beat + exchanges.deadline, self._leases.length / 2)
        self._stream: AnyStream | None = None
        self._pause = 0.0
        self._due_at = -inf
        self._lasted = 0.0

    def seconds_until_due(self) -> float:
        """Return for how long to go on by single polls; not above 0 if a stream may be tried now."""
        return self._due_at - time.monotonic()

    def follow(self) -> Effects[None]:
        """Follow one stream until it ends, for whatever reason: the single poll that comes next tells of an outage."""
        self._lasted, is_at_end = 0.0, False
        with suppress(Exception):
            is_at_end = yield from self._follow()
        self._plan_next(is_at_end=is_at_end)

    def close(self) -> None:
        """End the stream under the thread that waits for its next part."""
        stream = self._stream
        if stream is not None:
            stream.close()

    def _follow(self) -> Effects[bool]:
        """Return whether the stream came to its end, and was not cut for a part that does not count."""
        leases, after = self._leases, self._leases.applied
        if after is None:
            return False
        poll = self._exchanges.begin_poll(after)
        wait = random.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)
        stream = yield from perform(StreamChanges(after, wait, self._beat, self._client, self._silence))
        self._stream = stream
        first_at: float | None = None
        try:
            while not leases.closed:  # looked at after `_stream` was set, since `close` may have come before
                part = yield from perform(NextPart(stream))
                if part is None:
                    return True
                if not (yield from self._exchanges.apply(poll, part)):
                    return poll.generation is not leases.feed()[0]
                first_at = first_at or time.monotonic()
                self._lasted = time.monotonic() - first_at
                self._on_part()
                yield from self._exchanges.confirm_heads()
            return True
        finally:
            self._stream = None
            stream.close()

    def _plan_next(self, *, is_at_end: bool) -> None:
        """Plan the next stream: at once after one that worked and ended, else after a pause."""
        has_worked = self._lasted >= max(self._pause, FIRST_PAUSE_SECONDS)
        self._pause = (
            FIRST_PAUSE_SECONDS if has_worked else min(MAX_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, 2 * self._pause))
        )
        pause = 0.0 if has_worked and is_at_end else self._pause
        self._due_at = time.monotonic() + random.uniform(pause / 2, pause)
