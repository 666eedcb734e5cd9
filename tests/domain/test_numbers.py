"""Numbers and months as people read them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from diijam_consent_sdk.record import END_OF_TIME
from diijam_consent_sdk.vocabulary import Language
from diijam_consent_sdk.wording.numbers import format_month, format_number, format_share, month_of


@pytest.mark.parametrize(
    ("at", "month"),
    [
        (datetime(2026, 3, 31, 16, 59, 59, tzinfo=UTC), date(2026, 3, 1)),
        (datetime(2026, 3, 31, 17, tzinfo=UTC), date(2026, 4, 1)),
        (datetime(1, 1, 1, tzinfo=UTC), date(1, 1, 1)),
        (END_OF_TIME, date(9999, 12, 1)),
    ],
)
def test_a_month_begins_at_midnight_in_vietnam(at: datetime, month: date) -> None:
    """The first and the last instants there are have a month as well."""
    assert month_of(at) == month


@pytest.mark.parametrize(("language", "text"), [("vi", "tháng 3/2026"), ("en", "March 2026")])
def test_months_are_named(language: Language, text: str) -> None:
    """A month reads as people write it."""
    assert format_month(language, date(2026, 3, 1)) == text


@pytest.mark.parametrize(
    ("number", "vi", "en"), [(0, "0", "0"), (999, "999", "999"), (1234567, "1.234.567", "1,234,567")]
)
def test_thousands_stand_apart(number: int, vi: str, en: str) -> None:
    """Vietnamese has points where English has commas."""
    assert (format_number("vi", number), format_number("en", number)) == (vi, en)


@pytest.mark.parametrize(
    ("part", "whole", "en"),
    [
        (0, 7, "0%"), (7, 7, "100%"), (1, 2, "50%"), (1, 3, "33.3%"), (1, 1000, "0.1%"), (999, 1000, "99.9%"),
        (1, 1001, "<0.1%"), (1000, 1001, ">99.9%"), (9996, 10000, ">99.9%"),
    ],
)  # fmt: skip
def test_only_none_and_all_read_as_such(part: int, whole: int, en: str) -> None:
    """One of many is not 0%, and all but one are not 100%; Vietnamese has a comma where English has a point."""
    assert format_share("en", part, whole) == en
    assert format_share("vi", part, whole) == en.replace(".", ",")
