"""Loads on their way, with nothing that runs them."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from diijam_consent_sdk.bulk import BATCH
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.flights import MAX_FLIGHTS, MAX_QUEUED, Flights
from diijam_consent_sdk.leases import Leases
from diijam_consent_sdk.operations import Steps
from diijam_consent_sdk.testing import LeaseClock


def flights(spawn: Any) -> Flights:
    """Flights over new leases."""
    clock = LeaseClock()
    leases = Leases(max_staleness=60, capacity=10, clock=clock, follow=False)
    return Flights(leases, clock, spawn, lambda _: None)


def test_what_waits_is_bounded() -> None:
    """I7: past the loads under way and those that may wait, a miss gets no flight, so it is a no at once."""
    launched: list[Steps[Any]] = []

    def spawn(steps: Steps[Any]) -> Future[Any]:
        launched.append(steps)
        return Future()

    all_flights = flights(spawn)
    for number in range(MAX_FLIGHTS + MAX_QUEUED):
        assert all_flights.book(f"{number}-{i}" for i in range(BATCH))
    assert len(launched) == MAX_FLIGHTS
    assert all_flights.book(["one more"]) == []
    assert len(all_flights.book(["0-0"])) == 1


def test_a_flight_that_cannot_start_has_landed() -> None:
    """Where no thread can be had its waiters are answered at once, and the next flight may start."""

    def spawn(steps: Steps[Any]) -> Future[Any]:
        raise RuntimeError("can't start new thread")

    all_flights = flights(spawn)
    for _ in range(2):
        (flight,) = all_flights.book(["u"])
        assert flight.landed.done()
        assert flight.failed


def test_a_flight_that_failed_leaves_nothing_behind() -> None:
    """After a failed load the leases know of no fetch under way, and the user can be booked anew."""
    launched: list[Steps[Any]] = []

    def spawn(steps: Steps[Any]) -> Future[Any]:
        launched.append(steps)
        return Future()

    all_flights = flights(spawn)
    (first,) = all_flights.book(["u"])
    next(launched[0])
    with suppress(StopIteration):
        launched[0].throw(StoreUnavailable("out of reach"))
    assert first.failed
    assert all_flights._leases._fetches == set()
    (second,) = all_flights.book(["u"])
    assert second is not first
