"""Eight threads together beside one, and a thousand asyncio tasks beside one."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Sequence

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk.stores import SqliteStore

from . import people, report
from .guard import await_feed, fill, filled, one_step
from .peers import Probe
from .timing import frozen, interleaved, ratios, spread

USERS = 100_000
PROBES = 80_000
ROUNDS = 21
THREADS, TASKS = 8, 1000


def threaded(probe: Probe, wanted: Sequence[str], threads: int) -> int:
    """The probes shared out to some threads; how many there were."""
    shares = [wanted[number::threads] for number in range(threads)]
    running = [threading.Thread(target=probe, args=(share,)) for share in shares]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return len(wanted)


async def ask(consent: AsyncConsentClient, wanted: Sequence[str]) -> None:
    """Await each user, and ask."""
    for user_id in wanted:
        (await consent.user(user_id)).can_market("email")


async def tasked(consent: AsyncConsentClient, wanted: Sequence[str], tasks: int) -> int:
    """The probes shared out to some tasks; how many there were."""
    await asyncio.gather(*(ask(consent, wanted[number::tasks]) for number in range(tasks)))
    return len(wanted)


def main() -> None:
    """Time all of it in turns, and publish the table."""
    count, probes = people.scaled(USERS), people.scaled(PROBES)
    path = people.ledger(count)
    with asyncio.Runner() as runner:
        consent = ConsentClient(SqliteStore(path), max_staleness=3600, capacity=count, deadline=60)
        users = filled(consent, count)
        await_feed(consent)
        waiting = AsyncConsentClient(SqliteStore(path), max_staleness=3600, capacity=count, deadline=60)
        runner.run(fill(waiting, list(users)))
        wanted = random.Random(people.SEED).choices(list(users), k=probes)
        probe = one_step(consent)
        with frozen():
            times = interleaved(
                {
                    "1 thread": lambda: threaded(probe, wanted, 1),
                    f"{THREADS} threads": lambda: threaded(probe, wanted, THREADS),
                    "1 task": lambda: runner.run(tasked(waiting, wanted, 1)),
                    f"{TASKS:,} tasks": lambda: runner.run(tasked(waiting, wanted, TASKS)),
                },
                rounds=ROUNDS,
            )
        runner.run(waiting.close())
        consent.close()
    rows = [
        [
            name,
            f"{1e9 / spread(took).median:,.0f}",
            ratios(times["1 task" if "task" in name else "1 thread"], took).text(),
        ]
        for name, took in times.items()
    ]
    table = report.table(["", "guards a second, together", "× one alone"], rows)
    report.publish("concurrency", "Many threads, many tasks", table)


if __name__ == "__main__":
    main()
