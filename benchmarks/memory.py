"""What a cached user takes in memory, beyond the id itself."""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable

from cachetools import TTLCache

from diijam_consent_sdk import ConsentClient

from . import people, report

COUNTS = (100_000, 1_000_000)


def asked(count: int, capacity: int) -> ConsentClient:
    """A client that was asked about that many users, each by a guard in one step too."""
    consent = ConsentClient(people.Printed(), max_staleness=3600, capacity=capacity, deadline=60)
    for user in consent.users(f"u-{number:07d}" for number in range(count)):
        consent.can_market(user.user_id, "email")
    return consent


def ours(count: int) -> object:
    """A client with that many users in memory."""
    consent = asked(count, capacity=count)
    kept = consent.status().users
    if kept != count:
        sys.exit(f"{kept} users are kept, not {count}: it would not measure what it should")
    return consent


def over_capacity(count: int) -> object:
    """A client with room for half of the users that are asked about."""
    consent = asked(count, capacity=count // 2)
    kept = consent.status().users
    if kept > count // 2:
        sys.exit(f"{kept} users are kept, {count // 2} are allowed")
    return consent


def records_by_hand(count: int) -> object:
    """The users' records as they come, in a TTL cache."""
    store = people.Printed()
    cache: TTLCache[str, object] = TTLCache(maxsize=count, ttl=3600)
    for number in range(count):
        user_id = f"u-{number:07d}"
        cache[user_id] = json.loads(store.record(user_id))
    return cache


def flags_by_hand(count: int) -> object:
    """Four booleans a user in a TTL cache: all that is left is whether marketing may reach the user."""
    cache: TTLCache[str, dict[str, bool]] = TTLCache(maxsize=count, ttl=3600)
    for number in range(count):
        cache[f"u-{number:07d}"] = {"email": True, "notification": False, "message": True, "call": False}
    return cache


def bytes_a_user(make: Callable[[int], object], count: int) -> float:
    """Traced bytes for each of *count* users, without the id."""
    make(max(count // 100, 1))  # what is made once is there already
    gc.collect()
    tracemalloc.start()
    try:
        kept = make(count)
        gc.collect()
        traced, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del kept
    return traced / count - sys.getsizeof("u-0000000")


def main() -> None:
    """Measure, and publish the table."""
    few, many = map(people.scaled, COUNTS)
    hand = bytes_a_user(records_by_hand, few)
    rows = [
        (f"ConsentClient, {few:,} users", bytes_a_user(ours, few)),
        (f"ConsentClient, {many:,} users", bytes_a_user(ours, many)),
        (f"ConsentClient, {few:,} users, room for half, each counted", bytes_a_user(over_capacity, few)),
        (f"by hand, {few:,} users: a TTLCache of the decoded records", hand),
        (f"by hand, {few:,} users: a TTLCache of four booleans", bytes_a_user(flags_by_hand, few)),
    ]
    table = report.table(
        ["", "bytes a user", "× decoded records"], [[name, f"{size:,.0f}", f"{size / hand:.2f}"] for name, size in rows]
    )
    note = "Bytes that `tracemalloc` traces, less the id string that every cache has to hold once."
    report.publish("memory", "Memory of a cached user", note, table)


if __name__ == "__main__":
    main()
