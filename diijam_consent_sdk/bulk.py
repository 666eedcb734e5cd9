"""Many users at once: their ids in batches, the next ones on their way while one is handed out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

BATCH = 1000  # users in one load, at most
AHEAD = 3  # batches that are read before they are handed out


def batches(user_ids: Iterator[str], capacity: int, read: Callable[[list[str]], T]) -> Iterator[T]:
    """
    The ids in batches, in order, each read a few batches before it is handed out; never more than memory holds.

    Args:
        user_ids: Read as the iteration goes on. If it raises, what was read before is handed out first.

        capacity: How many users are kept in memory.

        read: Begins to load what is missing of a batch, and gives what is handed out for it.
    """
    size = max(1, min(BATCH, capacity // AHEAD))
    most = max(1, min(AHEAD, capacity // size))
    ahead = 1  # at first: whoever wants a few users, or reads ids from a slow pipe, does not wait for more batches
    window: deque[T] = deque()
    failure: Exception | None = None
    while True:
        while failure is None and len(window) < ahead:
            batch: list[str] = []
            try:
                batch.extend(islice(user_ids, size))
            except Exception as error:  # noqa: BLE001 - raised below
                failure = error
            if not batch:
                break
            window.append(read(batch))
        if not window:
            break
        ahead = min(most, ahead + 1)
        yield window.popleft()
    if failure is not None:
        raise failure
