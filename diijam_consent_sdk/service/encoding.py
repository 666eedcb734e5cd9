"""JSON of answers, bounded in bytes and made item by item off the event loop, so a large answer delays nobody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..errors import TooLarge
from ..stores import message_fields, wire
from ..stores.message_fields import MAX_ANSWER_BYTES, PAGE_BYTES


def encode_whole(answer: message_fields.Answer, field: str, items: Iterable[object]) -> bytes:
    """
    Encode an answer that may not be cut into pages.

    Args:
        answer: The answer without its items.

        field: The answer's field that the items belong in.

        items: All items of the answer.

    Returns:
        The answer's JSON.

    Raises:
        TooLarge: the items have more than `MAX_ANSWER_BYTES`.
    """
    parts, size = [], 0
    for item in items:
        parts.append(wire.encode(item))
        size += len(parts[-1])
        if size > MAX_ANSWER_BYTES:
            raise TooLarge("the answer is too large: ask for fewer users")
    return join(answer, field, parts)


def encode_page(items: Iterable[object]) -> list[bytes]:
    """
    Encode as many items, in order, as one page takes; at least one, if there is any.

    Args:
        items: The items that are left to send.

    Returns:
        The JSON of each item on the page.
    """
    parts: list[bytes] = []
    size = 0
    for item in items:
        part = wire.encode(item)
        size += len(part)
        if parts and size > PAGE_BYTES:
            break
        parts.append(part)
    return parts


def join(answer: message_fields.Answer, field: str, parts: list[bytes]) -> bytes:
    """
    Put an answer and its encoded items together.

    Args:
        answer: The answer without its items.

        field: The answer's field that the items belong in.

        parts: The JSON of each item.

    Returns:
        The answer's JSON.
    """
    fields: dict[str, Any] = msgspec.structs.asdict(answer)
    fields[field] = msgspec.Raw(b"[" + b",".join(parts) + b"]")
    return wire.encode(fields)
