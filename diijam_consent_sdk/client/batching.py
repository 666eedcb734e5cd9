"""
Many users at once: their ids in batches, the next ones on their way while one is handed out; and what becomes of a
malformed id among them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Literal, TypeVar

T = TypeVar("T")
Malformed = Literal["raise", "skip"] | Callable[[int], object]
OnMalformed = Callable[[int, TypeError | ValueError], object]

BATCH = 1000  # users in one load, at most
AHEAD = 3  # batches that are read before they are handed out


def on_malformed(malformed: Malformed) -> OnMalformed:
    """
    What is done with the place (from 0) of a malformed id, and with what is wrong with it.

    Raises:
        ValueError: *malformed* is neither a known word nor callable.
    """
    if malformed == "raise":
        return _raise
    if malformed == "skip":
        return lambda place, error: None  # noqa: ARG005
    if callable(malformed):
        return lambda place, error: malformed(place)  # noqa: ARG005
    raise ValueError('malformed is "raise", "skip" or a callable that takes the place of the id')


def _raise(place: int, error: TypeError | ValueError) -> None:
    raise type(error)(f"the id at place {place} (the first is 0) is malformed: {error}") from None


def batches(
    user_ids: Iterator[str], capacity: int, read: Callable[[int, list[str]], tuple[T, Exception | None]]
) -> Iterator[T]:
    """
    The ids in batches, in order, each read a few batches before it is handed out; never more than memory holds.

    Args:
        user_ids: Read as the iteration goes on. If it raises, what was read before is handed out first.

        capacity: How many users are kept in memory.

        read: Begins to load what is missing of a batch, whose first id has this place among all, and gives what is
            handed out for it; and why it ends there, if it does.
    """
    size = max(1, min(BATCH, capacity // AHEAD))
    most = max(1, min(AHEAD, capacity // size))
    first = 0
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
            ready, wrong = read(first, batch)
            failure = wrong or failure
            first += len(batch)
            window.append(ready)
        if not window:
            break
        ahead = min(most, ahead + 1)
        yield window.popleft()
    if failure is not None:
        raise failure
