"""How many calls are let in at once, and what a crowd of one kind leaves to the others."""

from __future__ import annotations

import asyncio
import threading

import pytest

from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.service import admission
from diijam_consent_sdk.service.store_executor import StoreExecutor
from tests.service.conftest import on_a_loop
from tests.service.fakes import FaultyStore


@on_a_loop
async def test_a_crowd_of_loads_keeps_out_loads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many loads as there may be, the next one is refused at once; looks and health checks go on."""
    monkeypatch.setattr(admission, "MAX_CALLS", 2)
    store = FaultyStore()
    store.holds["load"] = threading.Event()
    executor = StoreExecutor(store)
    crowd = [asyncio.create_task(executor.load(n, [f"u-{n}"], lambda _: None)) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="too much to do"):
        await executor.load("b", ["u-9"], lambda _: None)
    head = await executor.head()
    assert (await executor.changes(head, 10)).cursor == head
    store.holds["load"].set()
    await asyncio.gather(*crowd)
    await executor.load("b", ["u-9"], lambda _: None)
    executor.close()


@on_a_loop
async def test_a_crowd_of_one_caller_keeps_nobody_else_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many loads as one caller may have, only that caller's next one is refused."""
    monkeypatch.setattr(admission, "MAX_OF_ONE", 2)
    store = FaultyStore()
    store.holds["load"] = threading.Event()
    executor = StoreExecutor(store)
    crowd = [asyncio.create_task(executor.load("a", [f"u-{n}"], lambda _: None)) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="too much to do"):
        await executor.load("a", ["u-9"], lambda _: None)
    others = asyncio.create_task(executor.load("b", ["u-9"], lambda _: None))
    await asyncio.sleep(0)
    assert not others.done()
    store.holds["load"].set()
    await asyncio.gather(*crowd, others)
    assert not +executor.admission._in_flight  # callers that are gone take no memory
    executor.close()
