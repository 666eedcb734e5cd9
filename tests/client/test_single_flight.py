"""Single-flight, with nothing that runs the loads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

import pytest

from diijam_consent_sdk._threads import Lost, Promise
from diijam_consent_sdk.cache.leases import Leases
from diijam_consent_sdk.client import single_flight as single_flight_module
from diijam_consent_sdk.client.batching import BATCH
from diijam_consent_sdk.client.effects import Effects
from diijam_consent_sdk.client.exchanges import Exchanges
from diijam_consent_sdk.client.single_flight import MAX_IN_FLIGHT, MAX_QUEUED, SingleFlight
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.testing import LeaseClock
from tests.cache.interruption import everywhere


def over_new_leases(spawn: Any) -> SingleFlight:
    """A `SingleFlight` over new leases."""
    clock = LeaseClock()
    leases = Leases(max_staleness=60, capacity=10, clock=clock, follow=False)
    return SingleFlight(Exchanges(leases, clock, 1.0, 60.0), spawn, lambda _: None)


def test_what_waits_is_bounded() -> None:
    """I7: past the loads in flight and those that may wait, a miss joins no load, so it is denied at once."""
    started: list[Effects[Any]] = []

    def spawn(effects: Effects[Any]) -> Promise[Any]:
        started.append(effects)
        next(effects)
        return Promise()

    single_flight = over_new_leases(spawn)
    for number in range(MAX_IN_FLIGHT + MAX_QUEUED):
        assert single_flight.join(f"{number}-{i}" for i in range(BATCH))
    assert len(started) == MAX_IN_FLIGHT
    assert single_flight.join(["one more"]) == []
    assert len(single_flight.join(["0-0"])) == 1


def test_a_load_that_cannot_start_is_done() -> None:
    """If no thread can be started, the callers are answered at once, and the next load may start."""

    def spawn(effects: Effects[Any]) -> Promise[Any]:
        lost: Promise[Any] = Promise()
        lost.set_exception(Lost("can't start new thread"))
        return lost

    single_flight = over_new_leases(spawn)
    for _ in range(2):
        (load,) = single_flight.join(["u"])
        assert load.done.done()
        assert load.has_failed


def test_a_load_that_failed_leaves_nothing_behind() -> None:
    """After a failed load the leases have no fetch under way, and the user can be loaded again."""
    started: list[Effects[Any]] = []

    def spawn(effects: Effects[Any]) -> Promise[Any]:
        started.append(effects)
        return Promise()

    single_flight = over_new_leases(spawn)
    (first,) = single_flight.join(["u"])
    next(started[0])
    with suppress(StopIteration):
        started[0].throw(StoreUnavailable("out of reach"))
    assert first.has_failed
    assert single_flight._exchanges.leases._fetches == set()
    (second,) = single_flight.join(["u"])
    assert second is not first


def test_a_load_whose_effects_never_ran_is_done() -> None:
    """A task that is cancelled before it began runs nothing of the load, which still ends and frees its place."""
    spawned: list[Promise[Any]] = []

    def spawn(effects: Effects[Any]) -> Promise[Any]:
        effects.close()
        spawned.append(Promise())
        return spawned[-1]

    single_flight = over_new_leases(spawn)
    for number in range(2 * MAX_IN_FLIGHT):
        (load,) = single_flight.join([f"u{number}"])
        spawned[-1].set_exception(Lost("its event loop ended"))
        assert load.done.done()
        assert load.has_failed
    assert not single_flight._in_flight
    assert not single_flight._by_user


def test_a_load_is_done_whatever_its_callback_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of `on_exchange`, such as a logger's, holds up no caller and no later load."""
    monkeypatch.setattr(single_flight_module, "START_SECONDS", 60)  # a machine that stands still starts no load twice
    started: list[Effects[Any]] = []

    def spawn(effects: Effects[Any]) -> Promise[Any]:
        started.append(effects)
        return Promise()

    single_flight = over_new_leases(spawn)

    def failing(_: BaseException | None) -> None:
        raise ZeroDivisionError

    single_flight._on_exchange = failing
    for number in range(MAX_IN_FLIGHT + 1):
        single_flight.join(f"{number}-{i}" for i in range(BATCH))
    (load,) = single_flight.join(["0-0"])
    next(started[0])
    with pytest.raises(ZeroDivisionError):
        started[0].throw(StoreUnavailable("out of reach"))
    assert load.done.done()
    assert len(started) == MAX_IN_FLIGHT + 1


def fail(loads: list[Effects[Any]]) -> None:
    """Let loads fail, begun or not; those that begin because of it fail too."""
    while loads:
        effects = loads.pop()
        with suppress(StopIteration, StoreUnavailable):
            next(effects)
            effects.throw(StoreUnavailable("out of reach"))


def test_an_interrupted_start_beside_slow_loads_loses_no_place() -> None:
    """A load that is interrupted on its way, with all other places taken, goes in flight once and no more joins it."""
    started: list[Effects[Any]] = []
    slow: list[Effects[Any]] = []

    def spawn(effects: Effects[Any]) -> Promise[Any]:
        started.append(effects)
        return Promise()

    single_flight = over_new_leases(spawn)

    def begin() -> Callable[[], object]:
        """A miss, beside loads that take all places but one."""
        nonlocal single_flight
        single_flight = over_new_leases(spawn)
        started.clear()
        for number in range(MAX_IN_FLIGHT - 1):
            single_flight.join(f"{number}-{i}" for i in range(BATCH))
        slow[:] = started
        started.clear()
        for effects in slow:
            next(effects, None)  # nothing, if it was started twice
        return lambda: single_flight.join(["u"])

    for _ in everywhere(begin):
        for load in single_flight._in_flight:
            load.started_at = -inf  # some time later
        single_flight.join(["v"])
        fail(started)
        fail(slow)
        single_flight.join(["w"])
        fail(started)
        assert not single_flight._in_flight
        assert not single_flight._queue
