"""
Eight writers at once, and a follower: what the follower finds, and what the writers were promised.

As a program, `python -m tests.stores.writers 60`, for so many seconds on a new server.
"""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from diijam_consent_sdk.stores import Cursor, PostgresStore, Store

from .cluster import running
from .contract import OPENED, at_once, head

WRITERS = 8


def eight_writers(url: str, seconds: float) -> tuple[list[int], list[int]]:
    """Positions as a follower finds them, one after the other, and as the writers' appends were acknowledged."""
    stores = [PostgresStore(url, deadline=10, connections=2) for _ in range(WRITERS + 1)]
    try:
        written, start, end = threading.Event(), head(stores[-1]), time.monotonic() + seconds

        def write(number: int) -> list[int]:
            positions: list[int] = []
            while time.monotonic() < end:
                user_id = f"u-{number}-{len(positions)}"
                positions.append(stores[number].append(user_id, [OPENED]).cursor.position)
            assert positions == sorted(positions)
            return positions

        with ThreadPoolExecutor(1) as pool:
            told = pool.submit(_follow, stores[-1], start, written)
            try:
                acknowledged = at_once(write, WRITERS)
            finally:
                written.set()
            return told.result(60), [position for own in acknowledged for position in own]
    finally:
        for store in stores:
            store.close()


def _follow(store: Store, after: Cursor, written: threading.Event) -> list[int]:
    told: list[int] = []
    while True:
        is_last = written.is_set()
        changes = store.changes(after, wait=0.1)
        assert changes.is_continuation()
        told += changes.user_ids.values()
        after = changes.cursor
        if is_last and changes.complete:
            return told


def main() -> None:
    """Let them write for the seconds that the command line gives, and say what came of it."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    with running() as cluster:
        url = cluster.ledger()
        told, acknowledged = eight_writers(url, seconds)
        last = head(store := PostgresStore(url)).position
        store.close()
    count = len(acknowledged)
    print(f"{count} appends acknowledged in {seconds:g} s by {WRITERS} writers, head at {last}")  # noqa: T201
    print("follower: " + ("told of each, once, in order" if told == list(range(1, count + 1)) else "WRONG"))  # noqa: T201
    sys.exit(not told == sorted(acknowledged) == list(range(1, last + 1)))


if __name__ == "__main__":
    main()
