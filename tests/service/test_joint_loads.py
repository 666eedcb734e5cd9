"""Readers together: small loads that arrive at the same time share a call of the store, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from diijam_consent_sdk.errors import LedgerBroken, StoreUnavailable, TooLarge
from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.service import joint_loads
from diijam_consent_sdk.service.joint_loads import MAX_JOINED_USERS
from diijam_consent_sdk.service.store_calls import InvalidArguments
from diijam_consent_sdk.service.store_executor import StoreExecutor
from diijam_consent_sdk.stores import AsyncStore, Loaded, MemoryStore
from diijam_consent_sdk.stores.message_fields import MAX_USERS
from diijam_consent_sdk.stores.protocol import Standings
from tests.service.conftest import on_a_loop

HELD_SECONDS = 20.0  # for which a load may be held up


class NotingStore(MemoryStore):
    """A store whose loads are noted, and can be held up or made to fail by the ids they ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[list[str]] = []
        self.began = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self.slow: set[str] = set()  # ids whose loads wait for `go`
        self.bad: dict[str, Exception] = {}  # ids whose loads fail

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        asked = list(user_ids)
        self.loads.append(asked)
        self.began.set()
        if not self.slow or self.slow & set(asked):
            assert self.go.wait(HELD_SECONDS), "held up for too long"
        for user_id, error in self.bad.items():
            if user_id in asked:
                raise error
        return super().load(asked)


class AsyncNotingStore:
    """The same as an async store."""

    def __init__(self) -> None:
        self.inner = NotingStore()

    async def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        return await asyncio.to_thread(self.inner.load, list(user_ids))

    async def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        return await asyncio.to_thread(self.inner.standings, list(user_ids))


def ids_of(loaded: Loaded) -> list[tuple[str, int]]:
    """The users of an answer, with their versions."""
    return [(record.user_id, record.version) for record in loaded.records]


@asynccontextmanager
async def held(executor: StoreExecutor, store: NotingStore, caller: str = "a") -> AsyncIterator[asyncio.Task[Any]]:
    """Hold up a load of u-0, so that what arrives in the block waits; it goes on after the block."""
    store.go.clear()
    store.began.clear()
    first = asyncio.create_task(executor.load(caller, ["u-0"], ids_of))
    await asyncio.to_thread(store.began.wait, 20)
    try:
        yield first
    finally:
        await asyncio.sleep(0)  # who was made in the block arrives
        store.go.set()


def make_sync() -> tuple[StoreExecutor, NotingStore]:
    """Make an executor over a sync store."""
    store = NotingStore()
    return StoreExecutor(store), store


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Callable[[], tuple[StoreExecutor, NotingStore]]:
    """Make an executor over a store of each kind."""

    def made() -> tuple[StoreExecutor, NotingStore]:
        if request.param == "sync":
            return make_sync()
        outer = AsyncNotingStore()
        return StoreExecutor(cast(AsyncStore, outer)), outer.inner  # it loads, and no more is asked

    return made


Make = Callable[[], tuple[StoreExecutor, NotingStore]]


@on_a_loop
async def test_loads_that_arrive_meanwhile_share_the_next_call(make: Make) -> None:
    """Ten loads that arrive during one are the next call together, and each gets its own users in its own order."""
    executor, store = make()
    store.append("u-3", [AccountOpened()])
    async with held(executor, store) as first:
        others = [asyncio.create_task(executor.load("a", [f"u-{n + 1}", f"u-{n}"], ids_of)) for n in range(10)]
    versions = {"u-3": 1}
    assert await first == [("u-0", 0)]
    assert await asyncio.gather(*others) == [
        [(user, versions.get(user, 0)) for user in (f"u-{n + 1}", f"u-{n}")] for n in range(10)
    ]
    assert len(store.loads) == 2
    assert sorted(store.loads[1]) == sorted(f"u-{n}" for n in range(11))
    executor.close()


@on_a_loop
async def test_a_load_never_joins_a_call_that_began_before(make: Make) -> None:
    """A load that arrives while a call is under way sees what was acknowledged before it arrived."""
    executor, store = make()
    async with held(executor, store):
        store.append("u-0", [AccountOpened()])
        later = asyncio.create_task(executor.load("a", ["u-0"], ids_of))
    assert await later == [("u-0", 1)]
    assert len(store.loads) == 2
    executor.close()


@on_a_loop
async def test_a_call_has_at_most_a_thousand_users(make: Make) -> None:
    """Loads of more users than one call takes make several calls; together they are one load for each user."""
    executor, store = make()
    many = [[f"u-{n}-{m}" for m in range(MAX_JOINED_USERS)] for n in range(25)]
    async with held(executor, store):
        others = [asyncio.create_task(executor.load("a", ids, ids_of)) for ids in many]
    assert await asyncio.gather(*others) == [[(user, 0) for user in ids] for ids in many]
    assert [len(asked) for asked in store.loads] == [1, MAX_USERS, MAX_USERS, 500]
    executor.close()


@on_a_loop
async def test_a_larger_load_goes_alone_beside_the_joint_call(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load of more than a hundred users waits for no joint call, however slow that is."""
    monkeypatch.setattr(joint_loads, "PATIENCE_SECONDS", 60.0)
    executor, store = make()
    store.slow = {"u-0"}
    large = [f"u-{n + 1}" for n in range(MAX_JOINED_USERS + 1)]
    async with held(executor, store) as first:
        assert len(await executor.load("a", large, ids_of)) == len(large)
        assert not first.done()
    await first
    executor.close()


@on_a_loop
async def test_a_slow_call_delays_no_other_caller(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another caller's load waits for no call, however slow that is."""
    monkeypatch.setattr(joint_loads, "PATIENCE_SECONDS", 60.0)
    executor, store = make()
    store.slow = {"u-0"}
    async with held(executor, store) as first:
        assert await executor.load("b", ["u-1"], ids_of) == [("u-1", 0)]
        assert not first.done()
    await first
    executor.close()


@on_a_loop
async def test_a_slow_call_delays_no_later_one(make: Make) -> None:
    """When a call is slow, the next of the same caller begins beside it."""
    executor, store = make()
    store.slow = {"u-0"}
    async with held(executor, store) as first:
        assert await executor.load("a", ["u-1"], ids_of) == [("u-1", 0)]
        assert not first.done()
    assert await first == [("u-0", 0)]
    executor.close()


def stop(_: object) -> None:
    """Raise what a generator ends with, as an encoder that calls `next` would."""
    raise StopIteration


@on_a_loop
async def test_a_load_whose_answer_ends_in_stop_iteration_keeps_nobody_waiting(make: Make) -> None:
    """No future takes one before Python 3.12, so it is raised as another error, and all others are answered."""
    executor, store = make()
    async with held(executor, store):
        converts = [stop, ids_of, ids_of]
        loads = [asyncio.create_task(executor.load("a", [f"u-{n}"], each)) for n, each in enumerate(converts)]
    async with asyncio.timeout(20):
        found = await asyncio.gather(*loads, return_exceptions=True)
    assert isinstance(found[0], RuntimeError)
    assert found[1:] == [[("u-1", 0)], [("u-2", 0)]]
    executor.close()


@pytest.mark.parametrize("error", [TooLarge("ask for fewer"), StoreUnavailable("away"), RuntimeError("a bug")])
@on_a_loop
async def test_a_joint_call_that_fails_is_asked_again_one_by_one(make: Make, error: Exception) -> None:
    """One load that cannot be answered takes no answer from the others of its call."""
    executor, store = make()
    store.bad = {"u-bad": error}
    async with held(executor, store):
        names = ["u-1", "u-bad", "u-2"]
        loads = [asyncio.create_task(executor.load("a", [name], ids_of)) for name in names]
    found = await asyncio.gather(*loads, return_exceptions=True)
    assert found[::2] == [[("u-1", 0)], [("u-2", 0)]]
    assert isinstance(found[1], type(error))
    assert sorted(map(sorted, store.loads)) == [["u-0"], ["u-1"], ["u-1", "u-2", "u-bad"], ["u-2"], ["u-bad"]]
    executor.close()


@on_a_loop
async def test_an_answer_that_cannot_be_encoded_is_an_error_of_its_load_alone(make: Make) -> None:
    """What one load makes of the records raises to that load, and the store is not asked again."""
    executor, store = make()

    def refuse(_: Loaded) -> None:
        """Make no answer."""
        raise TooLarge("the answer is too large")

    async with held(executor, store):
        good = asyncio.create_task(executor.load("a", ["u-1"], ids_of))
        bad = asyncio.create_task(executor.load("a", ["u-2"], refuse))
    assert await good == [("u-1", 0)]
    with pytest.raises(TooLarge):
        await bad
    assert len(store.loads) == 2
    executor.close()


@on_a_loop
async def test_a_malformed_id_joins_nothing(make: Make) -> None:
    """An id that no user has is refused before it joins others, which are asked for once."""
    executor, store = make()
    async with held(executor, store):
        good = asyncio.create_task(executor.load("a", ["u-1"], ids_of))
        with pytest.raises(InvalidArguments):
            await executor.load("a", [" u-2"], ids_of)
    assert await good == [("u-1", 0)]
    assert store.loads == [["u-0"], ["u-1"]]
    executor.close()


@on_a_loop
async def test_who_leaves_is_not_asked_for(make: Make) -> None:
    """A load that was given up before its call began is left out of it, and holds up nobody."""
    executor, store = make()
    async with held(executor, store):
        gone = asyncio.create_task(executor.load("a", ["u-1"], ids_of))
        stays = asyncio.create_task(executor.load("a", ["u-2"], ids_of))
        await asyncio.sleep(0)
        gone.cancel()
    assert await stays == [("u-2", 0)]
    assert store.loads == [["u-0"], ["u-2"]]
    with pytest.raises(asyncio.CancelledError):
        await gone
    executor.close()


@on_a_loop
async def test_a_first_load_that_is_given_up_leaves_the_next_to_go_on(make: Make) -> None:
    """The loads that wait behind a load are answered although its caller has gone."""
    executor, store = make()
    async with held(executor, store) as first:
        stays = asyncio.create_task(executor.load("a", ["u-2"], ids_of))
        await asyncio.sleep(0)
        first.cancel()
    assert await stays == [("u-2", 0)]
    executor.close()


@on_a_loop
async def test_a_broken_ledger_answers_no_load() -> None:
    """Once the ledger is found broken, no load is answered, small or large."""
    executor = StoreExecutor(MemoryStore())
    executor.admission.broken = LedgerBroken(7, "altered")
    for users in (["u-1"], [f"u-{n}" for n in range(MAX_JOINED_USERS + 1)]):
        with pytest.raises(LedgerBroken):
            await executor.load("a", users, ids_of)
    executor.close()


@on_a_loop
async def test_many_loads_of_many_callers_are_each_answered_once() -> None:
    """Under a crowd each load gets its own users, and nothing is left waiting."""
    store = NotingStore()
    executor = StoreExecutor(store)

    async def one(number: int) -> bool:
        """Load a few users, and tell whether they came."""
        await asyncio.sleep(number % 17 / 1_000)
        users = [f"u-{number + more}" for more in range(number % 5)]
        return await executor.load(number % 7, users, ids_of) == [(user, 0) for user in users]

    assert all(await asyncio.gather(*map(one, range(2_000))))
    assert len(store.loads) < 1_000
    assert executor._records._lines == {}
    executor.close()


@on_a_loop
async def test_answers_too_large_together_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A joint call converts no more than one answer may have; each load after that gets a call of its own."""
    monkeypatch.setattr(joint_loads, "MAX_ANSWER_BYTES", 100)
    store = NotingStore()
    store.slow = {"u-0"}
    executor = StoreExecutor(store)
    async with held(executor, store):
        loads = [asyncio.create_task(executor.load("a", [f"u-{n}"], lambda _: b"x" * 60)) for n in range(1, 5)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*loads) == [b"x" * 60] * 4
    assert store.loads[1] == ["u-1", "u-2", "u-3", "u-4"]
    assert sorted(store.loads[2:]) == [["u-3"], ["u-4"]]
    executor.close()
