"""What a proxy does to the parts of a stream after the first."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.proxy import Exchange

Alter = Callable[[bytes, list[bytes]], list[bytes]]  # takes a part and those before it, and gives what is sent


def lost(part: bytes, _: list[bytes]) -> list[bytes]:
    """Lose each part with news."""
    return [part] if b'"user_ids":{}' in part else []


def late(part: bytes, _: list[bytes]) -> list[bytes]:
    """Hold each part back for almost as long as a client waits."""
    time.sleep(0.3)
    return [part]


class OfAnother:
    """Keeps the parts of each stream, and sends those of the first in place of the others'."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []

    def __call__(self, part: bytes, _: list[bytes]) -> list[bytes]:
        """Give the oldest part there is."""
        self._kept.append(part)
        return [self._kept[0]]


ALTERED: dict[str, Callable[[], Alter]] = {
    "silent": lambda: lambda _part, _sent: [],
    "lost": lambda: lost,
    "late": lambda: late,
    "doubled": lambda: lambda part, _sent: [part, part],
    "replayed": lambda: lambda _part, sent: [sent[0]],
    "within a line": lambda: lambda part, _sent: [part[:20]],
    "of another stream": OfAnother,
}


def pass_on(exchange: Exchange, alter: Alter) -> None:
    """Pass a stream on: its first part as it is, each later one altered."""
    parts = exchange.stream()
    exchange.client.sendall(next(parts))
    sent: list[bytes] = []
    for part in parts:
        for piece in alter(part, sent) if sent else [part]:
            exchange.client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        sent.append(part)
    raise ConnectionResetError
