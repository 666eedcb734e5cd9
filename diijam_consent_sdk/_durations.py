"""The one parser of durations that options give, such as `30m` or `1h`."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(f"([1-9][0-9]{{0,4}})([{''.join(UNITS)}])")


def parse_duration(text: str) -> timedelta:
    """
    Parse a duration: a whole number from 1 to 99,999 and a unit, `s`, `m`, `h` or `d`.

    Raises:
        ValueError: the text is something else.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no duration: write it like 30s, 30m, 1h or 2d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
