"""Appends that wait in the service reach the store together, each with its own outcome."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent, KeyReused, StoreUnavailable
from diijam_consent_sdk.service.joint_appends import MAX_JOINED_EVENTS
from diijam_consent_sdk.service.store_executor import StoreExecutor
from diijam_consent_sdk.stores import Appended, MemoryStore
from diijam_consent_sdk.stores.sql.append_plans import PlannedAppend, SettledAppend

OPENED = e.AccountOpened()


class Noting(MemoryStore):
    """A store that notes which appends came together, and is held up until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []
        self.begun = threading.Semaphore(0)  # released at each call
        self.go_on = threading.Event()
        self.failure: Exception | None = None

    def append_together(self, plans: list[PlannedAppend]) -> list[SettledAppend]:
        """Note the call, and wait."""
        self.calls.append([plan.user_id for plan in plans])
        self.begun.release()
        assert self.go_on.wait(20)
        return [self.failure] * len(plans) if self.failure else super().append_together(plans)


def run(body: Callable[[Noting, Callable[..., Awaitable[Appended]]], Awaitable[None]]) -> None:
    """Run *body* with a store and its appends through an executor."""

    async def main() -> None:
        """Make the executor on this loop."""
        store = Noting()
        executor = StoreExecutor(store)

        async def append(
            user_id: str,
            *events: e.Event,
            caller: str = "a",
            key: str | None = None,
            convert: Callable[[Appended], Appended] = lambda appended: appended,
        ) -> Appended:
            """Append for a caller."""
            return await executor.append(
                caller, user_id, events or [OPENED], expected_version=None, idempotency_key=key,
                provenance=e.NO_PROVENANCE, convert=convert,
            )  # fmt: skip

        try:
            await body(store, append)
        finally:
            store.go_on.set()
            executor.close()
            store.close()

    asyncio.run(main())


async def begun(*calls: Awaitable[Any]) -> list[asyncio.Future[Any]]:
    """Begin the calls, in order."""
    tasks: list[asyncio.Future[Any]] = []
    for call in calls:
        tasks.append(asyncio.ensure_future(call))
        await asyncio.sleep(0)
    return tasks


def test_those_who_wait_are_written_together_callers_in_turns() -> None:
    """The first goes at once; of the others each caller has its turn, and who was cancelled is left out."""

    async def body(store: Noting, append: Callable[..., Awaitable[Appended]]) -> None:
        """See the test."""
        store.go_on.set()
        tasks = [*await begun(append("u-1"))]
        store.go_on.clear()
        tasks += await begun(
            append("u-2"), append("u-3"), append("u-4"), append("v-1", caller="b"), append("v-2", e.Restricted())
        )
        tasks[3].cancel()
        store.go_on.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert store.calls == [["u-1"], ["u-2", "v-1", "v-2", "u-3"]]
        assert store.verify().position == 5

    run(body)


def test_each_has_its_own_outcome() -> None:
    """Refusals, repeats and used keys are each caller's own."""

    async def body(store: Noting, append: Callable[..., Awaitable[Appended]]) -> None:
        """See the test."""
        store.go_on.set()
        first = await append("u-1", key="k-1")
        again, refused, used, restricted = await asyncio.gather(
            append("u-1", key="k-1"), append("u-1"), append("u-1", OPENED, OPENED, key="k-1"),
            append("u-1", e.Restricted()), return_exceptions=True,
        )  # fmt: skip
        assert isinstance(again, Appended)
        assert (again.is_repeat, again.cursor) == (True, first.cursor)
        assert isinstance(refused, InvalidEvent)
        assert isinstance(used, KeyReused)
        assert isinstance(restricted, Appended)
        store.calls.clear()
        await append("u-1", e.AccountClosed(), e.Erased())
        assert store.calls == []  # an erasure goes alone

    run(body)


@pytest.mark.parametrize(("raised", "expected"), [(StopIteration(), RuntimeError), (ValueError("bug"), ValueError)])
@pytest.mark.parametrize("events", [1, MAX_JOINED_EVENTS + 1])
def test_an_answer_that_cannot_be_made(raised: Exception, expected: type[Exception], events: int) -> None:
    """The append is written all the same, so its error is no refusal of arguments; all others are answered."""

    def fail(_: Appended) -> Appended:
        raise raised

    async def body(store: Noting, append: Callable[..., Awaitable[Appended]]) -> None:
        """See the test."""
        tasks = await begun(append("u-1"))
        history = [OPENED, *[e.Restricted(["email"])] * (events - 1)]
        tasks += await begun(append("u-2", *history, convert=fail), append("u-3"))
        store.go_on.set()
        async with asyncio.timeout(20):
            found = await asyncio.gather(*tasks, return_exceptions=True)
        assert type(found[1]) is expected
        assert isinstance(found[2], Appended)
        assert store.load(["u-2"]).records[0].version == events

    run(body)


def test_a_failure_reaches_each() -> None:
    """Nobody waits for ever when the store fails."""

    async def body(store: Noting, append: Callable[..., Awaitable[Appended]]) -> None:
        """See the test."""
        store.failure = StoreUnavailable("away")
        tasks = await begun(*(append(f"u-{number}") for number in range(5)))
        store.go_on.set()
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in errors] == [StoreUnavailable] * 5

    run(body)


def test_a_slow_call_holds_nobody_up() -> None:
    """Those who wait go on beside it together, as often as one is slow; nobody makes a call for who was cancelled."""

    async def body(store: Noting, append: Callable[..., Awaitable[Appended]]) -> None:
        """See the test."""
        tasks = list[asyncio.Future[Any]]()
        for users in (["u-1"], ["u-2", "u-3"], ["u-4"]):
            tasks += await begun(*map(append, users))
            assert await asyncio.to_thread(store.begun.acquire, timeout=20)
        (cancelled,) = await begun(append("u-5"))
        cancelled.cancel()
        store.go_on.set()
        await asyncio.gather(*tasks)
        assert store.calls == [["u-1"], ["u-2", "u-3"], ["u-4"]]

    run(body)


@pytest.mark.parametrize("count", [101])
def test_a_large_append_goes_alone(count: int) -> None:
    """It delays no small ones."""

    async def body(store: Noting, append: Callable[..., Awaitable[Appended]]) -> None:
        """See the test."""
        appended = await append("u-1", OPENED, *[e.Restricted()] * (count - 1))
        assert appended.version == count
        assert store.calls == []

    run(body)
