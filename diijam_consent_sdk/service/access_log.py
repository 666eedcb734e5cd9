"""
The access log: a line for each request, without a user id, a token, a body or a query string.

An application that embeds the service gets the lines through structlog, as it configured it. The process of
`diijam-consent serve` writes them itself, several at a time: through structlog and logging each took 17 times as long.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from .._logging import log

EVENT = "service.request"
PIECE_BYTES = select.PIPE_BUF  # a pipe that several processes write to takes so much in one piece

_encode = msgspec.json.Encoder().encode


class AccessLog:
    """Writes each line at once, through the library's log. Use it on one event loop only."""

    def record(self, fields: dict[str, object]) -> None:
        """
        Tell of an answered request.

        Args:
            fields: What the line says.
        """
        log.info(EVENT, **fields)

    def flush(self) -> None:
        """Write the lines that were kept."""


class BufferedAccessLog(AccessLog):
    """
    Writes lines of JSON, several at a time. The server calls `flush` ten times a second, and at its end.

    Args:
        write: Takes whole lines, which together have at most `PIECE_BYTES`. It raises nothing.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._kept = bytearray()

    def record(self, fields: dict[str, object]) -> None:
        """See `AccessLog.record`. The line is kept for a moment."""
        line = _encode({**fields, "event": EVENT, "level": "info", "at": datetime.now(UTC)}) + b"\n"
        if len(self._kept) + len(line) > PIECE_BYTES:
            self.flush()
        self._kept += line

    def flush(self) -> None:
        """Write the lines that were kept."""
        if self._kept:
            kept, self._kept = self._kept.decode(), bytearray()
            self._write(kept)
