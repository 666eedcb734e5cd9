"""
Batches: many users are loaded a batch at a time, with the next batches under way while one is handed out. What happens
to a malformed id among them is decided here too.
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
AHEAD = 3  # batches that are started before they are handed out


def on_malformed(malformed: Malformed) -> OnMalformed:
    """
    Make the callback for a malformed id, which takes the id's place (from 0) and the error.

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
    user_ids: Iterator[str], capacity: int, start: Callable[[int, list[str]], tuple[T, Exception | None]]
) -> Iterator[T]:
    """
    Give the ids in batches, in order, each started a few batches before it is handed out.

    Args:
        user_ids: Read as the iteration goes on. If it raises, what was read before is handed out first.

        capacity: How many users are kept in memory. No more are started ahead, or the last would evict the first.

        start: Begins to load a batch, given the place of its first id and its ids. Gives what is handed out for the
            batch, and the error to raise after it, if any.
    """
    size = max(1, min(BATCH, capacity // AHEAD))
    most = max(1, min(AHEAD, capacity // size))
    first = 0
    ahead = 1  # at first, so that a caller who wants a few users, or reads ids from a slow pipe, gets them soon
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
            started, error_in_batch = start(first, batch)
            failure = error_in_batch or failure
            first += len(batch)
            window.append(started)
        if not window:
            break
        ahead = min(most, ahead + 1)
        yield window.popleft()
    if failure is not None:
        raise failure
