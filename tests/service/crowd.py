"""Many long polls from one event loop, with as little of HTTP as possible, so that the crowd itself costs little."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import httpx


@attrs.frozen
class Poll:
    """The answer to one poll."""

    status: int
    body: dict[str, Any]
    sent_at: float
    answered_at: float


async def polls(
    url: str, token: str, question: dict[str, Any], many: int, meanwhile: Callable[[], Awaitable[None]]
) -> list[Poll]:
    """Ask the same *many* times at once, do something when all are sent, and gather the answers."""
    place = httpx.URL(url)
    data = json.dumps(question).encode()
    head = (
        f"POST /v1/changes HTTP/1.1\r\nHost: {place.host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    sent = asyncio.Semaphore(0)
    gate = asyncio.Semaphore(100)  # connections being made at once

    async def one() -> Poll:
        """One client: its answer."""
        async with gate:
            reader, writer = await asyncio.open_connection(place.host, place.port)
            sent_at = time.monotonic()
            writer.write(head.encode() + data)
            await writer.drain()
        sent.release()
        answer = await reader.readuntil(b"\r\n\r\n")
        answered_at = time.monotonic()
        status = int(answer.split()[1])
        length = next(int(line.split(b":")[1]) for line in answer.lower().splitlines() if b"content-length" in line)
        body = json.loads(await reader.readexactly(length))
        writer.close()
        return Poll(status, body, sent_at, answered_at)

    asking = [asyncio.create_task(one()) for _ in range(many)]
    for _ in range(many):
        await sent.acquire()
    await meanwhile()
    return await asyncio.gather(*asking)


async def until_held(url: str, many: int) -> None:
    """Wait until the service holds that many polls."""
    await until_gauge(url, "polls_held", many)


async def until_gauge(url: str, gauge: str, value: float) -> None:
    """Wait until a figure of the service has a value."""
    async with httpx.AsyncClient() as client:
        for _ in range(500):
            if f"diijam_consent_{gauge} {float(value)}" in (await client.get(f"{url}/metrics")).text:
                return
            await asyncio.sleep(0.02)
    raise AssertionError(f"{gauge} was never {value}")
