"""The order in which callers get the places of a semaphore."""

from __future__ import annotations

import asyncio

import pytest

from diijam_consent_sdk.service.fair_semaphore import FairSemaphore
from tests.service.conftest import on_a_loop


class Crowd:
    """Callers who want a place, and the order in which they get one."""

    def __init__(self, semaphore: FairSemaphore) -> None:
        self.semaphore = semaphore
        self.served: list[str | None] = []

    def wants(self, caller: str | None) -> asyncio.Task[None]:
        """One call of a caller."""

        async def call() -> None:
            """One call."""
            await self.semaphore.acquire(caller)
            self.served.append(caller)

        return asyncio.create_task(call())


async def settled() -> None:
    """All that can go on has gone on."""
    for _ in range(5):
        await asyncio.sleep(0)


@on_a_loop
async def test_callers_take_turns() -> None:
    """However many calls one caller has waiting, the others' come in between."""
    crowd = Crowd(semaphore := FairSemaphore(1, 1))
    for caller in ["greedy"] * 5 + ["a", "b", "a", None]:
        crowd.wants(caller)
    await settled()
    for done in range(9):
        semaphore.release(crowd.served[done])
        await settled()
    assert crowd.served == ["greedy", "greedy", "a", "b", None, "greedy", "a", "greedy", "greedy"]


@on_a_loop
async def test_nobody_has_all_places() -> None:
    """A caller who asks much has a part of the places; another finds one free at once."""
    crowd = Crowd(semaphore := FairSemaphore(3, 2))
    for _ in range(5):
        crowd.wants("greedy")
    await settled()
    assert crowd.served == ["greedy", "greedy"]
    crowd.wants("a")
    await settled()
    assert crowd.served == ["greedy", "greedy", "a"]
    semaphore.release("greedy")
    await settled()
    assert crowd.served[3:] == ["greedy"]


@pytest.mark.parametrize("is_given", [False, True])
def test_who_leaves_the_queue_keeps_no_place(is_given: bool) -> None:
    """A call that is cancelled while it waits, or in the moment it is given its place, leaves the place to others."""

    async def test() -> None:
        """The test on one event loop."""
        crowd = Crowd(semaphore := FairSemaphore(1, 1))
        crowd.wants("a")
        await settled()
        gone = crowd.wants("gone")
        await settled()
        if is_given:
            semaphore.release("a")
        gone.cancel()
        await settled()
        if not is_given:
            semaphore.release("a")
        crowd.wants("b")
        await settled()
        assert crowd.served == ["a", "b"]

    asyncio.run(test())
