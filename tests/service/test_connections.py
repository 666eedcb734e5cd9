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
    current: object = None
    is_ended: bool = False

    @property
    def transport(self) -> Fake:
        """Itself."""
        return self

    def state(self) -> State:
        """As it was set."""
        return self.does

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
        one.current = object()
        swept.sweep({one})
        clock[0] += QUESTION_SECONDS - 1
    assert not one.is_ended


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
