"""Checks of the arguments of a store's methods, the same for every store."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import get_args

from ..events import NO_PROVENANCE, Event, Provenance
from ..identifiers import are_plain, identifier
from ..policy import MAX_EVENTS
from ..vocabulary import instant
from .answers import ErasurePlace, Write

MAX_WRITES = 1_000  # of one `append_many`
MAX_MANY_EVENTS = 10_000  # of all of them
_EVENTS = get_args(Event)


def checked_ids(user_ids: Iterable[str]) -> list[str]:
    """
    Check user ids, and keep each once, in order.

    Raises:
        TypeError: *user_ids* is one id, or holds something else than strings.

        ValueError: an id is malformed.
    """
    if isinstance(user_ids, (str, bytes)):
        raise TypeError("user_ids is a list of ids, not one id")
    ids = list(user_ids)
    return list(dict.fromkeys(ids if are_plain(ids) else map(identifier, ids)))


def checked_batch(events: Iterable[Event]) -> tuple[Event, ...]:
    """
    Check the events of one append.

    Raises:
        ValueError: the list is empty, or longer than 1,000.

        TypeError: an item is not an event.
    """
    batch = tuple(islice(events, MAX_EVENTS + 1))
    if not batch:
        raise ValueError("there are no events to append")
    if len(batch) > MAX_EVENTS:
        raise ValueError(f"one append has at most {MAX_EVENTS:,} events: make several of it")
    for event in batch:
        if not isinstance(event, _EVENTS):
            raise TypeError(f"an event is needed, not {type(event).__name__}")
    return batch


def checked_place(place: ErasurePlace) -> ErasurePlace:
    """
    Check a place in the list of what a holder owes, and turn its time to UTC.

    Raises:
        ValueError, TypeError: the time has no zone, or the id is malformed.
    """
    due_at, user_id = place
    return None if due_at is None else instant(due_at), identifier(user_id)


def checked_writes(writes: Iterable[Write]) -> tuple[Write, ...]:
    """
    Check how many writes there are. Each is checked by itself.

    Raises:
        ValueError: there are more than 1,000.

        TypeError: an item is no `Write`.
    """
    many = tuple(islice(writes, MAX_WRITES + 1))
    if len(many) > MAX_WRITES:
        raise ValueError(f"append_many takes at most {MAX_WRITES:,} writes: make several calls of it")
    for write in many:
        if not isinstance(write, Write):
            raise TypeError(f"a Write is needed, not {type(write).__name__}")
    return many


def check_many_events(count: int) -> None:
    """Check how many events the writes have together; `ValueError` if more than 10,000."""
    if count > MAX_MANY_EVENTS:
        raise ValueError(f"append_many takes at most {MAX_MANY_EVENTS:,} events: make several calls of it")


def checked_limit(limit: int) -> int:
    """Check how many items a page may have; `ValueError` if that is less than one."""
    if limit < 1:
        raise ValueError(f"limit is at least 1, not {limit}")
    return limit


def checked_provenance(provenance: Provenance | None) -> Provenance:
    """Check a `provenance`, and make an empty one of None; `TypeError` if it is something else."""
    if provenance is None:
        return NO_PROVENANCE
    if not isinstance(provenance, Provenance):
        raise TypeError(f"provenance is a Provenance or None, not {type(provenance).__name__}")
    return provenance


def checked_version(version: int | None) -> int | None:
    """
    Check an `expected_version`.

    Raises:
        TypeError: the version is not a whole number.

        ValueError: the version is below 0.
    """
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise TypeError(f"expected_version is a whole number or None, not {type(version).__name__}")
    if version is not None and version < 0:
        raise ValueError("expected_version is 0 or more")
    return version
