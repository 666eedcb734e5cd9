"""Threads that write take turns."""

from __future__ import annotations

import threading
import time

from diijam_consent_sdk.stores.sqlite.turns import Turns


def test_who_came_first_goes_first() -> None:
    """However often one thread comes again, those who came before it go first."""
    turns, order, waiting = Turns(), list[str](), threading.Semaphore(0)
    threads = []

    def called(name: str) -> None:
        """Wait for a turn."""
        waiting.release()
        with turns.turn(20):
            order.append(name)

    with turns.turn(20):
        for name in "abcde":
            threads.append(threading.Thread(target=called, args=(name,)))
            threads[-1].start()
            waiting.acquire()
            while len(turns._queue._taken) < len(threads) + 1:
                time.sleep(0.001)
    for thread in threads:
        thread.join(20)
    assert order == list("abcde")


def test_nobody_waits_for_longer_than_said() -> None:
    """Who waited long enough goes on: the database decides then."""
    turns = Turns()
    with turns.turn(1):
        started = time.monotonic()
        with turns.turn(0.05):
            assert time.monotonic() - started < 5


def test_a_turn_that_is_never_given_back_is_passed_over() -> None:
    """A call that was interrupted while it gave its turn back holds up nobody."""
    turns = Turns()
    with turns.turn(1):
        stuck = turns._queue._taken[0]
    turns._queue._taken.insert(0, stuck)
    started = time.monotonic()
    with turns.turn(20):
        assert time.monotonic() - started < 10
    assert not turns._queue._taken
