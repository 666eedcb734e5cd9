"""Durations as options give them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from diijam_consent_sdk._durations import parse_duration

DURATIONS = {
    "1s": timedelta(seconds=1),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "90d": timedelta(days=90),
    "99999d": timedelta(days=99_999),
}


@pytest.mark.parametrize("text", DURATIONS)
def test_a_duration_is_a_number_and_a_unit(text: str) -> None:
    """Seconds, minutes, hours and days."""
    assert parse_duration(text) == DURATIONS[text]


@pytest.mark.parametrize(
    "text", ["", "1", "h", "0h", "-1h", "1 h", "1.5h", "1H", "1h30m", "100000s", "\u0661h", "1h\n", "1w"]
)
def test_anything_else_is_refused(text: str) -> None:
    """What could be meant in two ways, or is nothing, is an error that shows how to write it."""
    with pytest.raises(ValueError, match="30s, 30m, 1h or 2d"):
        parse_duration(text)
