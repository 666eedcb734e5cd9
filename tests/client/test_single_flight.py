"""Loads on their way, with nothing that runs them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from diijam_consent_sdk._threads import Lost, Promise
from diijam_consent_sdk.cache.leases import Leases
from diijam_consent_sdk.client.batching import BATCH
from diijam_consent_sdk.client.effects import Steps
from diijam_consent_sdk.client.exchanges import Exchanges
from diijam_consent_sdk.client.single_flight import MAX_FLIGHTS, MAX_QUEUED, Flights
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.testing import LeaseClock


def flights(spawn: Any) -> Flights:
    """Flights over new leases."""
    clock = LeaseClock()
    leases = Leases(max_staleness=60, capacity=10, clock=clock, follow=False)
    return Flights(Exchanges(leases, clock, 1.0), spawn, lambda _: None)


def test_what_waits_is_bounded() -> None:
    """I7: past the loads under way and those that may wait, a miss gets no flight, so it is a no at once."""
    launched: list[Steps[Any]] = []

    def spawn(steps: Steps[Any]) -> Promise[Any]:
        launched.append(steps)
        next(steps)
        return Promise()

    all_flights = flights(spawn)
    for number in range(MAX_FLIGHTS + MAX_QUEUED):
        assert all_flights.book(f"{number}-{i}" for i in range(BATCH))
    assert len(launched) == MAX_FLIGHTS
    assert all_flights.book(["one more"]) == []
    assert len(all_flights.book(["0-0"])) == 1


def test_a_flight_that_cannot_start_has_landed() -> None:
    """Where no thread can be had its waiters are answered at once, and the next flight may start."""

    def spawn(steps: Steps[Any]) -> Promise[Any]:
        lost: Promise[Any] = Promise()
        lost.set_exception(Lost("can't start new thread"))
        return lost

    all_flights = flights(spawn)
    for _ in range(2):
        (flight,) = all_flights.book(["u"])
        assert flight.landed.done()
        assert flight.failed


def test_a_flight_that_failed_leaves_nothing_behind() -> None:
    """After a failed load the leases know of no fetch under way, and the user can be booked anew."""
    launched: list[Steps[Any]] = []

    def spawn(steps: Steps[Any]) -> Promise[Any]:
        launched.append(steps)
        return Promise()

    all_flights = flights(spawn)
    (first,) = all_flights.book(["u"])
    next(launched[0])
    with suppress(StopIteration):
        launched[0].throw(StoreUnavailable("out of reach"))
    assert first.failed
    assert all_flights._exchanges.leases._fetches == set()
    (second,) = all_flights.book(["u"])
    assert second is not first


def test_a_flight_whose_steps_never_ran_has_landed() -> None:
    """A task that is cancelled before it began runs none of its steps: the flight still ends, and frees its place."""
    spawned: list[Promise[Any]] = []

    def spawn(steps: Steps[Any]) -> Promise[Any]:
        steps.close()
        spawned.append(Promise())
        return spawned[-1]

    all_flights = flights(spawn)
    for number in range(2 * MAX_FLIGHTS):
        (flight,) = all_flights.book([f"u{number}"])
        spawned[-1].set_exception(Lost("its event loop ended"))
        assert flight.landed.done()
        assert flight.failed
    assert not all_flights._aloft
    assert not all_flights._of


def test_a_flight_lands_whatever_is_made_of_it() -> None:
    """An error of whoever is told of a landing, such as a logger's, holds up no waiter and no later flight."""
    launched: list[Steps[Any]] = []

    def spawn(steps: Steps[Any]) -> Promise[Any]:
        launched.append(steps)
        return Promise()

    all_flights = flights(spawn)

    def failing(_: BaseException | None) -> None:
        raise ZeroDivisionError

    all_flights._on_landing = failing
    for number in range(MAX_FLIGHTS + 1):
        all_flights.book(f"{number}-{i}" for i in range(BATCH))
    (flight,) = all_flights.book(["0-0"])
    next(launched[0])
    with pytest.raises(ZeroDivisionError):
        launched[0].throw(StoreUnavailable("out of reach"))
    assert flight.landed.done()
    assert len(launched) == MAX_FLIGHTS + 1
