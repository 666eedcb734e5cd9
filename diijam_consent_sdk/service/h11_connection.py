"""Connections over h11, which is Python code and on every interpreter. h11 limits the size of a head."""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .connections import Connection


class H11Connection(Connection, H11Protocol):
    """uvicorn's connection over h11."""

    def parse(self, data: bytes) -> None:
        """Parse a part of what was read, and start what it asks."""
        H11Protocol.data_received(self, data)

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP with 400, unless an answer began, and end the wait for the rest of the body."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            self.transport.close()
