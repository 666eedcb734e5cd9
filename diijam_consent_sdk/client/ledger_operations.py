"""The operations of a client on the ledger in order, written once for both clients."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from math import isfinite
from weakref import ref

from .._clock import steady_seconds
from ..decisions import Ask
from ..errors import HistoryChanged
from ..stores.answers import Cursor, Entries
from .effects import Effects, EntriesAfter, Limit, perform
from .limiter import LimitedCalls
from .watch import BEGIN_AGAIN, Watch

MAX_WAIT_SECONDS = 60.0  # of one call, which a service waits at most too


class LedgerOperations:
    """
    The operations of a client on the ledger in order. No lease depends on them. Safe to use from several threads.

    Args:
        head: Loads the ledger's head.

        check_open: Raises `ClientClosed` once the client is closed.

        deadline: How long, in real seconds, a caller waits beyond the wait for news.

        max_staleness: The bound B, in seconds.

        limit: Runs effects in the background, so many at once.
    """

    def __init__(
        self,
        head: Callable[[], Effects[Cursor]],
        check_open: Callable[[], None],
        *,
        deadline: float,
        max_staleness: float,
        limit: Limit,
    ) -> None:
        self._head = head
        self._check_open = check_open
        self._max_staleness = max_staleness
        # By number, not in a `WeakSet`: iterating over that fails while another thread begins a watch.
        self._watches: dict[int, ref[Watch]] = {}
        self._numbers = itertools.count()
        # Apart from other calls, which long waits would keep from their turn; so each watch has its own, too.
        self._make_calls = partial(LimitedCalls, deadline, limit)
        self._calls = self._make_calls()

    def entries(self, after: str | None, wait: float) -> Effects[Entries]:
        """Read the entries after a token, waiting up to *wait* seconds for news."""
        wait = _checked_wait(wait)
        cursor = None if after is None else Cursor.parse(after)
        self._check_open()
        if cursor is None:
            cursor = (yield from self._head()).beginning()
        found = yield from self._calls.run(perform(EntriesAfter(cursor, wait)), self._calls.until() + wait)
        if not found.is_continuation():
            raise HistoryChanged(BEGIN_AGAIN)
        return found

    def watch(self, ask: Ask, after: str | None) -> Watch:
        """Begin a watch."""
        self._check_open()
        calls, staleness = self._make_calls(), self._max_staleness
        watch = Watch(ask, after, calls=calls, check_open=self._check_open, max_staleness=staleness)
        number = next(self._numbers)
        self._watches[number] = ref(watch, lambda _: self._watches.pop(number, None))
        return watch

    def watch_lag(self) -> float | None:
        """Return how far the watch that is furthest behind lags, in seconds; None without a watch."""
        return max((watch.lag() for watch in self._live_watches()), default=None)

    def watch_caught_up_at(self) -> datetime | None:
        """Return the instant as of which every copy was true; None without a watch, and while that is unknown."""
        instants = [watch.caught_up_at for watch in self._live_watches()]
        known = [instant for instant in instants if instant is not None]
        if not known or len(known) < len(instants):
            return None
        return datetime.now(UTC) - timedelta(seconds=steady_seconds() - min(known))

    def _live_watches(self) -> list[Watch]:
        return [watch for each in list(self._watches.values()) if (watch := each()) is not None]


def _checked_wait(wait: float) -> float:
    if isinstance(wait, bool) or not isinstance(wait, (int, float)):
        raise TypeError(f"wait is a number of seconds, not a {type(wait).__name__}")
    if not (isfinite(wait) and wait >= 0):
        raise ValueError("wait is a number of seconds, finite and at least 0")
    return min(float(wait), MAX_WAIT_SECONDS)
