"""The clock of a store: a wall clock that jumps while the process runs spoils no entry and stops no refusal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import MemoryStore, SqliteStore
from diijam_consent_sdk.stores.sql.store import SqlStore
from diijam_consent_sdk.stores.sql.store_clock import StoreClock

from ..contract import OPENED, WallClock, record_of, repeat_of, sign_up

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
NOES: list[e.Event] = [
    e.Withdrawn("marketing"),
    e.Objected("payment"),
    e.Restricted(),
    e.Hidden("avatar"),
    e.RequestFiled("q-1", "erasure"),
    e.AccountClosed(),
]
YES = e.Granted("surveys", "n-1")


class Machine:
    """A wall clock, which may be set, and the steady clock beside it."""

    def __init__(self) -> None:
        self.wall, self.steady = START, 50.0

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds


@pytest.fixture
def machine() -> Machine:
    """The clocks of a machine."""
    return Machine()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, machine: Machine, tmp_path: Path) -> Iterator[MemoryStore | SqliteStore]:
    """A store on that machine, with one user."""
    with closing(MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "ledger.db")) as store:
        dialect = attrs.evolve(store._operations.dialect, time=lambda _: machine.wall)
        store._operations = attrs.evolve(
            store._operations, dialect=dialect, store_clock=StoreClock(lambda: machine.steady)
        )
        sign_up(store, "u-1")
        yield store


def test_a_yes_is_refused_once_the_clock_ran_ahead(store: SqlStore, machine: Machine) -> None:
    """An append is refused, and nothing of it written, while the wall clock shows years ahead of what was measured."""
    machine.wall += timedelta(days=9_000)
    with pytest.raises(StoreUnavailable, match="clock"):
        store.append("u-1", [YES])
    assert store.clock_trouble() is not None
    assert len(store.history("u-1")) == 1


@pytest.mark.parametrize("no", NOES, ids=lambda no: type(no).__name__)
def test_a_no_is_written_at_the_time_that_was_measured(no: e.Event, store: SqlStore, machine: Machine) -> None:
    """What takes permission away is stamped by the last good time and what the steady clock measured since."""
    machine.pass_by(30)
    machine.wall += timedelta(days=9_000)
    machine.pass_by(12)
    store.append("u-1", [no])
    assert store.history("u-1")[-1].at == START + timedelta(seconds=42)


def test_a_batch_with_a_no_is_written(store: SqlStore, machine: Machine) -> None:
    """A no is not lost because a yes comes with it: all of the batch gets the time that was measured."""
    machine.wall += timedelta(days=9_000)
    store.append("u-1", [YES, e.Withdrawn("marketing")])
    assert {entry.at for entry in store.history("u-1")} == {START}


def test_reads_are_as_of_the_time_that_was_measured(store: SqlStore, machine: Machine) -> None:
    """A jump ends no consent for those who read, neither ahead nor back."""
    for jump in (9_000, -9_000):
        before = machine.wall
        machine.wall += timedelta(days=jump)
        machine.steady += 5
        assert store.load(["u-1"]).at - before < timedelta(minutes=1)
        machine.wall = before + timedelta(seconds=5)
    assert store.load(["u-1"]).at == START + timedelta(seconds=10)


def test_a_clock_set_back_brings_nothing_back(store: SqlStore, machine: Machine) -> None:
    """What has expired stays expired, and entries get a later time, when the wall clock is set back."""
    ends = START + timedelta(hours=1)
    store.append("u-1", [e.Granted("surveys", "n-1", expires_at=ends)])
    machine.pass_by(3_601)
    assert store.load(["u-1"]).at > ends
    machine.wall -= timedelta(days=1)
    machine.steady += 1
    assert store.load(["u-1"]).at == ends + timedelta(seconds=2)
    assert record_of(store.append("u-1", [YES])).consents["surveys"].given_at == ends + timedelta(seconds=2)


@pytest.mark.parametrize("minutes", [59, 61])
def test_an_hour_is_borne(minutes: int, store: SqlStore, machine: Machine) -> None:
    """A clock that was put right by less than an hour is followed; by more, it is not."""
    machine.wall += timedelta(minutes=minutes)
    if minutes < 60:
        store.append("u-1", [YES])
        assert store.history("u-1")[-1].at == machine.wall
        assert store.clock_trouble() is None
    else:
        with pytest.raises(StoreUnavailable):
            store.append("u-1", [YES])


def test_small_jumps_add_up(store: SqlStore, machine: Machine) -> None:
    """What counts is the distance from the first reading, so years do not come by in steps of half an hour."""
    machine.wall += timedelta(minutes=40)
    store.append("u-1", [YES])
    machine.wall += timedelta(minutes=40)
    with pytest.raises(StoreUnavailable):
        store.append("u-1", [YES])


def test_a_clock_put_right_is_used_again(store: SqlStore, machine: Machine) -> None:
    """Once the clock shows what was measured, appends are accepted as before."""
    right = machine.wall
    machine.wall += timedelta(days=9_000)
    with pytest.raises(StoreUnavailable):
        store.append("u-1", [YES])
    machine.wall = right
    store.append("u-1", [YES])
    assert store.clock_trouble() is None


def test_a_long_suspend_is_no_jump(store: SqlStore, machine: Machine) -> None:
    """A machine that slept for a week counts the week."""
    machine.pass_by(7 * 86_400)
    store.append("u-1", [YES])
    assert store.history("u-1")[-1].at == machine.wall


def test_a_repeat_is_answered_whatever_the_clock_shows(store: SqlStore, machine: Machine) -> None:
    """A yes that was written before the jump is acknowledged again."""
    first = store.append("u-1", [YES], idempotency_key="k-1")
    machine.wall += timedelta(days=9_000)
    assert store.append("u-1", [YES], idempotency_key="k-1") == repeat_of(first)


class _Slow(datetime):
    """A time during whose use another thread reads the clock, if it can."""

    meanwhile: Callable[[], object]

    def __sub__(self, other: Any) -> Any:
        self.meanwhile()
        return datetime.combine(self.date(), self.timetz()) - other


def test_two_threads_never_set_the_clock_back(machine: Machine) -> None:
    """A read that is overtaken by a later one in another thread leaves the later time as the least to come."""
    clock = StoreClock(lambda: machine.steady)
    clock.read(START, None)
    later = START + timedelta(minutes=30)
    other = threading.Thread(target=clock.read, args=(later, None))

    def overtake() -> None:
        """Let the other thread read, and wait for it, but not if it waits as well."""
        other.start()
        other.join(0.05)

    last = _Slow(2026, 11, 24, 8, 0, 1, tzinfo=UTC)
    last.meanwhile = overtake
    clock.read(START, last)
    other.join()
    assert clock.read(START, None) == later


def test_the_clock_of_a_test_may_jump() -> None:
    """A clock that the caller gives is taken as it is."""
    clock = WallClock()
    with closing(MemoryStore(clock=clock)) as store:
        store.append("u-1", [OPENED])
        clock.tick(9_000 * 86_400)
        store.append("u-1", [YES])
        assert store.history("u-1")[-1].at == clock()
        assert store.clock_trouble() is None


def test_the_real_clocks_go_on_together(tmp_path: Path) -> None:
    """On a machine in order, the time is that of the wall clock, and never runs back."""
    with closing(SqliteStore(tmp_path / "ledger.db")) as store:
        times = [store.load(()).at for _ in range(200)]
        assert times == sorted(times)
        assert abs(datetime.now(UTC) - store.load(()).at) < timedelta(seconds=5)
