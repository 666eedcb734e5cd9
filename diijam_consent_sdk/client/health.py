"""
A client's health: whether the store and its change feed are reached, for `ConsentClient.status()` and the log.

It is noted after each load and poll for guards, so that a status costs no call of the store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from .._logging import log
from ..cache.leases import Leases
from ..decisions import NOT_ENTITLED
from ..errors import WHO_GIVES_SCOPES
from ..standing import View
from ..status import Feed, Status, cause_of

NOT_ENTITLED_ADVICE = f"guards ask what the token is not for, and deny everybody: {WHO_GIVES_SCOPES}"


class Health:
    """
    What the exchanges of one client came to. Safe to use from several threads.

    Args:
        leases: Give the counts and the age that a status shows.

        clock: The lease clock, in seconds.

        watch_lag: Gives how far the watch that is furthest behind lags, in seconds.

        watch_caught_up_at: Gives the instant as of which every copy that a watch keeps is true.
    """

    def __init__(
        self,
        leases: Leases,
        clock: Callable[[], float],
        watch_lag: Callable[[], float | None],
        watch_caught_up_at: Callable[[], datetime | None],
    ) -> None:
        self._leases = leases
        self._clock = clock
        self._watch_lag = watch_lag
        self._watch_caught_up_at = watch_caught_up_at
        self._lock = threading.Lock()
        self._is_reachable: bool | None = None  # None: before the first exchange
        self._last_error: str | None = None
        self._feed: tuple[Feed, datetime | None] = (Feed.OFF, None)
        self._is_streaming = False
        self._view: View | None = None
        self._denied_before: int | None = 0  # guards outside the view when it began; None: that they did is logged

    def note_exchange(self, failure: BaseException | None) -> None:
        """Note a load or poll for guards, and log it if the store went out of reach or came back."""
        cause = None if failure is None else cause_of(failure)
        with self._lock:
            was_reachable, self._is_reachable = self._is_reachable, failure is None
            self._last_error = cause
            is_outside = failure is None and self._is_asked_outside_view()
        if is_outside:
            log.warning("client.not_entitled", view=sorted(map(str, self._view or ())), advice=NOT_ENTITLED_ADVICE)
        if failure is not None and was_reachable is not False:
            log.warning("store.unreachable", error=type(failure).__name__, cause=cause)
        elif failure is None and was_reachable is False:
            log.info("store.reachable")

    def _is_asked_outside_view(self) -> bool:
        """
        Whether guards denied `NOT_ENTITLED` in this view, once for each view: such a client denies everybody, which
        is no customer's choice. It is found out here, so that no guard has to.
        """
        counter = self._leases.counters.by_decision[NOT_ENTITLED]
        denied = counter.hits + counter.denied
        if self._leases.view != self._view:
            self._view, self._denied_before = self._leases.view, denied
        if self._denied_before is None or denied <= self._denied_before:
            return False
        self._denied_before = None
        return True

    def note_feed(self, feed: Feed, *, is_streaming: bool = False) -> None:
        """Note whether the feed is up, and since when, and whether it comes as a stream."""
        self._is_streaming = is_streaming
        if feed is not self._feed[0]:
            self._feed = (feed, datetime.now(UTC))

    def status(self) -> Status:
        """Look at the client once, in memory."""
        leases, counters = self._leases, self._leases.counters
        feed, since = (Feed.OFF, None) if leases.closed else self._feed
        return Status(
            ready=not leases.closed and self._is_reachable is True,
            last_error=self._last_error,
            feed=feed,
            feed_since=since,
            is_streaming=self._is_streaming and not leases.closed,
            position=leases.applied.position if leases.applied else None,
            age_seconds=leases.feed_age(self._clock()),
            watch_lag_seconds=self._watch_lag(),
            watch_caught_up_at=self._watch_caught_up_at(),
            users=len(leases),
            hits=counters.hits,
            misses=counters.misses,
            denials=counters.denials,
        )
