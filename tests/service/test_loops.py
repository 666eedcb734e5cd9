"""An asyncio client over HTTP that is used from several event loops, and what httpx logs of its exchanges."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import warnings

import httpx
import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import AsyncHttpStore
from tests.service.conftest import Asker

SIGNED_UP = (e.AccountOpened(), e.Granted("marketing", notice="promo", channels={"email"}))


def test_a_loop_for_each_task(asker: Asker) -> None:
    """One client that is used by one `asyncio.run` after the other answers in each, and loads too."""
    client = AsyncConsentClient.from_url(asker.url, token=asker.token, deadline=20)

    async def task(number: int) -> tuple[Reason, int]:
        """One task of the application."""
        await client.record(f"u-{number}", *SIGNED_UP)
        user = await client.user(f"u-{number}")
        return user.can_market("email").reason, (await client.load(f"u-{number}")).version

    assert [asyncio.run(task(number)) for number in range(4)] == [(Reason.CONSENTED, 2)] * 4
    asyncio.run(client.close())


def test_no_connection_outlives_its_loop(asker: Asker) -> None:
    """`asyncio.run` closes the connections of its loop, so nothing is left to be warned of."""
    store = AsyncHttpStore(asker.url, token=asker.token, deadline=20)

    async def task() -> None:
        """One task of the application."""
        await asyncio.gather(*(store.load([f"u-{number}"]) for number in range(5)))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            asyncio.run(task(), debug=True)
            gc.collect()
        assert not store._transport._clients._closers
        assert not len(store._transport._clients)
        asyncio.run(store.close())


def test_loops_at_once(asker: Asker) -> None:
    """Loops in several threads use one store at once, each with separate connections."""
    store = AsyncHttpStore(asker.url, token=asker.token, deadline=20)
    meeting = threading.Barrier(3)
    heads: list[int] = []

    async def task() -> None:
        """One task of the application."""
        for _ in range(10):
            await store.load([])
        await asyncio.to_thread(meeting.wait, 20)
        heads.append((await store.load([])).cursor.position)

    threads = [threading.Thread(target=asyncio.run, args=(task(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert heads == [0, 0, 0]
    asyncio.run(store.close())


def test_a_loop_that_ended_by_itself(asker: Asker) -> None:
    """A loop that was closed without `shutdown_asyncgens` leaves nothing behind once another asks."""
    store = AsyncHttpStore(asker.url, token=asker.token, deadline=20)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(store.load([]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # its connections were nobody's to close
        loop.close()
        del loop
        asyncio.run(store.load([]))
        gc.collect()
    assert not store._transport._clients._closers
    assert not len(store._transport._clients)


def test_httpx_logs_no_line_for_an_exchange(asker: Asker, caplog: pytest.LogCaptureFixture) -> None:
    """An application that logs at INFO gets no line of httpx for ours, and still its own."""
    with caplog.at_level(logging.INFO):
        with ConsentClient.from_url(asker.url, token=asker.token, deadline=20) as client:
            client.load("u-1")

        async def load() -> None:
            """Load once."""
            async with AsyncConsentClient.from_url(asker.url, token=asker.token, deadline=20) as other:
                await other.load("u-1")

        asyncio.run(load())
        assert [record for record in caplog.records if record.name == "httpx"] == []
        httpx.get(f"{asker.url}/healthz")
    assert [record.name for record in caplog.records if record.name == "httpx"] == ["httpx"]
