"""Which connections are ended, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, cast

import attrs
import pytest

from diijam_consent_sdk.service.connections import (
    ANSWER_SECONDS,
    LINES_AT_ONCE,
    QUESTION_SECONDS,
    SLICE_BYTES,
    Connection,
    State,
    Sweeper,
)


class Fed(Connection):
    """A connection, its transport and its loop in one, that notes what it parses and whether it reads on."""

    app_state: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def __init__(self) -> None:
        super().__init__()
        self.parsed, self.reads, self.waits = b"", True, False
        self.due: list[Callable[[], None]] = []
        self.loop = cast(asyncio.AbstractEventLoop, self)
        self.transport = cast(asyncio.Transport, self)
        self.connection_made(self.transport)

    def parse(self, data: bytes) -> None:
        """Note it."""
        self.parsed += data

    def has_waiting(self) -> bool:
        """As it was set."""
        return self.waits

    def is_closing(self) -> bool:
        """Never."""
        return False

    def pause_reading(self) -> None:
        """See `asyncio.Transport`."""
        self.reads = False

    def resume_reading(self) -> None:
        """See `asyncio.Transport`."""
        self.reads = True

    def call_later(self, _: float, callback: Callable[[], None]) -> Callable[[], None]:
        """See `asyncio.AbstractEventLoop`."""
        self.due.append(callback)
        return callback

    def pass_time(self) -> None:
        """Let what is due come, and what that plans."""
        while not self.waits and self.due:
            self.due.pop(0)()


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("lines", [LINES_AT_ONCE + 1, 20 * LINES_AT_ONCE])
def test_no_read_overtakes_an_earlier_one(lines: int, *, waits: bool) -> None:
    """What was read is parsed in order, also where a read of many lines waits for the questions before it."""
    connection = Fed()
    connection.data_received(b"first\n")
    connection.waits = waits
    many = b"".join(b"many %d, of several bytes\n" % number for number in range(lines))
    connection.data_received(many)
    assert connection.reads is (not waits and len(many) <= SLICE_BYTES)
    connection.data_received(b"last\n")
    connection.waits = False
    connection.pass_time()
    assert connection.parsed == b"first\n" + many + b"last\n"
    assert connection.reads


@attrs.define(eq=False)
class Fake:
    """A connection in some state, and whether it was ended."""

    does: State
    part: int = 0
    is_ended: bool = False

    @property
    def transport(self) -> Fake:
        """Itself."""
        return self

    def state(self) -> State:
        """As it was set."""
        return self.does

    def progress(self) -> int:
        """The question, or the part of its answer, that it is at."""
        return self.part

    def abort(self) -> None:
        """It was ended."""
        self.is_ended = True


@pytest.fixture
def clock() -> list[float]:
    """The time."""
    return [1_000.0]


def sweeper(clock: list[float], most: int = 100) -> Any:
    """A sweeper by that clock."""
    return Sweeper(most, clock=lambda: clock[0])


@pytest.mark.parametrize(
    ("state", "limit"),
    [(State.ASKING, QUESTION_SECONDS), (State.READING, ANSWER_SECONDS), (State.IDLE, None), (State.BUSY, None)],
)
def test_a_connection_may_ask_and_read_so_long(clock: list[float], state: State, limit: float | None) -> None:
    """A question that does not come whole and an answer that nobody reads have their time; a poll may wait."""
    swept, one = sweeper(clock), Fake(state)
    swept.sweep({one})
    clock[0] += limit or 3_600
    swept.sweep({one})
    assert not one.is_ended
    clock[0] += 1
    swept.sweep({one})
    assert one.is_ended == (limit is not None)


def test_each_question_has_its_own_time(clock: list[float]) -> None:
    """A connection that asks again and again is never too late, although each look finds it asking."""
    swept, one = sweeper(clock), Fake(State.ASKING)
    for _ in range(10):
        one.part += 1
        swept.sweep({one})
        clock[0] += QUESTION_SECONDS - 1
    assert not one.is_ended


def test_each_part_of_an_answer_has_its_own_time(clock: list[float]) -> None:
    """A stream whose client is slow goes on for as long as the client takes one part after the other."""
    swept, one = sweeper(clock), Fake(State.READING)
    for _ in range(10):
        one.part += 1
        swept.sweep({one})
        clock[0] += ANSWER_SECONDS - 1
    assert not one.is_ended
    clock[0] += 2
    swept.sweep({one})
    assert one.is_ended


def test_too_many_connections_are_shed(clock: list[float]) -> None:
    """Past the most there may be, a tenth goes: who asked nothing for longest, then idle ones; nobody who is served."""
    swept = sweeper(clock, most=10)
    busy = [Fake(State.BUSY) for _ in range(7)]
    old, new, idle = Fake(State.ASKING), Fake(State.ASKING), Fake(State.IDLE)
    swept.sweep({*busy, old, idle})
    clock[0] += 1
    swept.sweep({*busy, old, idle, new})
    assert not any(each.is_ended for each in (*busy, old, new, idle))
    swept.sweep({*busy, old, idle, new, Fake(State.BUSY)})
    assert [old.is_ended, new.is_ended, idle.is_ended] == [True, True, False]
    swept.sweep({*busy, *(Fake(State.BUSY) for _ in range(9)), idle})
    assert idle.is_ended
    assert not any(each.is_ended for each in busy)
