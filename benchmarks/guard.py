"""
What a guard on a cached user costs, beside a plain dict lookup and what a service would write by hand.

All contenders run in turns within one process, many rounds; what counts are ratios within a round, not times.
"""

from __future__ import annotations

import platform
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence

from cachetools import TTLCache
from rich.console import Console
from rich.table import Table

from diijam_consent_sdk import Channel, ConsentClient
from diijam_consent_sdk.events import AccountOpened, Granted
from diijam_consent_sdk.stores import MemoryStore

USERS = 100_000
PROBES = 20_000
ROUNDS = 25

Probe = Callable[[Sequence[str]], int]


def floor(ids: Sequence[str]) -> Probe:
    """The least that can be done: two dict lookups."""
    data = {user_id: {"email": True, "call": False} for user_id in ids}

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user_id in wanted:
            if data[user_id]["email"]:
                count += 1
        return count

    return probe


def by_hand(ids: Sequence[str]) -> Probe:
    """What a careful service writes: a TTL cache of dicts under a lock."""
    cache: TTLCache[str, dict[str, bool]] = TTLCache(maxsize=2 * len(ids), ttl=3600)
    lock = threading.Lock()
    for user_id in ids:
        cache[user_id] = {"email": True, "call": False}

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user_id in wanted:
            with lock:
                choices = cache.get(user_id)
            if choices is not None and choices["email"]:
                count += 1
        return count

    return probe


def one_step(consent: ConsentClient) -> Probe:
    """Our guard by user id."""

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user_id in wanted:
            if consent.can_market(user_id, Channel.EMAIL):
                count += 1
        return count

    return probe


def two_steps(consent: ConsentClient) -> Probe:
    """Our user, then its guard."""

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user_id in wanted:
            if consent.user(user_id).can_market(Channel.EMAIL):
                count += 1
        return count

    return probe


def held(consent: ConsentClient, ids: Sequence[str]) -> Probe:
    """Our guard on users already in hand."""
    users = {user_id: consent.user(user_id) for user_id in ids}

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user_id in wanted:
            if users[user_id].can_market(Channel.EMAIL):
                count += 1
        return count

    return probe


def measure(contenders: dict[str, Probe], ids: Sequence[str]) -> dict[str, list[float]]:
    """Nanoseconds a probe of each contender, round by round, the contenders in turns."""
    rng = random.Random(20261124)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(ROUNDS + 1):
        wanted = rng.choices(ids, k=PROBES)
        for name, probe in contenders.items():
            began = time.perf_counter_ns()
            allowed = probe(wanted)
            took = (time.perf_counter_ns() - began) / PROBES
            if allowed != PROBES:
                sys.exit(f"{name} allowed {allowed} of {PROBES}: it did not measure what it should")
            if number:  # the first round warms up
                times[name].append(took)
    return times


def main() -> None:
    """Run all contenders and print the ratios."""
    ids = [f"u-{number:06d}" for number in range(USERS)]
    with ConsentClient(MemoryStore(), max_staleness=3600, deadline=60) as consent:
        for user_id in ids:
            consent.record(user_id, AccountOpened(), Granted("marketing", notice="n", channels={"email"}))
        for _ in consent.users(ids):
            pass
        contenders = {
            "dict lookup (floor)": floor(ids),
            "TTLCache and a lock, by hand": by_hand(ids),
            "held.can_market(EMAIL)": held(consent, ids),
            "consent.can_market(id, EMAIL)": one_step(consent),
            "consent.user(id).can_market(EMAIL)": two_steps(consent),
        }
        times = measure(contenders, ids)
    base, hand = times["dict lookup (floor)"], times["TTLCache and a lock, by hand"]
    table = Table(title=f"A guard on a cached user, {USERS:,} users, Python {platform.python_version()}")
    for column in ("", "median ns", "of the floor", "spread", "of by hand"):
        table.add_column(column, justify="left" if not column else "right")
    for name, took in times.items():
        ratios = sorted(mine / floor for mine, floor in zip(took, base, strict=True))
        low, high = ratios[len(ratios) // 10], ratios[-len(ratios) // 10]
        beside = statistics.median(mine / other for mine, other in zip(took, hand, strict=True))
        table.add_row(
            name,
            f"{statistics.median(took):.0f}",
            f"{statistics.median(ratios):.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{beside:.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
