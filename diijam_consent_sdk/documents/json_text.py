"""A document as JSON: values of the ledger as JSON has them, and a text in which nothing is hidden."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

import attrs

Json = str | int | bool | list["Json"] | dict[str, "Json"] | None


def rfc_3339(at: datetime) -> str:
    """Write an instant as machines read it; UTC as `Z`."""
    return at.isoformat().replace("+00:00", "Z")


def machine_month(month: date) -> str:
    """Write a month as machines read it. `%Y` would write the year 999 in three digits."""
    return month.isoformat()[:7]


def plain(value: Any) -> Json:
    """Turn a value into what JSON has: a set becomes a sorted list, a time an RFC 3339 string."""
    if isinstance(value, frozenset):
        return [*sorted(map(str, value))]
    if isinstance(value, datetime):
        return rfc_3339(value)
    as_it_is: Json = value
    return as_it_is


def plain_fields(value: attrs.AttrsInstance) -> dict[str, Json]:
    """Turn the fields of a value into what JSON has."""
    return {name: plain(part) for name, part in attrs.asdict(value).items()}


def write_json(content: dict[str, Json]) -> str:
    """Write an indented object. What a terminal would obey or hide is spelled as an escape."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    return "".join(f"{line if line.isprintable() else _escape(line)}\n" for line in text.split("\n"))


def _escape(line: str) -> str:
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
