"""What was spawned outlives its event loop or is lost with it, as rule 8 wants, and a close leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import structlog

from diijam_consent_sdk import AsyncConsentClient, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk._threads import await_promise, run_in_thread
from diijam_consent_sdk.client.limiter import Limiter
from diijam_consent_sdk.client.runners import ThreadRunner
from diijam_consent_sdk.errors import ClientClosed, OutcomeUnknown, StoreUnavailable
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.testing import FaultyStore
from tests.client.conftest import SIGNED_UP

WITHDRAWN = e.Withdrawn("marketing")


def by_run(work: Coroutine[Any, Any, Any]) -> None:
    """Run an event loop by `asyncio.run`, which cancels what is left."""
    asyncio.run(work)


def by_hand(work: Coroutine[Any, Any, Any]) -> None:
    """Run an event loop that is closed with its tasks still pending."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(work)
    loop.close()


LEFT_IDLE: list[asyncio.Runner] = []


def left_idle(work: Coroutine[Any, Any, Any]) -> None:
    """Run an event loop that then stops, and is not closed before the test's end."""
    LEFT_IDLE.append(asyncio.Runner())
    LEFT_IDLE[-1].run(work)


@pytest.fixture(autouse=True)
def _no_loop_is_left() -> Iterator[None]:
    """Loops that a test left idle end with it, and so do their tasks."""
    yield
    while LEFT_IDLE:
        LEFT_IDLE.pop().close()


ENDS = pytest.mark.parametrize("run", [by_run, by_hand, left_idle])
Run = Callable[[Coroutine[Any, Any, Any]], None]


class AsyncStore:
    """The async face of a store, over threads that a cancelled call leaves to themselves."""

    def __init__(self, store: FaultyStore) -> None:
        self._store = store

    async def load(self, *arguments: Any) -> Any:
        """See `AsyncStore.load`."""
        return await self._call("load", *arguments)

    async def standings(self, *arguments: Any) -> Any:
        """See `AsyncStore.standings`."""
        return await self._call("standings", *arguments)

    async def append(self, *arguments: Any, **options: Any) -> Any:
        """See `AsyncStore.append`."""
        return await self._call("append", *arguments, **options)

    async def changes(self, *arguments: Any, **options: Any) -> Any:
        """See `AsyncStore.changes`."""
        return await self._call("changes", *arguments, **options)

    async def notice(self, *arguments: Any) -> Any:
        """See `AsyncStore.notice`."""
        return await self._call("notice", *arguments)

    async def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        return await await_promise(run_in_thread(partial(getattr(self._store, name), *arguments, **options)))


@pytest.fixture(params=[AsyncStore, lambda store: store], ids=["async store", "sync store"])
def over(request: pytest.FixtureRequest, store: FaultyStore) -> Any:
    """A store with two users who may be mailed, of either kind."""
    store.inner.append("u", SIGNED_UP)
    store.inner.append("v", SIGNED_UP)
    return request.param(store)


OVER_ASYNC_STORE = pytest.mark.parametrize("over", [AsyncStore], ids=["async store"], indirect=True)


@pytest.fixture
def client(over: Any) -> AsyncConsentClient:
    """A client over that store."""
    return AsyncConsentClient(over, deadline=0.2)


async def withdraw(client: AsyncConsentClient, store: FaultyStore) -> None:
    """Record a withdrawal whose outcome stays unknown; the store is out of reach at the end."""
    await client.user("v")
    store.broken_after = ConnectionError("cut")
    with pytest.raises(OutcomeUnknown):
        await client.record("u", WITHDRAWN, idempotency_key="k")


async def becomes(holds: Callable[[], Coroutine[Any, Any, bool]]) -> bool:
    """Whether a condition comes to hold in time."""
    for _ in range(300):
        if await holds():
            return True
        await asyncio.sleep(0.01)
    return False


async def reason(client: AsyncConsentClient, user_id: str) -> Reason:
    """Why this user may or may not be mailed."""
    return (await client.user(user_id)).can_market("email").reason


async def ask(client: AsyncConsentClient, question: str) -> None:
    """Ask; a busy machine may answer too late for the deadline, which matters to no test here."""
    with suppress(StoreUnavailable, OutcomeUnknown):
        match question:
            case "user in memory":
                await client.user("v")
            case "users":
                _ = [user async for user in client.users(["v"])]
            case "load":
                await client.load("v")
            case "notice":
                await client.notice("n-1")
            case "record":
                await client.record("v", e.Objected("surveys"))


@ENDS
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_write_of_unknown_outcome_is_taken_up_by_the_next_loop(
    run: Run, client: AsyncConsentClient, store: FaultyStore
) -> None:
    """The user is denied until the outcome is definite, answers then, and can be granted again."""
    run(withdraw(client, store))
    store.broken_after = None

    async def main() -> None:
        """The next loop."""

        async def withdrawn() -> bool:
            """Whether the withdrawal has arrived."""
            return await reason(client, "u") is Reason.WITHDRAWN

        assert await becomes(withdrawn)
        await client.record("u", SIGNED_UP[1])
        assert await reason(client, "u") is Reason.CONSENTED
        await client.close()

    asyncio.run(main())
    assert [entry.version for entry in store.inner.history("u")] == [1, 2, 3, 4]


@ENDS
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("question", ["user in memory", "users", "load", "record", "notice"])
def test_any_question_takes_it_up(run: Run, question: str, client: AsyncConsentClient, store: FaultyStore) -> None:
    """The next call for any user, in memory or not, brings a lost withdrawal to the store."""

    async def begin() -> None:
        """Record a withdrawal that never arrives."""
        await client.user("v")
        store.append = never_arrives  # type: ignore[method-assign]
        with pytest.raises(OutcomeUnknown):
            await client.record("u", WITHDRAWN)

    def never_arrives(*_: Any, **__: Any) -> Any:
        raise ConnectionError("cut")

    run(begin())
    assert len(store.inner.history("u")) == 2
    del store.append

    async def main() -> None:
        """The next loop."""
        await ask(client, question)

        async def written() -> bool:
            """Whether all three entries are there."""
            return len(store.inner.history("u")) == 3

        assert await becomes(written)
        await client.close()

    asyncio.run(main())


@ENDS
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@OVER_ASYNC_STORE
def test_close_takes_it_up_and_waits_for_it(run: Run, client: AsyncConsentClient, store: FaultyStore) -> None:
    """A close gives up such a write after a deadline, as on a loop that goes on."""
    run(withdraw(client, store))
    store.broken_after = None
    asyncio.run(client.close())
    assert len(store.inner.history("u")) == 3
    assert not client._own_engine._writes

    async def ask() -> None:
        """After the close."""
        assert await reason(client, "u") is Reason.UNAVAILABLE
        with pytest.raises(ClientClosed):
            await client.record("u", WITHDRAWN)

    asyncio.run(ask())


def test_loop_after_loop_leaves_it_pending_until_the_store_answers(
    client: AsyncConsentClient, store: FaultyStore
) -> None:
    """However many loops end meanwhile, a withdrawal is written once and the user is denied all the time."""
    asyncio.run(withdraw(client, store))
    for _ in range(5):
        assert asyncio.run(reason(client, "u")) is Reason.UNAVAILABLE
    assert len(client._own_engine._writes) == 1
    store.broken_after = None

    async def main() -> None:
        """The last loop."""

        async def withdrawn() -> bool:
            """Whether the withdrawal has arrived."""
            return await reason(client, "u") is Reason.WITHDRAWN

        assert await becomes(withdrawn)
        await client.close()

    asyncio.run(main())
    assert len(store.inner.history("u")) == 3


@ENDS
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@OVER_ASYNC_STORE
def test_a_loop_that_ends_leaves_no_load_and_no_permit(
    run: Run, client: AsyncConsentClient, store: FaultyStore
) -> None:
    """
    Loads and reads that were under way hold nothing in the next loop, and the feed is polled again. Their end is no
    outage of the store.
    """

    async def begin() -> None:
        """Begin a guard, a load and a poll."""
        await client.user("v")
        await asyncio.sleep(0.05)
        store.inner.standings = store.inner.load = stuck  # type: ignore[method-assign, assignment]
        under_way = [asyncio.create_task(ask) for ask in (client.user("u"), client.load("u"))]
        await asyncio.sleep(0.05)
        del store.inner.standings, store.inner.load
        left.extend(under_way)

    over = threading.Event()

    def stuck(*_: Any) -> Any:
        over.wait(30)
        raise ConnectionError("cut")

    left: list[Any] = []

    async def main() -> None:
        """The next loop."""
        assert await reason(client, "u") is Reason.CONSENTED
        assert (await client.load("u")).version == 2
        single_flight = client._own_engine._single_flight

        async def free() -> bool:
            """Whether no load is under way and the feed is up."""
            return not single_flight._by_user and not single_flight._in_flight and client.status().feed == "up"

        assert await becomes(free)
        await client.close()

    with structlog.testing.capture_logs() as logged:
        run(begin())
        try:
            asyncio.run(main())
        finally:
            over.set()
    assert "store.unreachable" not in [line["event"] for line in logged]


def test_a_closed_client_leaves_no_task(over: Any) -> None:
    """The poll under way is over when `close` returns: a loop that is closed then destroys no pending task."""

    async def main() -> set[asyncio.Task[Any]]:
        """Use a client until its feed is up, and close it."""
        client = AsyncConsentClient(over)

        async def polls() -> bool:
            """Whether the feed is up."""
            await client.user("u")
            return client.status().feed == "up"

        assert await becomes(polls)
        await client.close()
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(main()) == set()


@pytest.mark.parametrize("over", [lambda store: store], ids=["sync store"], indirect=True)
def test_loop_after_loop_polls_a_sync_store_once(over: FaultyStore) -> None:
    """A web framework may run each request on an event loop of its own: no poll is left behind for each of them."""
    client = AsyncConsentClient(over)
    before = threading.active_count()
    for number in range(20):
        asyncio.run(client.user(f"u-{number}"))
    assert threading.active_count() - before <= 3  # the poller, and what just ends
    asyncio.run(client.close())


def test_a_store_that_hangs_keeps_nothing_of_callers_who_left() -> None:
    """I7: calls for which there is no room wait for their deadline, and are then forgotten."""
    limiter = Limiter(1, ThreadRunner(MemoryStore()).spawn)
    held = limiter.acquire()
    for _ in range(3):
        limiter.release(limiter.acquire())
    assert not limiter._waiting
    limiter.release(held)
    assert limiter._free == 1
