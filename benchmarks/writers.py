"""
64 writers together beside one: over HTTP to a service on SQLite, and as tasks on AsyncPostgresStore.

Also with a flush to disk that takes 4 ms longer, as a network disk's does. Each pair is measured in turns.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import attrs

from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.stores import AsyncPostgresStore, SqliteStore
from diijam_consent_sdk.stores.http import append_exchange
from tests.stores.cluster import running

from . import people, report
from .server import Connection
from .serving import serving

WRITERS, ROUNDS = 64, 5
SECONDS = 0.5 if people.QUICK else 2.0
SLOW_SECONDS = 0.004
Append = Callable[[int, str], Awaitable[object]]  # of a writer, for a user


@attrs.frozen
class Run:
    """So many appends in so many seconds, and how long each took."""

    seconds: float
    took: list[float]

    @property
    def rate(self) -> float:
        """Appends a second."""
        return len(self.took) / self.seconds


async def write(append: Append, writers: int, users: count[int]) -> Run:
    """Let so many writers append for some seconds, each one after the other."""
    took: list[float] = []
    started = time.perf_counter()

    async def go_on(writer: int) -> None:
        """Append until the time is up."""
        while (began := time.perf_counter()) < started + SECONDS:
            await append(writer, f"u-{next(users)}")
            took.append(time.perf_counter() - began)

    await asyncio.gather(*map(go_on, range(writers)))
    return Run(time.perf_counter() - started, took)


async def compare(append: Append) -> list[str]:
    """One writer and many, in turns: the cells of a row."""
    users = count()
    pairs = [(await write(append, 1, users), await write(append, WRITERS, users)) for _ in range(ROUNDS)]
    one, many = (statistics.median(run.rate for run in runs) for runs in zip(*pairs, strict=True))
    times = statistics.median(together.rate / alone.rate for alone, together in pairs)
    waits = sorted(seconds for _, together in pairs for seconds in together.took)
    alone = statistics.median(seconds for run, _ in pairs for seconds in run.took)
    middle = statistics.median(waits)
    return [
        f"{one:,.0f}", f"{many:,.0f}", f"{times:.1f}", f"{alone * 1e3:.1f} ms", f"{middle * 1e3:.1f} ms",
        f"{waits[-1] / middle:.1f}",
    ]  # fmt: skip


async def over_http(slow_seconds: float) -> list[str]:
    """Writers of a service on SQLite."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        path = Path(folder) / "ledger.db"
        SqliteStore(path).close()
        with serving(path, slow_seconds) as service:
            connections = [await Connection(service).open() for _ in range(WRITERS)]

            async def append(writer: int, user_id: str) -> bytes:
                """Append over the writer's connection."""
                return await connections[writer].ask(append_exchange.append(user_id, [AccountOpened()], None, None))

            row = await compare(append)
            for connection in connections:
                connection.close()
        store = SqliteStore(path)
        store.verify()
        store.close()
    return row


async def on_postgres(settings: dict[str, str]) -> list[str]:
    """Tasks on one AsyncPostgresStore."""
    with running(None, fsync="on", **settings) as cluster:
        store = AsyncPostgresStore(cluster.ledger(), deadline=5)

        async def append(_: int, user_id: str) -> object:
            """Append by the store."""
            return await store.append(user_id, [AccountOpened()])

        try:
            return await compare(append)
        finally:
            await store.close()


async def measure() -> list[list[str]]:
    """Measure all of it."""
    slow = f"{SLOW_SECONDS * 1e3:.0f} ms more for a flush"
    delay = {"commit_delay": f"{SLOW_SECONDS * 1e6:.0f}", "commit_siblings": "0"}
    return [
        ["HTTP, SQLite", *await over_http(0.0)],
        [f"HTTP, SQLite, {slow}", *await over_http(SLOW_SECONDS)],
        ["tasks, PostgreSQL", *await on_postgres({})],
        [f"tasks, PostgreSQL, {slow}", *await on_postgres(delay)],
    ]


def main() -> None:
    """Measure, and publish the table."""
    columns = ["", "one, a second", f"{WRITERS}, a second", "×", "one waits", f"each of {WRITERS}", "slowest ÷ median"]
    report.publish("writers", f"{WRITERS} writers together", report.table(columns, asyncio.run(measure())))


if __name__ == "__main__":
    main()
