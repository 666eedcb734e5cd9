"""
The access log: a line for each request, without a user id, a token, a body or a query string.

An application that embeds the service gets the lines through structlog, as it configured it. The process of
`diijam-consent serve` writes them itself, several at a time: through structlog and logging each took 17 times as long.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from .._logging import log
from .line_writer import LineWriter

EVENT = "service.request"

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
        """Write the lines that were kept, as far as somebody takes them."""


class BufferedAccessLog(AccessLog):
    """
    Writes lines of JSON, several at a time. The server calls `flush` ten times a second, and at its end.

    Args:
        lines: Writes them.
    """

    def __init__(self, lines: LineWriter) -> None:
        self._lines = lines

    def record(self, fields: dict[str, object]) -> None:
        """See `AccessLog.record`. The line is kept for a moment."""
        self._lines.add(_encode({**fields, "event": EVENT, "level": "info", "at": datetime.now(UTC)}) + b"\n")

    def flush(self) -> None:
        """See `AccessLog.flush`."""
        self._lines.flush()
