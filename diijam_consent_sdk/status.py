"""
The state of a client, for health checks and metrics.

It names no user, so it may be logged and exported.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum, auto

import attrs

from .errors import StoreError
from .vocabulary import Reason

MAX_CAUSE_CHARACTERS = 500


class Feed(StrEnum):
    """How the change feed is doing."""

    OFF = auto()  # the client follows no feed, is closed, or has not been used yet
    UP = auto()
    DOWN = auto()


@attrs.frozen(kw_only=True)
class Status:
    """
    The state of a client at one moment.

    Attributes:
        ready: Whether the client is open, and its last load or poll for guards succeeded. False before the first one,
            and so for a client that is asked nothing: `record`, `load` and the like raise their errors, and count for
            nothing here.

        last_error: Why that load or poll failed, in one line; None if it succeeded, and before the first.

        feed: Whether the change feed is followed, and reached.

        feed_since: When `feed` last changed (UTC); None while it is off.

        is_streaming: Whether the feed comes as a stream, and not by single polls. Only a consent service streams; a
            proxy that holds its answers back makes the client poll.

        position: The position in the ledger up to which the client has seen changes; None without a feed.

        age_seconds: The greatest age of what the feed reported last, on the lease clock; None before its first report.

        watch_lag_seconds: For how long the watch that is furthest behind has not been at the ledger's end, with all its
            items taken in; None without a watch. A watch that goes on from a token counts from its own begin, not from
            the token's time.

        watch_caught_up_at: The instant (UTC) as of which every copy that a watch keeps was true: the watch that is
            furthest behind was then at the ledger's end, with all its items taken in. None without a watch, and until
            each was there once.

        users: How many users are kept in memory.

        hits: How many users asked for were in memory. Threads that count at the same time may lose a few.

        misses: How many users asked for were not in memory.

        denials: How many guards denied, by reason.
    """

    ready: bool
    last_error: str | None
    feed: Feed
    feed_since: datetime | None
    is_streaming: bool
    position: int | None
    age_seconds: float | None
    watch_lag_seconds: float | None
    watch_caught_up_at: datetime | None
    users: int
    hits: int
    misses: int
    denials: Mapping[Reason, int]


def cause_of(error: BaseException) -> str:
    """
    Describe why an exchange with the store failed, in one printable line for `Status.last_error` and the log.

    Only this library's errors are quoted. They never carry an id or a token, as those of another store may.
    """
    text = str(error) if isinstance(error, StoreError) else ""
    line = "".join(c if c.isprintable() else " " for c in text[:MAX_CAUSE_CHARACTERS])
    return line or type(error).__name__
