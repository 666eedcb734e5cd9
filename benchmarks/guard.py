"""What a guard on a cached user costs, beside two dict lookups, a cache written by hand, and SDKs that one knows."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import ceil

from cachetools import TTLCache

from diijam_consent_sdk import AsyncConsentClient, Channel, ConsentClient
from diijam_consent_sdk.stores import SqliteStore

from . import people, report
from .peers import PEERS, Probe, Users
from .timing import Spread, frozen, interleaved, ratios, spread, timed

USERS = 100_000
ROUNDS = 61
SLOT_NANOSECONDS = 10_000_000  # one turn: long enough to have what it needs in the processor's cache, as in a service
FLOOR, BY_HAND = "two dict lookups (the floor)", "TTLCache, lock and dicts, by hand"


def floor(users: Users) -> Probe:
    """The least that can be done."""
    data = {user: dict(choices) for user, choices in users.items()}

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user_id in wanted:
            if data[user_id]["email"]:
                count += 1
        return count

    return probe


def by_hand(users: Users) -> Probe:
    """What a careful service writes: a TTL cache of dicts under a lock."""
    cache: TTLCache[str, dict[str, bool]] = TTLCache(maxsize=2 * len(users), ttl=3600)
    lock = threading.Lock()
    for user, choices in users.items():
        cache[user] = dict(choices)

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user_id in wanted:
            with lock:
                choices = cache.get(user_id)
            if choices is not None and choices["email"]:
                count += 1
        return count

    return probe


def one_step(consent: ConsentClient, channel: str = Channel.EMAIL) -> Probe:
    """Our guard by user id."""

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user_id in wanted:
            if consent.can_market(user_id, channel):
                count += 1
        return count

    return probe


def spelled_out(consent: ConsentClient) -> Probe:
    """Our guard by user id, with the member of the enum looked up each time."""

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user_id in wanted:
            if consent.can_market(user_id, Channel.EMAIL):
                count += 1
        return count

    return probe


def two_steps(consent: ConsentClient, channel: str = Channel.EMAIL) -> Probe:
    """Our user, then its guard."""

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user_id in wanted:
            if consent.user(user_id).can_market(channel):
                count += 1
        return count

    return probe


def held(consent: ConsentClient, user_ids: Sequence[str], channel: str = Channel.EMAIL) -> Probe:
    """Our guard on users already in hand."""
    users = dict(zip(user_ids, consent.users(user_ids), strict=True))

    def probe(wanted: Sequence[str]) -> int:
        count = 0
        for user_id in wanted:
            if users[user_id].can_market(channel):
                count += 1
        return count

    return probe


def awaited(consent: AsyncConsentClient, runner: asyncio.Runner, channel: str = Channel.EMAIL) -> Probe:
    """Our user awaited, then its guard."""

    async def ask(wanted: Sequence[str]) -> int:
        """Ask each."""
        count = 0
        for user_id in wanted:
            if (await consent.user(user_id)).can_market(channel):
                count += 1
        return count

    return lambda wanted: runner.run(ask(wanted))


def filled(consent: ConsentClient, count: int) -> Users:
    """Have everybody in the memory of a client; their choices as plain dicts."""
    users = {u.user_id: {"email": bool(u.can_market("email")), "call": False} for u in consent.users(people.ids(count))}
    for user_id in users:  # those that were asked in one step are covered with the store's next answer
        consent.can_market(user_id, Channel.EMAIL)
    consent.load(user_id)
    return users


def await_feed(consent: ConsentClient) -> None:
    """Wait for the first word of the feed."""
    while consent.status().age_seconds is None:
        time.sleep(0.01)


async def fill(consent: AsyncConsentClient, user_ids: Sequence[str]) -> None:
    """Have everybody in the memory of an async client."""
    async for _ in consent.users(user_ids):
        pass


def peers(users: Users) -> dict[str, Probe]:
    """Those that are installed; what is not is said."""
    made: dict[str, Probe] = {}
    for name, make in PEERS.items():
        try:
            made[name] = make(users)
        except ImportError as error:
            print(f"skipped: {name} is not installed ({error.name})", file=sys.stderr)
    return made


def may_mail(users: Users) -> dict[str, bool]:
    """Whom a mail may reach."""
    return {user: choices["email"] for user, choices in users.items()}


def measure(probes: dict[str, Probe], may: Mapping[str, bool], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Measure nanoseconds per probe, round by round, each round on other users; all turns take about as long."""
    rng = random.Random(people.SEED)
    user_ids = list(may)
    turns: dict[str, Callable[[], int]] = {}
    for name, probe in probes.items():
        wanted = rng.choices(user_ids, k=200)
        if probe(wanted) != sum(may[user] for user in wanted):
            sys.exit(f"{name} does not answer what the users chose, so its time would mean nothing")
        took = timed(partial(_count, probe, wanted), time.thread_time_ns)
        size = max(ceil(SLOT_NANOSECONDS / took), 50)
        samples = iter([rng.choices(user_ids, k=size) for _ in range(rounds + 1)])
        turns[name] = lambda probe=probe, samples=samples: _count(probe, next(samples))  # type: ignore[misc]
    with frozen():
        return interleaved(turns, rounds=rounds, clock=time.thread_time_ns)


def _count(probe: Probe, wanted: Sequence[str]) -> int:
    probe(wanted)
    return len(wanted)


def main() -> None:
    """Run all contenders and publish the ratios."""
    count = people.scaled(USERS)
    path = people.ledger(count)
    with suppress(KeyboardInterrupt), asyncio.Runner() as runner:
        consent = ConsentClient(SqliteStore(path), max_staleness=3600, capacity=count, deadline=60)
        users = filled(consent, count)
        await_feed(consent)
        alone = ConsentClient(SqliteStore(path), max_staleness=3600, capacity=count, deadline=60, follow=False)
        filled(alone, count)
        waiting = AsyncConsentClient(SqliteStore(path), max_staleness=3600, capacity=count, deadline=60)
        runner.run(fill(waiting, list(users)))
        probes = {
            FLOOR: floor(users),
            "held: user.can_market(…), from a dict of users": held(consent, list(users)),
            "consent.can_market(id, …)": one_step(consent),
            "consent.can_market(id, Channel.EMAIL), looked up each time": spelled_out(consent),
            "consent.can_market(id, …), without a feed": one_step(alone),
            "consent.user(id).can_market(…)": two_steps(consent),
            "(await consent.user(id)).can_market(…)": awaited(waiting, runner),
            BY_HAND: by_hand(users),
            **peers(users),
        }
        times = measure(probes, may_mail(users))
        runner.run(waiting.close())
        alone.close()
        consent.close()
    show(times, count)


def show(times: dict[str, list[float]], count: int) -> None:
    """Publish the table and the picture."""
    to_floor = {name: ratios(took, times[FLOOR]) for name, took in times.items()}
    rows = [
        [
            name,
            spread(took).text(0),
            to_floor[name].text(),
            ratios(took, times[BY_HAND]).text(),
            ratios(took, times["consent.can_market(id, …)"]).text(1),
        ]
        for name, took in times.items()
    ]
    columns = ["", "ns", "× floor", "× by hand", "× consent.can_market(id, …)"]
    pictured: dict[str, Spread] = to_floor
    report.publish(
        "guard",
        f"A guard on one of {count:,} cached users, at random",
        report.table(columns, rows),
        "The clock is this thread's processor time, so that other processes do not count.",
        report.bars("guard", "times the cost of two dict lookups", pictured),
    )


if __name__ == "__main__":
    main()
