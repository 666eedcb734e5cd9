"""Answers as bytes, bounded. They are made off the event loop, item by item: nobody waits for a large one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..errors import TooLarge
from ..stores import messages, wire
from ..stores.messages import MAX_ANSWER_BYTES, PAGE_BYTES


def encoded(answer: messages.Answer, name: str, items: Iterable[object]) -> bytes:
    """
    An answer that has to be whole.

    Args:
        answer: The answer without its items.

        name: The field that they belong in.

        items: What it holds.

    Returns:
        Its JSON.

    Raises:
        TooLarge: it has too many bytes.
    """
    parts, size = [], 0
    for item in items:
        parts.append(wire.encode(item))
        size += len(parts[-1])
        if size > MAX_ANSWER_BYTES:
            raise TooLarge("the answer is too large: ask for fewer users")
    return _put_together(answer, {name: parts})


def page(items: Iterable[object]) -> list[bytes]:
    """
    As many items, one after the other, as one page takes; at least one, if there is any.

    Args:
        items: What to begin a page of.

    Returns:
        The JSON of each that is on the page.
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


def paged(answer: messages.Answer, name: str, parts: list[bytes]) -> bytes:
    """
    An answer with one page.

    Args:
        answer: The answer without its items.

        name: The field that they belong in.

        parts: What `page` gave.

    Returns:
        Its JSON.
    """
    return _put_together(answer, {name: parts})


def _put_together(answer: messages.Answer, lists: dict[str, list[bytes]]) -> bytes:
    fields: dict[str, Any] = msgspec.structs.asdict(answer)
    fields.update({name: msgspec.Raw(b"[" + b",".join(parts) + b"]") for name, parts in lists.items()})
    return wire.encode(fields)
