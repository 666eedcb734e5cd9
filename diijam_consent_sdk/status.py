"""What a client knows of itself, for health checks and metrics. No user is named in it."""

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

    OFF = auto()  # the client follows none, is closed, or was asked nothing yet
    UP = auto()
    DOWN = auto()


@attrs.frozen(kw_only=True)
class Status:
    """
    One look at a client.

    Attributes:
        ready: Whether a question would be answered from what the store said last: the client is open, and its last
            exchange with the store went well. Not before the first one: nothing is known then.

        last_error: Why that exchange failed, in one line; None if it went well, or if there was none yet.

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
    last_error: str | None
    feed: Feed
    feed_since: datetime | None
    position: int | None
    age_seconds: float | None
    users: int
    hits: int
    misses: int
    denials: Mapping[Reason, int]


def cause_of(error: BaseException) -> str:
    """
    Why an exchange with the store failed, in one printable line for `Status.last_error` and the log.

    Only this library's errors are quoted: they never carry an id or a token, which those of a foreign store may.
    """
    said = str(error) if isinstance(error, StoreError) else ""
    line = "".join(c if c.isprintable() else " " for c in said[:MAX_CAUSE_CHARACTERS])
    return line or type(error).__name__
