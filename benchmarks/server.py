"""What one service process answers: loads a second, and with a thousand long polls held."""

from __future__ import annotations

import asyncio
import random
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from diijam_consent_sdk.events import Objected
from diijam_consent_sdk.stores import HttpStore
from diijam_consent_sdk.stores.http.exchange import Exchange, changes
from diijam_consent_sdk.stores.http.standing_exchange import standings

from . import people, report
from .serving import Service, serving

USERS = 100_000
SECONDS = 5.0
CONNECTIONS = 16
POLLS = 1000


class Connection:
    """A kept-alive HTTP/1.1 connection with as little in it as possible: the service is measured, not its client."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def open(self) -> Connection:
        """Connect."""
        where = urlsplit(self._service.url)
        self._reader, self._writer = await asyncio.open_connection(where.hostname, where.port)
        return self

    async def ask(self, exchange: Exchange) -> bytes:
        """Ask as `HttpStore` does, and read the whole answer."""
        body, _ = exchange.encode()
        self._writer.write(self._service.request(exchange.path, body))
        answered = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not answered.startswith(b"http/1.1 200"):
            raise SystemExit(f"the service answered {answered[:60]!r}")
        length = int(answered.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return await self._reader.readexactly(length)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def loads(service: Service, count: int, seconds: float, user_ids: list[str]) -> tuple[float, list[float]]:
    """Loads of *count* users each, a second, and the milliseconds that each took."""
    rng, took = random.Random(people.SEED), list[float]()
    until = time.perf_counter() + seconds

    async def keep_asking(connection: Connection) -> None:
        """One connection that asks without a pause."""
        while (began := time.perf_counter()) < until:
            await connection.ask(standings(rng.sample(user_ids, count)))
            took.append((time.perf_counter() - began) * 1000)

    connections = [await Connection(service).open() for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    await asyncio.gather(*map(keep_asking, connections))
    for connection in connections:
        connection.close()
    return len(took) / (time.perf_counter() - began), took


async def polled(service: Service, polls: int, store: HttpStore, during: Callable[[], object]) -> list[float]:
    """Hold long polls, do something, write; after how many milliseconds each poll was answered."""
    head = await asyncio.to_thread(lambda: store.load(()).cursor)
    connections = [await Connection(service).open() for _ in range(polls)]

    async def poll(connection: Connection) -> float:
        """One long poll."""
        answer = await connection.ask(changes(head, 60.0, 1_000))
        assert b"u-0000001" in answer
        return time.perf_counter()

    waiting = [asyncio.create_task(poll(connection)) for connection in connections]
    await asyncio.sleep(3 + polls / 500)  # until all of them are held
    result = during()
    if asyncio.iscoroutine(result):
        await result
    assert not any(task.done() for task in waiting)
    began = time.perf_counter()
    await asyncio.to_thread(store.append, "u-0000001", [Objected("contests")], idempotency_key=secrets.token_hex(8))
    answered = await asyncio.gather(*waiting)
    for connection in connections:
        connection.close()
    return [(at - began) * 1000 for at in answered]


def percentile(values: list[float], share: float) -> float:
    """The value below which that share lies."""
    return sorted(values)[int(share * (len(values) - 1))]


async def measure(service: Service, users: int) -> list[list[str]]:
    """The rows of the table."""
    user_ids, seconds, polls = people.ids(users), SECONDS / 5 if people.QUICK else SECONDS, people.scaled(POLLS)
    rows = []
    with closing(HttpStore(service.url, token=service.token, deadline=30)) as store:

        async def row(name: str, count: int) -> None:
            """Measure one row."""
            a_second, took = await loads(service, count, seconds, user_ids)
            rows.append([name, f"{a_second:,.0f}", f"{percentile(took, 0.5):,.1f}", f"{percentile(took, 0.99):,.1f}"])

        for count in (1, 100, 1000):
            await row(f"loads of {count:,}", min(count, users))
        answered = await polled(service, polls, store, lambda: row(f"loads of 1, {polls:,} polls held", 1))
        rows.append([f"{polls:,} held polls, from a write to the answer", "",
                     f"{percentile(answered, 0.5):,.1f}", f"{percentile(answered, 0.99):,.1f}"])  # fmt: skip
    return rows


def main() -> None:
    """Measure, and publish the table."""
    users = people.scaled(USERS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(people.ledger(users), folder))
        with serving(path) as service:
            rows = asyncio.run(measure(service, users))
    table = report.table(["", "a second", "median ms", "99 % within ms"], rows)
    note = f"`diijam-consent serve` over SQLite, {users:,} users, {CONNECTIONS} connections, on the same machine."
    report.publish("server", "One service process", note, table)


if __name__ == "__main__":
    main()
