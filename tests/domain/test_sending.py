"""The rules of sending: hours to the second, in Vietnam whatever zone the instant is given in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diijam_consent_sdk import policy
from diijam_consent_sdk.vocabulary import Channel

HANOI = timezone(timedelta(hours=7))


def on(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A time in November 2026, in Vietnam."""
    return datetime(2026, 11, day, hour, minute, second, tzinfo=HANOI)


@pytest.mark.parametrize(
    ("channel", "label", "limit"),
    [("email", "[QC]", 3), ("message", "[QC]", 3), ("call", None, 1), ("notification", None, None)],
)
def test_label_and_limit(channel: Channel, label: str | None, limit: int | None) -> None:
    """Each channel's label and daily limit are those of the policy's table, open or not."""
    for hour in (3, 12):
        window = policy.sending_window(channel, on(29, hour))
        assert (window.label, window.daily_limit) == (label, limit)


@pytest.mark.parametrize(
    ("channel", "at", "opens_at"),
    [
        (Channel.EMAIL, on(29, 3), None),
        (Channel.NOTIFICATION, on(29, 3), None),
        (Channel.MESSAGE, on(29, 6, 59, 59), on(29, 7)),
        (Channel.MESSAGE, on(29, 7), None),
        (Channel.MESSAGE, on(29, 21, 59, 59), None),
        (Channel.MESSAGE, on(29, 22), on(30, 7)),
        (Channel.CALL, on(29, 7, 59), on(29, 8)),
        (Channel.CALL, on(29, 8), None),
        (Channel.CALL, on(29, 16, 59), None),
        (Channel.CALL, on(29, 17), on(30, 8)),
        (Channel.CALL, datetime(2026, 11, 29, 0, 59, tzinfo=UTC), on(29, 8)),
        (Channel.CALL, datetime(2026, 11, 29, 1, tzinfo=UTC), None),
        (Channel.CALL, datetime(2026, 11, 28, 20, tzinfo=timezone(timedelta(hours=-5))), None),
    ],
    ids=str,
)
def test_hours(channel: Channel, at: datetime, opens_at: datetime | None) -> None:
    """A window is open from its first instant to before its last; while closed it names the next opening."""
    window = policy.sending_window(channel, at)
    assert window.open == (opens_at is None)
    assert window.opens_at == opens_at


@given(st.datetimes(timezones=st.just(UTC), max_value=datetime(9998, 1, 1)), st.sampled_from(Channel))  # noqa: DTZ001
def test_the_next_opening_is_open(at: datetime, channel: Channel) -> None:
    """At `opens_at` the window is open, no later than a day after a closed one was looked up."""
    window = policy.sending_window(channel, at)
    if window.opens_at is not None:
        assert policy.sending_window(channel, window.opens_at).open
        assert timedelta() < window.opens_at - at < timedelta(days=1)


@pytest.mark.parametrize(
    ("channel", "at", "error"),
    [
        ("pigeon", on(29, 8), ValueError),
        (Channel.CALL, datetime(2026, 11, 29, 8), ValueError),  # noqa: DTZ001
        (Channel.EMAIL, datetime(2026, 11, 29, 8), ValueError),  # noqa: DTZ001
        (Channel.CALL, datetime.max.replace(tzinfo=UTC), ValueError),
        (Channel.CALL, "08:00", TypeError),
    ],
    ids=str,
)
def test_what_cannot_be_looked_up(channel: Channel, at: datetime, error: type[Exception]) -> None:
    """Another channel, a naive instant (whatever the channel), the end of the calendar and other types are refused."""
    with pytest.raises(error):
        policy.sending_window(channel, at)
