"""
What the law says of sending advertisements, beside a customer's yes: hours, a daily limit and a label, as data.

No answer depends on it. Counting what was sent to whom is the sender's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta, timezone
from types import MappingProxyType
from typing import Final

import attrs

from .vocabulary import Channel, instant

VIETNAM: Final = timezone(timedelta(hours=7))  # Asia/Ho_Chi_Minh, which has no daylight saving time


@attrs.frozen
class SendingRule:
    """When a channel may be used (from `opens` to before `closes`, in Vietnam; None: at any hour), and how."""

    opens: time | None
    closes: time | None
    daily_limit: int | None  # to one customer in 24 hours; None: no limit
    label: str | None  # which the subject or text begins with


# Source: Decree 91/2020/ND-CP, as law firms report it; counsel confirms before launch.
SENDING: Final[Mapping[Channel, SendingRule]] = MappingProxyType({
    Channel.EMAIL: SendingRule(None, None, 3, "[QC]"),
    Channel.MESSAGE: SendingRule(time(7), time(22), 3, "[QC]"),
    Channel.CALL: SendingRule(time(8), time(17), 1, None),
    Channel.NOTIFICATION: SendingRule(None, None, None, None),
})  # fmt: skip


@attrs.frozen
class Window:
    """
    Whether a channel may be used at an instant, and how.

    `opens_at` is the next opening, aware, in Vietnam's time; None while `open`. `daily_limit` is how many
    advertisements one customer may get in 24 hours, None for no limit. `label` is what each begins with, None for none.
    """

    open: bool
    opens_at: datetime | None
    label: str | None
    daily_limit: int | None


def sending_window(channel: str, at: datetime) -> Window:
    """
    Look up the rules of sending over *channel* at an instant.

    Args:
        channel: The channel, or its name.

        at: An aware datetime.

    Returns:
        The window.

    Raises:
        ValueError: *channel* is unknown, or *at* is naive or has no next day.

        TypeError: *at* is not a datetime.
    """
    rule, at = SENDING[Channel(channel)], instant(at)
    opens_at = None if rule.opens is None or rule.closes is None else _opens_at(rule.opens, rule.closes, at)
    return Window(opens_at is None, opens_at, rule.label, rule.daily_limit)


def _opens_at(opens: time, closes: time, at: datetime) -> datetime | None:
    """Return the next opening; None at an instant within the hours."""
    try:
        local = at.astimezone(VIETNAM)
        if opens <= local.time() < closes:
            return None
        day = local.date() if local.time() < opens else local.date() + timedelta(days=1)
    except OverflowError:
        raise ValueError("the calendar ends before the next opening: give an instant before the year 9999") from None
    return datetime.combine(day, opens, VIETNAM)
