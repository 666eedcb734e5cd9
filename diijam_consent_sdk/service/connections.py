"""
Limits of connections: how long one may take, how many there may be, and how much work one read may cause.

uvicorn closes a connection that is idle after an answer. It keeps one for ever whose question never ends or whose
answer nobody reads, and it parses whatever one read brought before anything else gets its turn.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable
from enum import StrEnum, auto
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl

QUESTION_SECONDS = 10.0  # from its first byte, or from the connection, to the last byte of its body
ANSWER_SECONDS = 60.0  # for the client to take it
MAX_CONNECTIONS = 10_000
MAX_HEAD_BYTES = 2**16
LINES_AT_ONCE, SLICE_BYTES = 100, 2048  # a read of more lines is parsed in slices
CONNECTION = "connection"  # the key of a `Connection` in the `state` of ASGI's scope
SLICE_SECONDS = 0.002  # between two slices, for all other connections and threads
TURN_SECONDS = 0.05  # before the next slice, while questions of the last one wait for their turn


class State(StrEnum):
    """The state of a connection."""

    ASKING = auto()  # no whole question is here yet
    READING = auto()  # the client has yet to take what was answered
    IDLE = auto()  # between two questions
    BUSY = auto()  # a question is being answered


LIMITS = {State.ASKING: QUESTION_SECONDS, State.READING: ANSWER_SECONDS}


class _Flow(FlowControl):
    """
    Flow control that reads nothing more while slices of the last read wait, and parses none while it is paused. It
    counts how often the socket took all that waited.
    """

    def __init__(self, transport: asyncio.Transport, parse_next: Callable[[], None]) -> None:
        super().__init__(transport)
        self.drains = 0
        self.is_held = False
        self._parse_next = parse_next

    def resume_reading(self) -> None:
        if self.read_paused and self.is_held:
            self.read_paused = False
            self._parse_next()
        else:
            super().resume_reading()

    def resume_writing(self) -> None:
        self.drains += 1
        super().resume_writing()


class Connection(asyncio.Protocol):
    """
    What our connections add to uvicorn's: slices, and a state.

    A read of 256 KB may bring a body in chunks of a byte each, a head in short lines, or thousands of questions. To
    parse it at once would stop the event loop, so it is parsed in slices.
    """

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    flow: FlowControl
    cycle: Any  # uvicorn's, of the newest question
    timeout_keep_alive_task: asyncio.TimerHandle | None
    app_state: dict[str, Any]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unread = bytearray()
        self._next_slice: asyncio.TimerHandle | None = None
        self.app_state = {**self.app_state, CONNECTION: self}  # it becomes `state` of the scopes of requests

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the transport; see `asyncio.Protocol`."""
        super().connection_made(transport)
        self.flow = self._flow = _Flow(transport, self._plan_slice)

    def data_received(self, data: bytes) -> None:
        """Parse what was read, in slices if it has many lines; see `asyncio.Protocol`."""
        if self._flow.is_held:
            self._unread += data
        elif data.count(b"\n") > LINES_AT_ONCE:
            self._unread += data
            self._flow.is_held = True  # also while the first slice waits, or the next read would overtake this one
            self.transport.pause_reading()
            self._parse_slice()
        else:
            self.parse(data)

    @abstractmethod
    def parse(self, data: bytes) -> None:
        """Parse a part of what was read, and start what it asks."""

    @property
    def current(self) -> Any:
        """The cycle (uvicorn's) of the question that is asked or answered now; None before the first."""
        return self.cycle

    def has_waiting(self) -> bool:
        """Whether a question that was parsed waits for the answer to the one before."""
        return False

    async def drained(self) -> None:
        """Wait until the socket took all that was written, not only most of it."""
        # Not 0: over TLS asyncio and uvloop count an empty buffer as full then, and nothing would ever end the wait.
        self.transport.set_write_buffer_limits(high=1)
        await self.flow.drain()

    def is_stalled(self) -> bool:
        """Whether an answer in parts waits until the client reads."""
        return self.flow.write_paused and self.current is not None and not self.current.response_complete

    def progress(self) -> Hashable:
        """Return what changes whenever the connection goes on, to another question or another part of an answer."""
        return self.current, self._flow.drains

    def state(self) -> State:
        """Tell what the connection does now."""
        if self.transport.get_write_buffer_size():
            return State.READING
        cycle = self.current
        if cycle is not None and not cycle.response_complete:
            return State.ASKING if cycle.more_body else State.BUSY
        return State.ASKING if self.timeout_keep_alive_task is None else State.IDLE

    def _plan_slice(self) -> None:
        if self._next_slice is None:
            self._next_slice = self.loop.call_later(SLICE_SECONDS, self._parse_slice)

    def _parse_slice(self) -> None:
        self._next_slice = None
        if self.transport.is_closing():
            return
        if self.has_waiting():
            self._next_slice = self.loop.call_later(TURN_SECONDS, self._parse_slice)
            return
        part = bytes(self._unread[:SLICE_BYTES])
        del self._unread[:SLICE_BYTES]
        self._flow.is_held = bool(self._unread)
        self.parse(part)
        if self._unread:
            self.transport.pause_reading()
            if not self.flow.read_paused:
                self._plan_slice()
        elif not self.flow.read_paused:
            self.transport.resume_reading()


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
        # The state of each connection at the last sweep, its progress, and since when.
        self._seen: dict[Connection, tuple[State, Hashable, float]] = {}

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

    def _look(self, connection: Connection, now: float) -> tuple[State, Hashable, float]:
        state, progress = connection.state(), connection.progress()
        seen = self._seen.get(connection)
        if seen is not None and (state, progress) == seen[:2]:
            return seen
        return state, progress, now

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
