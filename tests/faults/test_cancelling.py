"""Two hundred tasks cancelled at once leave nothing behind, and later answers are right."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from diijam_consent_sdk import AsyncConsentClient, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client import Options
from diijam_consent_sdk.stores import HttpStore
from tests.client.conftest import SIGNED_UP
from tests.faults import proxy as faults
from tests.faults.conftest import Service
from tests.faults.proxy import Proxy
from tests.faults.watching import DEADLINE, SOON, B, patient

TASKS = 200


async def becomes(holds: Callable[[], object], within: float = 10.0) -> bool:
    """Whether it comes to hold in time."""
    until = asyncio.get_running_loop().time() + within
    while not holds():
        if asyncio.get_running_loop().time() > until:
            return False
        await asyncio.sleep(0.01)
    return True


@asynccontextmanager
async def client_of(kind: str, url: str, token: str) -> AsyncIterator[AsyncConsentClient]:
    """A client over an async store, or over a sync one that is called in threads."""
    options: Options = {"max_staleness": B, "deadline": 10 * DEADLINE}
    if kind == "async store":
        async with AsyncConsentClient.from_url(url, token=token, **options) as consent:
            yield consent
        return
    store = HttpStore(url, token=token, deadline=10 * DEADLINE)
    async with AsyncConsentClient(store, **options) as consent:
        yield consent
    store.close()


def left(consent: AsyncConsentClient, before: set[threading.Thread]) -> dict[str, int]:
    """What is under way, beside the follower's task and thread, and threads that were there before the client."""
    engine, single_flight = consent._own_engine, consent._own_engine._single_flight
    return {
        "loads": len(single_flight._in_flight) + len(single_flight._queue) + len(single_flight._by_user),
        "fetches": len(engine.leases._fetches),
        "writes": len(engine.leases._writes) + len(engine._writes),
        "tasks": max(0, len(consent._runner._spawned) - 1),  # over a sync store it is a thread that follows
        "other tasks": len(asyncio.all_tasks() - consent._runner._spawned.keys()) - 1,
        "threads": max(0, sum("diijam-consent" in thread.name for thread in set(threading.enumerate()) - before) - 1),
    }


async def cancel_all(consent: AsyncConsentClient, user_id: str, *, is_writing: bool) -> None:
    """Begin many questions, and some writes, and cancel them all while they wait."""
    tasks = [asyncio.create_task(consent.user(f"{user_id}-{1 + number % 149}")) for number in range(TASKS)]
    writes = [f"{user_id}-written-{number}" for number in range(20 if is_writing else 0)]
    more = [asyncio.create_task(consent.record(written, *SIGNED_UP)) for written in writes]
    await asyncio.sleep(DEADLINE)
    for task in (*tasks, *more):
        assert task.cancel()
    ended = await asyncio.gather(*tasks, *more, return_exceptions=True)
    assert all(isinstance(error, asyncio.CancelledError) for error in ended)


@pytest.mark.parametrize("kind", ["async store", "sync store"])
@pytest.mark.parametrize("is_writing", [False, True], ids=["asking", "writing too"])
def test_two_hundred_tasks_cancelled_at_once(
    kind: str, is_writing: bool, service: Service, proxy: Proxy, user_id: str
) -> None:
    """No load, fetch, write, task or thread is left of them, and each user's answer is right afterwards."""
    direct = patient(service)
    direct.append(f"{user_id}-0", SIGNED_UP)

    before = set(threading.enumerate())

    async def main() -> None:
        """All of it, on one event loop."""
        async with client_of(kind, proxy.url, service.token) as consent:
            assert (await consent.user(f"{user_id}-0")).can_market("email")
            assert await becomes(lambda: not any(left(consent, before).values())), left(consent, before)
            proxy.fault = faults.black_hole
            direct.append(f"{user_id}-0", [e.Withdrawn("marketing")])
            await cancel_all(consent, user_id, is_writing=is_writing)
            assert left(consent, before)["loads"]  # they were under way indeed
            proxy.fault = faults.healthy
            assert await becomes(lambda: not any(left(consent, before).values())), left(consent, before)
            await asyncio.sleep(SOON)
            assert (await consent.user(f"{user_id}-0")).can_market("email").reason is Reason.WITHDRAWN
            for number in range(1, 150):
                asked = await consent.user(f"{user_id}-{number}")
                assert asked.can_market("email").reason is Reason.UNKNOWN_USER
            for number in range(20 if is_writing else 0):
                written = await consent.user(f"{user_id}-written-{number}")
                assert written.can_market("email").reason is Reason.CONSENTED
                assert len(await consent.history(f"{user_id}-written-{number}")) == 2

    asyncio.run(main())
    direct.close()
