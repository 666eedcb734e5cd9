"""
Limits of connections: how long one may take, how many there may be, and how much work one read may cause.

uvicorn closes a connection that is idle after an answer. It keeps one for ever whose question never ends or whose
answer nobody reads, and it parses whatever one read brought before anything else gets its turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from enum import StrEnum, auto
from typing import Any

import h11
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

QUESTION_SECONDS = 10.0  # from its first byte, or from the connection, to the last byte of its body
ANSWER_SECONDS = 60.0  # for the client to take it
MAX_CONNECTIONS = 10_000
LINES_AT_ONCE, SLICE_BYTES = 100, 2048  # a read of more lines is parsed in slices
SLICE_SECONDS = 0.002  # between two slices, for all other connections and threads


class State(StrEnum):
    """The state of a connection."""

    ASKING = auto()  # no whole question is here yet
    READING = auto()  # the client has yet to take what was answered
    IDLE = auto()  # between two questions
    BUSY = auto()  # a question is being answered


LIMITS = {State.ASKING: QUESTION_SECONDS, State.READING: ANSWER_SECONDS}


class _Flow(FlowControl):
    """Flow control that reads nothing more while slices of the last read wait, whatever uvicorn asks for."""

    is_held = False

    def resume_reading(self) -> None:
        self.read_paused = False
        if not self.is_held:
            self._transport.resume_reading()


class Connection(H11Protocol):
    """
    uvicorn's connection over h11, which limits the size of a head.

    h11 is Python code. 256 KB of body in chunks of a byte each, or of a head in short lines, may come in one read, and
    would stop the event loop for a second, so such a read is parsed in slices.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unread = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the transport; see `asyncio.Protocol`."""
        super().connection_made(transport)
        self.flow: _Flow = _Flow(transport)

    def data_received(self, data: bytes) -> None:
        """Parse what was read, in slices if it has many lines; see `asyncio.Protocol`."""
        if self.flow.is_held or data.count(b"\n") > LINES_AT_ONCE:
            self._unread += data
            if not self.flow.is_held:
                self._read_slice()
        else:
            super().data_received(data)

    def _read_slice(self) -> None:
        if self.transport.is_closing():
            return
        part = bytes(self._unread[:SLICE_BYTES])
        del self._unread[:SLICE_BYTES]
        self.flow.is_held = bool(self._unread)
        super().data_received(part)
        if self._unread:
            self.transport.pause_reading()
            self.loop.call_later(SLICE_SECONDS, self._read_slice)
        elif not self.flow.read_paused:
            self.transport.resume_reading()

    def state(self) -> State:
        """Tell what the connection does now."""
        if self.transport.get_write_buffer_size():
            return State.READING
        if self.cycle is not None and not self.cycle.response_complete:
            return State.ASKING if self.cycle.more_body else State.BUSY
        return State.ASKING if self.timeout_keep_alive_task is None else State.IDLE

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP with 400, unless an answer began, and end the wait for the rest of the body."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            self.transport.close()


class Sweeper:
    """
    Ends connections that take too long, and those that ask nothing when there are too many.

    Args:
        most: How many connections there may be.

        clock: A monotonic clock, in seconds.
    """

    def __init__(self, most: int = MAX_CONNECTIONS, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        # The state of each connection at the last sweep, for which question, and since when.
        self._seen: dict[Connection, tuple[State, object, float]] = {}

    def sweep(self, connections: Iterable[Connection]) -> None:
        """
        End the connections that are late, or else some of too many.

        Args:
            connections: All connections of the server.
        """
        now = self._clock()
        self._seen = {each: self._look(each, now) for each in connections}
        late = [each for each, (state, _, since) in self._seen.items() if now - since > LIMITS.get(state, float("inf"))]
        for each in late or self._too_many():
            each.transport.abort()

    def _look(self, connection: Connection, now: float) -> tuple[State, object, float]:
        state, cycle = connection.state(), connection.cycle
        seen = self._seen.get(connection)
        if seen is not None and (state, cycle) == seen[:2]:
            return seen
        return state, cycle, now

    def _too_many(self) -> list[Connection]:
        """Choose a tenth to end: first those that asked nothing for longest, then those that are idle for longest."""
        if len(self._seen) <= self.most:
            return []
        free = [
            (state is State.IDLE, since, number, each)
            for number, (each, (state, _, since)) in enumerate(self._seen.items())
            if state in {State.ASKING, State.IDLE}
        ]
        return [each for *_, each in sorted(free)[: len(self._seen) - self.most * 9 // 10]]
