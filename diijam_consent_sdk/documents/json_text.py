"""A document as JSON: values of the ledger as JSON has them, and a text in which nothing is hidden."""

from __future__ import annotations

import json
from datetime import datetime

import attrs

Json = str | int | bool | list["Json"] | dict[str, "Json"] | None


def plain(value: object) -> Json:
    """Turn a value into what JSON has: a set becomes a sorted list, a time an RFC 3339 string."""
    if isinstance(value, frozenset):
        return [*sorted(map(str, value))]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value if value is None or isinstance(value, (bool, int)) else str(value)


def plain_fields(value: attrs.AttrsInstance) -> dict[str, Json]:
    """Turn the fields of a value into what JSON has."""
    return {name: plain(part) for name, part in attrs.asdict(value, recurse=False).items()}


def write_json(content: dict[str, Json]) -> str:
    """Write an indented object. What a terminal would obey or hide is spelled as an escape."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    if not text.replace("\n", "").isprintable():
        text = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    return text + "\n"
