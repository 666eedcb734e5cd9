"""`CallQueue`: the threads that write take turns, and no call that is gone holds the others up."""

from __future__ import annotations

import threading
import time

from diijam_consent_sdk.stores._call_queue import CallQueue


def test_who_came_first_goes_first() -> None:
    """However often one thread comes again, those before it go first."""
    queue, order, waiting = CallQueue(), list[str](), threading.Semaphore(0)
    threads = []

    def called(name: str) -> None:
        """Wait for a turn."""
        waiting.release()
        with queue.take_turn(20):
            order.append(name)

    with queue.take_turn(20):
        for name in "abcde":
            threads.append(threading.Thread(target=called, args=(name,)))
            threads[-1].start()
            waiting.acquire()
            while len(queue.entries) < len(threads) + 1:
                time.sleep(0.001)
    for thread in threads:
        thread.join(20)
    assert order == list("abcde")


def test_nobody_waits_for_longer_than_said() -> None:
    """A call that waited long enough goes on, as the database decides then."""
    queue = CallQueue()
    with queue.take_turn(1):
        started = time.monotonic()
        with queue.take_turn(0.05):
            assert time.monotonic() - started < 5


def test_a_turn_that_is_never_given_back_is_passed_over() -> None:
    """A call that was interrupted while it gave its turn back holds up nobody."""
    queue = CallQueue()
    with queue.take_turn(1):
        stuck = queue.entries[0]
    queue.entries.insert(0, stuck)
    started = time.monotonic()
    with queue.take_turn(20):
        assert time.monotonic() - started < 10
    assert not queue.entries
