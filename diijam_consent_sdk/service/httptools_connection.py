"""
Connections over httptools, which parses in C. What h11 does by itself, and httptools does not, is here.

httptools has no limit of a head, takes an absolute URL or a fragment for the path in it, gives trailers as headers,
parses questions that were sent before the answer to the one before, and leaves out the body of a question that offers
an upgrade. uvicorn writes an answer's head by itself, which costs a system call and a segment on the wire more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .connections import MAX_HEAD_BYTES, Connection

MAX_HEADERS = 100  # of a question; in memory a short one takes 30 times what it took on the wire
CONTINUE = b"HTTP/1.1 100 "  # how an answer begins that is before the head


class JoinedWrites:
    """
    What a cycle of uvicorn's writes to: the head of its answer is held until the first part of the body comes.

    Args:
        transport: The connection's.

        on_response: Called once the answer is complete.
    """

    __slots__ = ("_head", "_on_response", "_transport", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, on_response: Callable[[], None]) -> None:
        self._transport = transport
        self._on_response = on_response
        self._head = b""
        self.is_closing = transport.is_closing
        self.write: Callable[[bytes], None] = self._hold

    def _hold(self, data: bytes) -> None:
        if data.startswith(CONTINUE):
            self._transport.write(data)
        else:
            self._head, self.write = data, self._join

    def _join(self, data: bytes) -> None:
        self.write = self._transport.write
        self._transport.write(self._head + data)  # not `writelines`: asyncio's pauses nobody in 3.12.1 and 3.13.0
        self._head = b""

    def _flush(self) -> None:
        """Write a head that no body follows, as the answer to HEAD is."""
        if self._head:
            self._join(b"")

    def complete(self) -> None:
        """Go on after the answer."""
        self._flush()
        self._on_response()

    def close(self) -> None:
        """Close the connection once all is written."""
        self._flush()
        self._transport.close()


class HttptoolsConnection(Connection, HttpToolsProtocol):
    """uvicorn's connection over httptools."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._is_in_head = False
        self._head_bytes = 0  # read since the last byte of a body, or of the last whole head
        self._earlier: list[Any] = []  # cycles of questions before the newest one, until they are answered

    @property
    def current(self) -> Any:
        """The cycle (uvicorn's) of the question that is asked or answered now; None before the first."""
        return next((cycle for cycle in self._earlier if not cycle.response_complete), self.cycle)

    def has_waiting(self) -> bool:
        """See `Connection.has_waiting`."""
        return any(not cycle.response_complete for cycle in self._earlier)

    def parse(self, data: bytes) -> None:
        """Parse a part of what was read, and start what it asks."""
        self._head_bytes += len(data)
        HttpToolsProtocol.data_received(self, data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head is too large.")

    def on_message_begin(self) -> None:
        """Begin a question."""
        super().on_message_begin()
        self._is_in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """
        Take a header. One after the body is a trailer, and left out: it is not the head that a proxy in front checked.

        Raises:
            HttpParserError: the head has too many; it is answered with 400.
        """
        if not self._is_in_head:
            return
        if len(self.headers) >= MAX_HEADERS:
            raise httptools.HttpParserError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the question, whose path is what was sent."""
        self._is_in_head = False
        self._head_bytes = 0
        before = self.cycle
        super().on_headers_complete()
        joined = JoinedWrites(self.transport, self.on_response_complete)
        self.cycle.transport, self.cycle.on_response = joined, joined.complete
        self.scope["raw_path"] = self.url.partition(b"?")[0]
        if before is not None and not before.response_complete:
            self._earlier = [*(cycle for cycle in self._earlier if not cycle.response_complete), before]
        if self.parser.should_upgrade():
            self._refuse_upgrade()

    def _refuse_upgrade(self) -> None:
        """
        End the connection after a question that offers an upgrade, before one with a body: the parser would take what
        comes of the body later for the next question, and a proxy its answer for that of another client.
        """
        self.cycle.keep_alive = False
        if any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
            for name, value in self.headers
        ):
            self.send_400_response("No upgrade is offered here: send the question without one.")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of the question. The connection is idle if it was answered by its head."""
        super().on_message_complete()
        if self.cycle.response_complete and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP with 400, unless another answer is due, and end the wait for the question."""
        cycle = self.current
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started or not cycle.more_body:
                self.transport.close()
                return
        super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the wait of the question that is being answered; see `asyncio.Protocol`."""
        for cycle in self._earlier:
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)
