"""A fleet that follows one service process: how soon each write is with everybody, and what else is answered."""

from __future__ import annotations

import asyncio
import random
import secrets
import shutil
import tempfile
import time
from bisect import bisect_left
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil

from diijam_consent_sdk.events import Event, Objected, ObjectionLifted
from diijam_consent_sdk.stores.http import append_exchange
from diijam_consent_sdk.stores.http.standing_exchange import standings

from . import people, report
from .server import Connection, percentile
from .serving import Service, serving

USERS = 100_000
CLIENTS = 1000
SECONDS = 30.0
WRITES_A_SECOND = 20
LOADS_A_SECOND = 50
WRITERS = 8
BEAT_SECONDS, STREAM_SECONDS = 15.0, 300.0
SOON_SECONDS = 0.25
POSITION = b'"position":'


class Follower(asyncio.Protocol):
    """One client of the fleet: a stream, and when which position came. It reads no more of it than that."""

    def __init__(self, question: bytes) -> None:
        self._question = question
        self.positions: list[int] = []
        self.at: list[float] = []
        self.has_part = asyncio.Event()
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._question)

    def data_received(self, data: bytes) -> None:
        """Note the cursor of the last part that is here."""
        # Positions of users have no such key, so the last one is that of a cursor.
        where = data.rfind(POSITION) + len(POSITION)
        if where >= len(POSITION):
            self.positions.append(int(data[where : data.index(b"}", where)]))
            self.at.append(time.perf_counter())
            self.has_part.set()

    def connection_lost(self, _: Exception | None) -> None:
        """Note that the stream is over."""
        self.is_open = False

    def told_at(self, position: int) -> float:
        """When the client had the change at a position."""
        found = bisect_left(self.positions, position)
        return self.at[found] if found < len(self.at) else float("inf")


def question(service: Service, after: dict[str, object]) -> bytes:
    """The request for a stream."""
    body = msgspec.json.encode(
        {
            "nonce": secrets.token_hex(16), "after": after, "wait": STREAM_SECONDS,
            "stream": True, "beat": BEAT_SECONDS, "client": secrets.token_hex(16),
        }
    )  # fmt: skip
    return service.request("/v1/changes", body)


async def follow(service: Service, clients: int) -> list[Follower]:
    """Connect the fleet, and wait until each client has its first part."""
    connection = await Connection(service).open()
    after = msgspec.json.decode(await connection.ask(standings([])))["cursor"]
    connection.close()
    where, loop = urlsplit(service.url), asyncio.get_running_loop()
    fleet = list[Follower]()
    for _ in range(clients):
        asked = question(service, after)
        _, one = await loop.create_connection(partial(Follower, asked), where.hostname or "", where.port or 0)
        fleet.append(one)
    for one in fleet:
        await one.has_part.wait()
    return fleet


Timed = tuple[float, float]  # when a question was sent, and when it was answered


async def write(service: Service, user_ids: list[str], until: float) -> dict[int, Timed]:
    """Write at a steady rate, whatever each append takes; by position."""
    writers = [await Connection(service).open() for _ in range(WRITERS)]
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for writer in writers:
        free.put_nowait(writer)
    written: dict[int, Timed] = {}
    rng, events = random.Random(people.SEED), (Objected("contests"), ObjectionLifted("contests"))

    async def append(writer: Connection, event: Event) -> None:
        """Write once, and give the connection back."""
        began = time.perf_counter()
        exchange = append_exchange.append(rng.choice(user_ids), [event], None, secrets.token_hex(16))
        answer = msgspec.json.decode(await writer.ask(exchange))
        written[answer["cursor"]["position"]] = (began, time.perf_counter())
        free.put_nowait(writer)

    async with asyncio.TaskGroup() as tasks:
        due = time.perf_counter()
        while due < until:
            tasks.create_task(append(await free.get(), rng.choice(events)))
            due += 1 / WRITES_A_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
    for writer in writers:
        writer.close()
    return written


async def load(service: Service, user_ids: list[str], until: float) -> list[float]:
    """Load one user after another; the seconds that each took."""
    connection, rng, took = await Connection(service).open(), random.Random(people.SEED), list[float]()
    while (began := time.perf_counter()) < until:
        await connection.ask(standings([rng.choice(user_ids)]))
        took.append(time.perf_counter() - began)
        await asyncio.sleep(max(0.0, 1 / LOADS_A_SECOND - took[-1]))
    connection.close()
    return took


class Usage:
    """What a process used of the cores, from now on."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._before, self._began = process, process.cpu_times(), time.perf_counter()

    def cores(self) -> str:
        """How many cores it used on average, and how much of that in the kernel."""
        now, took = self._process.cpu_times(), time.perf_counter() - self._began
        kernel = (now.system - self._before.system) / took
        return f"{(now.user - self._before.user) / took + kernel:.2f}, {kernel:.2f} of it in the kernel"


def milliseconds(values: list[float]) -> str:
    """The median and the 99th percentile of seconds."""
    return f"{percentile(values, 0.5) * 1000:.0f}, {percentile(values, 0.99) * 1000:.0f} ms"


def soon(values: list[float]) -> str:
    """The share of seconds that are within `SOON_SECONDS`."""
    return f"{100 * sum(value <= SOON_SECONDS for value in values) / len(values):.2f} %"


async def measure(service: Service, users: int, clients: int, seconds: float) -> list[list[str]]:
    """The rows of the table."""
    fleet, user_ids = await follow(service, clients), people.ids(users)
    await asyncio.sleep(1)
    server, driver = Usage(psutil.Process(service.pid)), Usage(psutil.Process())
    until = time.perf_counter() + seconds
    written, loads = await asyncio.gather(write(service, user_ids, until), load(service, user_ids, until))
    used = [["cores of the service", server.cores()], ["cores of the driver", driver.cores()]]
    await asyncio.sleep(1)
    if not all(one.is_open for one in fleet):
        raise SystemExit("the service ended streams")
    each = [[one.told_at(position) - at for one in fleet] for position, (_, at) in written.items()]
    last, every = [max(delays) for delays in each], [delay for delays in each for delay in delays]
    appends = [acknowledged - sent for sent, acknowledged in written.values()]
    for one in fleet:
        one.transport.abort()
    return [
        ["writes, a second", f"{len(written) / seconds:.1f}"],
        ["writes that everybody had within 250 ms of the acknowledgement", soon(last)],
        ["from the acknowledgement to the last client: median, 99 %", milliseconds(last)],
        ["from the acknowledgement to a client: median, 99 %", milliseconds(every)],
        ["append: median, 99 %", milliseconds(appends)],
        ["load of one: median, 99 %", milliseconds(loads)],
        ["reads with parts, a client and second", f"{sum(len(one.at) for one in fleet) / len(fleet) / seconds:.1f}"],
        *used,
    ]


def main() -> None:
    """Measure, and publish the table."""
    users, clients = people.scaled(USERS), people.scaled(CLIENTS)
    seconds = SECONDS / 10 if people.QUICK else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(people.ledger(users), folder))
        with serving(path) as service:
            rows = asyncio.run(measure(service, users, clients, seconds))
    table = report.table(["", ""], rows)
    note = f"{clients:,} streams, {WRITES_A_SECOND} writes and {LOADS_A_SECOND} loads a second"
    report.publish("fleet", "A fleet that follows one service process", note, table)


if __name__ == "__main__":
    main()
