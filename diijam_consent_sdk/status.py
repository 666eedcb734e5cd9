"""What a client knows of itself, for health checks and metrics. No user is named in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum, auto

import attrs

from .vocabulary import Reason


class Feed(StrEnum):
    """How the change feed is doing."""

    OFF = auto()  # the client follows none, is closed, or was asked nothing yet
    UP = auto()
    DOWN = auto()


@attrs.frozen(kw_only=True)
class Status:
    """
    One look at a client.

    Attributes:
        ready: Whether a question would be answered from what the store said last: the client is open, and its last
            exchange with the store went well.

        feed: Whether the change feed is followed, and reached.

        feed_since: Since when it has been so (UTC); None while it is off.

        position: The ledger's, up to which the client knows of changes; None without a feed.

        age_seconds: How old what the feed said is at most, on the lease clock; None before its first word.

        users: How many users are kept in memory.

        hits: How many times a user asked for was there. Threads that count at once may lose a few.

        misses: How many times it was not.

        denials: How many guards said no, by reason.
    """

    ready: bool
    feed: Feed
    feed_since: datetime | None
    position: int | None
    age_seconds: float | None
    users: int
    hits: int
    misses: int
    denials: Mapping[Reason, int]
