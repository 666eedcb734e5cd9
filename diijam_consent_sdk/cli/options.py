"""Options that belong to a kind of event or ask: which it has and which it needs is read off its attrs fields."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import attrs


def flag(field: str) -> str:
    """The option that gives a field: `expires_at` is `--expires-at`, `channels` the repeatable `--channel`."""
    return "--" + {"channels": "channel"}.get(field, field).replace("_", "-")


def needed(fields: Collection[attrs.Attribute[Any]], given: Collection[str]) -> list[str]:
    """The fields that must be given and are not."""
    return [field.name for field in fields if field.default is attrs.NOTHING and field.name not in given]


def check_options(name: str, fields: Collection[attrs.Attribute[Any]], given: Collection[str]) -> None:
    """
    See that *name*, an event or ask with these fields, has all the options given and is given all it needs.

    Raises:
        ValueError: it has no such option, or lacks one.
    """
    known = [field.name for field in fields]
    foreign = [field for field in given if field not in known]
    if foreign:
        raise ValueError(f"{name} has no {flag(foreign[0])}; it has: {', '.join(map(flag, known)) or 'no options'}")
    lacking = needed(fields, given)
    if lacking:
        raise ValueError(f"{name} needs {' and '.join(map(flag, lacking))}")


def moment(field: str, text: str) -> datetime:
    """
    The instant that an option gives.

    Raises:
        ValueError: it is none, or names no time zone.
    """
    example = "write it like 2027-01-31T00:00:00+07:00"
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{flag(field)} {text[:40]!r} is no time: {example}") from None
    if at.utcoffset() is None:
        raise ValueError(f"{flag(field)} {text!r} names no time zone: {example}")
    return at
