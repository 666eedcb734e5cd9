"""Numbers and months as people read them in either language."""

from __future__ import annotations

from datetime import date, datetime

from ..vocabulary import Language
from . import MONTHS, in_vietnam


def month_of(at: datetime) -> date:
    """Return the first day of the month in Vietnam in which an instant lies."""
    return in_vietnam(at).date().replace(day=1)


def format_month(language: Language, month: date) -> str:
    """Format a month: tháng 3/2026, or March 2026."""
    return f"tháng {month.month}/{month.year}" if language == "vi" else f"{MONTHS[month.month - 1]} {month.year}"


def format_number(language: Language, number: int) -> str:
    """Format a number with its thousands apart: 1.234, or 1,234."""
    text = f"{number:,}"
    return text.replace(",", ".") if language == "vi" else text


def format_share(language: Language, part: int, whole: int) -> str:
    """Format a part of a whole that is not 0: 12,3%, or 12.3%. Only none reads as 0%, and only all as 100%."""
    if 0 < part < whole and not whole <= 1000 * part <= 999 * whole:
        text = "<0.1%" if 2 * part < whole else ">99.9%"
    else:
        text = f"{100 * part / whole:.1f}".removesuffix(".0") + "%"
    return text.replace(".", ",") if language == "vi" else text
