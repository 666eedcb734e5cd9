"""I7: however many calls wait for a slow store, few threads do, and nothing is kept of callers who left."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient, Market
from diijam_consent_sdk import events as e
from diijam_consent_sdk._threads import Lost, Promise, WaitTimeout, run_in_thread
from diijam_consent_sdk.client.effects import Effects, Sleep
from diijam_consent_sdk.client.limiter import MAX_CALLS
from diijam_consent_sdk.client.runners import ThreadRunner
from diijam_consent_sdk.client.thread_pool import ThreadPool
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.testing import FaultyStore
from tests.client.conftest import SIGNED_UP, eventually, thread_pool

TASKS, THREADS = 300, 100
FOREVER = 1e9
CALLS = pytest.mark.parametrize("call", ["load", "explain", "history", "user with a token"])


class SlowStore(MemoryStore):
    """Answers slowly, and counts the threads that ask at once."""

    def __init__(self) -> None:
        super().__init__()
        self._asking = self.most_asking = 0

    @contextmanager
    def _slowly(self) -> Iterator[None]:
        self._asking += 1
        self.most_asking = max(self.most_asking, self._asking)
        time.sleep(0.002)
        yield
        self._asking -= 1

    def load(self, *arguments: Any) -> Any:
        """See `Store.load`."""
        with self._slowly():
            return super().load(*arguments)

    def standings(self, *arguments: Any) -> Any:
        """See `Store.standings`."""
        with self._slowly():
            return super().standings(*arguments)

    def history(self, *arguments: Any) -> Any:
        """See `Store.history`."""
        with self._slowly():
            return super().history(*arguments)


@pytest.fixture
def slow() -> SlowStore:
    """A store in which `u` may be mailed."""
    store = SlowStore()
    store.append("u", SIGNED_UP)
    return store


def ask(client: Any, store: SlowStore, call: str) -> Callable[[], Any]:
    """A call that the store answers, not the memory."""
    token = store.append("u", [e.Objected("surveys")]).token
    calls: dict[str, Callable[[], Any]] = {
        "load": lambda: client.load("u"),
        "explain": lambda: client.explain("u", Market("email")),
        "history": lambda: client.history("u"),
        "user with a token": lambda: client.user("u", at_least=token),
    }
    return calls[call]


class Watched:
    """How many threads there were beside those at the beginning."""

    def __init__(self) -> None:
        self._before = threading.active_count()
        self.most = 0

    def look(self) -> None:
        """Count them now."""
        self.most = max(self.most, threading.active_count() - self._before)


@CALLS
def test_tasks_that_wait_take_no_threads(slow: SlowStore, call: str) -> None:
    """Hundreds of gathered calls of an async client over a sync store are served by a few threads."""

    async def main() -> None:
        """Ask as tasks of one event loop."""
        async with AsyncConsentClient(slow, deadline=20, follow=False) as client:
            asking = ask(client, slow, call)
            watched = Watched()
            tasks = [asyncio.ensure_future(asking()) for _ in range(TASKS)]
            while not all(task.done() for task in tasks):
                watched.look()
                await asyncio.sleep(0.001)
            for task in tasks:
                task.result()
            assert watched.most <= 2 * MAX_CALLS + 1  # a thread starts each, and there may be the poller

    asyncio.run(main())
    assert slow.most_asking <= MAX_CALLS


@CALLS
def test_threads_that_wait_take_no_others(slow: SlowStore, call: str) -> None:
    """Callers of the sync client are not doubled."""
    with ConsentClient(slow, deadline=20, follow=False) as client, ThreadPoolExecutor(THREADS) as pool:
        asking = ask(client, slow, call)
        begin = threading.Barrier(THREADS)

        def act() -> object:
            begin.wait(20)
            return asking()

        watched = Watched()
        called = [pool.submit(act) for _ in range(THREADS)]
        while not all(future.done() for future in called):
            watched.look()
            time.sleep(0.001)
        for future in called:
            future.result()
        assert watched.most <= THREADS + 2 * MAX_CALLS + 1
    assert slow.most_asking <= MAX_CALLS


def test_a_store_that_hangs_keeps_no_calls_and_no_threads(store: FaultyStore) -> None:
    """Callers who time out or are cancelled leave the queue. Once the store answers again, all are served."""
    store.append("u", SIGNED_UP)
    answers = store.hold["load"] = threading.Event()

    async def main() -> None:
        """Ask as tasks of one event loop."""
        async with AsyncConsentClient(store, follow=False) as client:
            pool = thread_pool(client)
            late = [asyncio.ensure_future(client.load("u")) for _ in range(20)]
            cancelled = [asyncio.ensure_future(client.load("u")) for _ in range(20)]
            assert await asyncio.to_thread(eventually, lambda: len(pool._queue) == 40 - MAX_CALLS)
            for task in cancelled:
                task.cancel()
            await asyncio.sleep(0)
            assert len(pool._queue) == 20 - MAX_CALLS
            for task in late:
                with pytest.raises(StoreUnavailable):
                    await task
            assert not pool._queue
            assert len(pool._alive()) == MAX_CALLS
            answers.set()
            for record in await asyncio.gather(*(client.load("u") for _ in range(20))):
                assert record.version == len(SIGNED_UP)
            assert eventually(lambda: not pool._alive())

    asyncio.run(main())


def test_a_loop_that_ends_takes_no_turn(store: FaultyStore) -> None:
    """Calls of callers whose loop ended while they waited are not sent in the next loop, and hold no place."""
    store.append("u", SIGNED_UP)
    client = AsyncConsentClient(store, follow=False)
    event = store.hold["load"] = threading.Event()

    async def begin() -> None:
        """Begin calls that the loop does not wait for."""
        for _ in range(20):
            asyncio.ensure_future(client.load("u"))  # noqa: RUF006 - it ends with the loop
        await asyncio.sleep(0.05)

    async def main() -> None:
        """Ask as tasks of one event loop."""
        assert (await client.load("u")).version == len(SIGNED_UP)
        await client.close()

    asyncio.run(begin())
    pool = thread_pool(client)
    assert not pool._queue
    del store.hold["load"]
    event.set()
    asyncio.run(main())
    assert eventually(lambda: not pool._alive())


def call(done: list[int], number: int, seconds: float = 0.0) -> Effects[int]:
    """A call that notes its turn."""
    yield Sleep(seconds)
    done.append(number)
    return number


def test_calls_run_in_order_within_their_time() -> None:
    """One at a time, first come first served; one whose time is over at its turn does not begin."""
    pool, done = ThreadPool(1, ThreadRunner(MemoryStore()).spawn), list[int]()
    first = pool.spawn(call(done, 0, seconds=0.1), FOREVER)
    late = pool.spawn(call(done, 1), time.monotonic() + 0.01)
    left = pool.spawn(call(done, 2), FOREVER)
    rest = [pool.spawn(call(done, number), FOREVER) for number in (3, 4, 5)]
    left.set_exception(TimeoutError())
    assert rest[-1].wait(10)
    assert first.result() == 0
    assert isinstance(late.exception(), WaitTimeout)
    assert done == [0, 3, 4, 5]


def test_an_error_ends_its_call_alone() -> None:
    """The worker goes on to the next call, whatever one raises."""

    def fails() -> Effects[None]:
        yield Sleep(0)
        raise SystemExit

    pool, done = ThreadPool(1, ThreadRunner(MemoryStore()).spawn), list[int]()
    failed, after = pool.spawn(fails(), FOREVER), pool.spawn(call(done, 1), FOREVER)
    assert after.wait(10)
    assert after.result() == 1
    assert isinstance(failed.exception(), SystemExit)


def test_without_a_thread_all_that_wait_fail_at_once_and_the_next_call_tries_again() -> None:
    """What waits when the last worker could not begin was not sent. Once a thread can be had, calls are served."""
    runner, done, started = ThreadRunner(MemoryStore()), list[int](), list[Promise[Any]]()

    def starved(_: Effects[Any]) -> Promise[Any]:
        started.append(Promise())
        return started[-1]

    pool = ThreadPool(2, starved)
    waiting = [pool.spawn(call(done, number), FOREVER) for number in range(4)]
    started[0].set_exception(Lost("can't start new thread"))
    assert not any(promise.done() for promise in waiting)  # the other may begin
    started[1].set_exception(Lost("can't start new thread"))
    assert all(isinstance(promise.exception(), Lost) for promise in waiting)
    pool._spawn = runner.spawn
    again = pool.spawn(call(done, 4), FOREVER)
    assert again.wait(10)
    assert done == [4]


def test_threads_that_begin_after_their_caller_was_interrupted_end() -> None:
    """The thread begins, the caller is interrupted before it queues its call, and a call after that finds room."""
    runner, done = ThreadRunner(MemoryStore()), list[int]()

    def interrupted(effects: Effects[Any]) -> Promise[Any]:
        runner.spawn(effects)
        raise KeyboardInterrupt

    pool = ThreadPool(1, interrupted)
    for number in range(3):
        with suppress(KeyboardInterrupt):
            pool.spawn(call(done, number), FOREVER)
    pool._spawn = runner.spawn
    after = pool.spawn(call(done, 3), FOREVER)
    assert after.wait(10)
    assert done == [3]
    assert eventually(lambda: not pool._alive())


def test_a_signal_handler_may_call_while_its_thread_starts_a_worker() -> None:
    """It waits for no lock that its own thread holds, and both calls are run."""
    runner, done, inner = ThreadRunner(MemoryStore()), list[int](), list[Promise[int]]()

    def interrupted(effects: Effects[Any]) -> Promise[Any]:
        pool._spawn = runner.spawn
        inner.append(pool.spawn(call(done, 0), FOREVER))
        return runner.spawn(effects)

    pool = ThreadPool(1, interrupted)
    outer = run_in_thread(lambda: pool.spawn(call(done, 1), FOREVER))
    assert outer.wait(10)
    assert outer.result().wait(10)
    assert inner[0].wait(10)
    assert done == [0, 1]


def test_a_storm_of_calls_loses_none() -> None:
    """Workers that end just as calls come in leave none behind in the queue."""
    pool, done = ThreadPool(2, ThreadRunner(MemoryStore()).spawn), list[int]()
    with ThreadPoolExecutor(4) as callers:
        act = partial(_call_and_wait, pool, done)
        assert list(callers.map(act, range(2000))) == list(range(2000))
    assert sorted(done) == list(range(2000))


def _call_and_wait(pool: ThreadPool, done: list[int], number: int) -> int:
    promise = pool.spawn(call(done, number), FOREVER)
    assert promise.wait(10)
    return promise.result()
