"""Which connections are ended, and when."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from diijam_consent_sdk.service.connections import ANSWER_SECONDS, QUESTION_SECONDS, State, Sweeper


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
