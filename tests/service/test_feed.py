"""Long polls: which wait, what wakes them, and the `waited` of their answers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import pytest

from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.service import tokens as tokens_module
from diijam_consent_sdk.service.feed import ChangeFeed
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.store_executor import StoreExecutor
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import Changes, Cursor, MemoryStore, SqliteStore
from tests.service.conftest import GRANTED, NONCE, OPENED, WITHDRAWN, Ask, Asker, Running, Start
from tests.service.crowd import polls, until_held
from tests.service.fakes import FaultyStore

T = TypeVar("T")
OPEN = [AccountOpened()]
PATIENCE_SECONDS = 20.0


class Clock:
    """A monotonic clock that goes on only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> FaultyStore:
    """A store in memory that can be broken."""
    return FaultyStore()


def run(
    store: FaultyStore, body: Callable[[ChangeFeed], Awaitable[T]], clock: Callable[[], float] = time.monotonic
) -> T:
    """Run *body* with polls over the store."""

    async def main() -> T:
        """Make the polls on this loop."""
        executor = StoreExecutor(store)
        feed = ChangeFeed(executor, clock=clock)
        try:
            return await body(feed)
        finally:
            feed.close()
            executor.close()

    return asyncio.run(asyncio.wait_for(main(), PATIENCE_SECONDS))


def poll(feed: ChangeFeed, after: Cursor, wait: float = 15.0) -> asyncio.Task[Changes]:
    """A request for changes whose client stays."""
    disconnected = asyncio.get_running_loop().create_future()
    return asyncio.create_task(feed.changes(after, wait=wait, limit=1000, disconnected=disconnected))


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    while not holds():  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.005)


def test_with_nothing_new_a_poll_waits_its_time(asker: Asker) -> None:
    """A poll without news is answered after `wait`, complete, and says that it waited about that long."""
    started = time.monotonic()
    found = asker.changes(asker.head(), wait=0.4)
    took = time.monotonic() - started
    assert (found["user_ids"], found["complete"]) == ({}, True)
    assert 0.35 < found["waited"] <= took < 2


def test_a_withdrawal_wakes_a_poll(asker: Asker, service: Running) -> None:
    """A withdrawal is with a waiting client within a fraction of a second, not after its wait."""
    asker.append("u-1", OPENED, GRANTED)
    head = asker.head()
    answered: list[Any] = []
    thread = threading.Thread(target=lambda: answered.append((asker.changes(head, wait=30), time.monotonic())))
    thread.start()
    asyncio.run(until_held(service.url, 1))
    asker.append("u-1", WITHDRAWN)
    acknowledged = time.monotonic()
    thread.join(20)
    ((found, at),) = answered
    assert list(found["user_ids"]) == ["u-1"]
    assert at - acknowledged < 0.25


def test_a_write_of_another_process_wakes_a_poll(store: FaultyStore) -> None:
    """What is written past this service, to the same store, wakes those who wait as well."""

    async def body(feed: ChangeFeed) -> Changes:
        """Wait, and write past the service."""
        waiting = poll(feed, store.inner.load(()).cursor)
        await until(lambda: "watch" in store.calls)
        store.inner.append("u-1", OPEN)
        return await waiting

    assert list(run(store, body).user_ids) == ["u-1"]


def test_a_crowd_costs_the_store_one_watcher_and_shared_looks(store: FaultyStore) -> None:
    """However many wait, one call waits on the store, and all who are woken together are answered by one look."""

    async def body(feed: ChangeFeed) -> list[Changes]:
        """Wait in a crowd, and wake it."""
        head = store.inner.load(()).cursor
        crowd = [poll(feed, head) for _ in range(500)]
        await until(lambda: feed.held == 500 and "watch" in store.calls)
        assert (store.calls.count("watch"), store.calls.count("changes")) == (1, 1)
        feed.wake(store.inner.append("u-1", OPEN).cursor)
        found = await asyncio.gather(*crowd)
        assert store.calls.count("changes") == 2
        return found

    assert all(list(found.user_ids) == ["u-1"] for found in run(store, body))


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_caller_who_looks_from_many_cursors_delays_no_other(store: FaultyStore, *, is_stream: bool) -> None:
    """Looks that are not shared wait for their caller's turn: another's poll is answered before that crowd's."""
    cursors = [store.inner.append(f"u-{number}", OPEN).cursor for number in range(40)]
    turn = store.holds["changes"] = threading.Event()

    async def look(feed: ChangeFeed, after: Cursor, caller: str, done: list[str]) -> None:
        """Look once."""
        if is_stream:
            with feed.stream(object(), after, wait=0, beat=1, limit=1000, caller=caller) as stream:
                await stream.next_part()
        else:
            gone = asyncio.get_running_loop().create_future()
            await feed.changes(after, wait=0, limit=1000, disconnected=gone, caller=caller)
        done.append(caller)

    async def body(feed: ChangeFeed) -> list[str]:
        """Look in a crowd, then once more for somebody else."""
        done: list[str] = []
        crowd = [asyncio.create_task(look(feed, cursor, "crowd", done)) for cursor in cursors]
        await until(lambda: "changes" in store.calls)
        other = asyncio.create_task(look(feed, cursors[0], "other", done))
        await asyncio.sleep(0.05)
        turn.set()
        await asyncio.gather(other, *crowd)
        return done

    assert run(store, body).index("other") < 10


def test_streams_that_stopped_at_many_heads_delay_no_other_caller(store: FaultyStore) -> None:
    """A client that reads nothing for a while stays where it was, though it has been at the head."""
    go, done = asyncio.Event(), list[str]()

    async def read(feed: ChangeFeed, caller: str, ready: list[str]) -> None:
        """Come to the head, stop there, and take another part."""
        after = store.inner.append(f"u-{len(ready)}", OPEN).cursor
        with feed.stream(object(), after, wait=60, beat=30, limit=1000, caller=caller) as stream:
            await stream.next_part()
            ready.append(caller)
            await go.wait()
            await stream.next_part()
        done.append(caller)

    async def body(feed: ChangeFeed) -> list[str]:
        """Let a crowd stop at many heads, and another caller at the last one; then there is news for all."""
        ready = list[str]()
        tasks = []
        for number, caller in enumerate([*["crowd"] * 40, "other"], 1):
            tasks.append(asyncio.create_task(read(feed, caller, ready)))
            await until(lambda number=number: len(ready) == number)  # type: ignore[misc]
        turn = store.holds["changes"] = threading.Event()
        go.set()
        store.inner.append("u-last", OPEN)
        feed.wake(None)
        await asyncio.sleep(0.3)
        turn.set()
        await asyncio.gather(*tasks)
        return done

    assert run(store, body).index("other") < 10


def test_polls_of_one_caller_leave_room_for_others(store: FaultyStore) -> None:
    """Each poll that waits keeps a connection: a caller's wait in half of them, and all callers' in three quarters."""

    async def body(feed: ChangeFeed) -> list[int]:
        """Wait as often as each caller may."""
        feed.room.connections = 8
        head, held = store.inner.load(()).cursor, []

        async def look(caller: str) -> Changes:
            """Wait for news."""
            gone = asyncio.get_running_loop().create_future()
            return await feed.changes(head, wait=15, limit=1000, disconnected=gone, caller=caller)

        for caller in ("crowd", "other"):
            found = [asyncio.create_task(look(caller)) for _ in range(10)]
            await asyncio.wait(found, timeout=0.3)
            assert {type(task.exception()) for task in found if task.done()} == {StoreUnavailable}
            held.append(sum(not task.done() for task in found))
        with pytest.raises(StoreUnavailable), feed.stream("s", head, wait=9, beat=1, limit=1, caller="other"):
            pass
        feed.stop()
        return held

    assert run(store, body) == [4, 2]


def test_without_waiting_nobody_watches(store: FaultyStore) -> None:
    """A poll that is answered at once starts no watcher."""
    run(store, lambda feed: poll(feed, store.inner.load(()).cursor, wait=0))
    assert store.calls == ["changes"]


def test_the_watcher_ends_when_nobody_waits(store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once everybody was answered, the store is left in peace."""
    monkeypatch.setattr("diijam_consent_sdk.service.feed.WATCH_SECONDS", 0.05)

    async def body(feed: ChangeFeed) -> int:
        """Wait, then go."""
        await poll(feed, store.inner.load(()).cursor, wait=0.2)
        await asyncio.sleep(0.2)
        before = len(store.calls)
        await asyncio.sleep(0.3)
        return len(store.calls) - before

    assert run(store, body) == 0


def test_waited_never_counts_a_look_that_lies_before_the_request(store: FaultyStore) -> None:
    """A request that arrives while a look is under way does not share it: that look may be older than the request."""
    clock = Clock()
    store.holds["changes"] = threading.Event()

    async def body(feed: ChangeFeed) -> tuple[Changes, Changes]:
        """Ask twice, the second time while the first look is under way."""
        head = store.inner.load(()).cursor
        early = poll(feed, head, wait=0)
        await until(lambda: store.calls == ["changes"])
        late = poll(feed, head, wait=0)
        clock.now += 7  # the first look takes long
        await until(lambda: store.calls == ["changes"] * 2)
        store.holds["changes"].set()
        return await early, await late

    early, late = run(store, body, clock)
    assert early.waited < 0.1
    assert late.waited < 0.1


def test_waited_is_read_before_the_last_look(store: FaultyStore) -> None:
    """A look that takes long makes no lease longer: `waited` ends where the look begins."""
    clock = Clock()

    async def body(feed: ChangeFeed) -> Changes:
        """Wait, be woken, and let the look take long."""
        waiting = poll(feed, store.inner.load(()).cursor)
        await until(lambda: feed.held == 1)
        store.holds["changes"] = threading.Event()
        looks = store.calls.count("changes")
        clock.now += 3
        feed.wake(store.inner.append("u-1", OPEN).cursor)
        await until(lambda: store.calls.count("changes") > looks)
        clock.now += 50
        store.holds["changes"].set()
        return await waiting

    assert run(store, body, clock).waited == pytest.approx(3, abs=0.1)


def test_what_the_store_waited_counts_too(store: FaultyStore) -> None:
    """A store that waited itself before it looked (another service) adds that to what the request waited here."""
    clock = Clock()
    store.said_waited = 2.0

    async def body(feed: ChangeFeed) -> Changes:
        """Wait, and be woken."""
        waiting = poll(feed, store.inner.load(()).cursor)
        await until(lambda: feed.held == 1)
        clock.now += 3
        feed.wake(store.inner.append("u-1", OPEN).cursor)
        return await waiting

    assert run(store, body, clock).waited == pytest.approx(5, abs=0.1)


def test_a_write_between_the_look_and_the_wait_is_not_missed(store: FaultyStore) -> None:
    """Whatever is committed after a request looked wakes it, also before the watcher knows the head."""
    store.holds["standings"] = threading.Event()

    async def body(feed: ChangeFeed) -> Changes:
        """Wait, and write before the watcher knows the head."""
        waiting = poll(feed, store.inner.load(()).cursor)
        await until(lambda: "standings" in store.calls)  # the watcher is about to learn the head
        store.inner.append("u-1", OPEN)
        store.holds["standings"].set()
        return await waiting

    assert list(run(store, body).user_ids) == ["u-1"]


def test_a_hung_watcher_makes_an_answer_late_but_never_wrong(store: FaultyStore) -> None:
    """When the watcher hangs, a request looks itself after its own time, and names who changed meanwhile."""
    store.holds["watch"] = threading.Event()

    async def body(feed: ChangeFeed) -> Changes:
        """Wait, and write past the watcher that hangs."""
        waiting = poll(feed, store.inner.load(()).cursor, wait=0.5)
        await until(lambda: "watch" in store.calls)
        store.inner.append("u-1", OPEN)
        found = await waiting
        store.holds["watch"].set()
        return found

    found = run(store, body)
    assert list(found.user_ids) == ["u-1"]
    assert found.waited == pytest.approx(0.5, abs=0.2)


def test_a_failing_watcher_goes_on(store: FaultyStore) -> None:
    """A watcher whose calls fail tries again, and wakes those who wait once they succeed."""
    store.fails["watch"] = StoreUnavailable("out of reach")

    async def body(feed: ChangeFeed) -> Changes:
        """Wait through failures, then write."""
        waiting = poll(feed, store.inner.load(()).cursor)
        await until(lambda: store.calls.count("watch") >= 3)
        store.inner.append("u-1", OPEN)
        store.fails.clear()
        return await waiting

    assert list(run(store, body).user_ids) == ["u-1"]


def test_a_poll_fails_as_its_look_does(store: FaultyStore) -> None:
    """What the store raises when a request looks is what the request gets."""
    store.fails["changes"] = StoreUnavailable("out of reach")
    with pytest.raises(StoreUnavailable):
        run(store, lambda feed: poll(feed, store.inner.load(()).cursor))


def test_stopping_answers_all_polls(store: FaultyStore) -> None:
    """When the service stops, those who wait get a complete answer at once, and so do those who ask then."""

    async def body(feed: ChangeFeed) -> tuple[Changes, Changes]:
        """Wait, stop, and ask again."""
        head = store.inner.load(()).cursor
        waiting = poll(feed, head, wait=60)
        await until(lambda: feed.held == 1)
        feed.stop()
        return await waiting, await poll(feed, head, wait=60)

    assert all(found.complete and not found.user_ids for found in run(store, body))


def test_a_client_that_went_away_is_not_waited_for(store: FaultyStore) -> None:
    """A request whose client is gone ends at once: polls that nobody reads do not pile up."""

    async def body(feed: ChangeFeed) -> int:
        """Wait, and be gone."""
        disconnected = asyncio.get_running_loop().create_future()
        head = store.inner.load(()).cursor
        waiting = asyncio.create_task(feed.changes(head, wait=60, limit=10, disconnected=disconnected))
        await until(lambda: feed.held == 1)
        disconnected.set_result(None)
        await waiting
        return feed.held

    assert run(store, body) == 0


def test_a_closed_connection_ends_its_poll(asker: Asker, service: Running, http: httpx.Client) -> None:
    """The service notices that a polling client has hung up."""
    with pytest.raises(httpx.ReadTimeout):
        asker.post("/v1/changes", {"nonce": NONCE, "after": asker.head(), "wait": 60}, timeout=0.3)
    asyncio.run(until_held(service.url, 0))


def test_a_revoked_token_gets_no_answer_from_its_poll(
    start: Start, ask_as: Ask, tmp_path: Any, http: httpx.Client
) -> None:
    """A poll whose token is revoked while it waits is refused when it would be answered."""
    tokens = tmp_path / "tokens.json"
    token = new_token(tokens, "reader", [Scope.READ])
    asker = Asker(start(tokens=tokens).url, token, http)
    head = asker.head()
    revoking = threading.Timer(0.2, tokens.write_text, ["[]"])
    revoking.start()
    answer = asker.post("/v1/changes", {"nonce": NONCE, "after": head, "wait": 1.0})
    assert answer.status_code == 401


class Later(datetime):
    """A clock that shows a time after the end of the tokens of these tests."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """The first instant of 2100."""
        return cls(2100, 1, 1, tzinfo=tz)


def test_a_token_that_expires_during_its_poll_gets_no_answer(
    start: Start, tmp_path: Path, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll that began in its token's time and would be answered after its end is refused, for that cause."""
    tokens = tmp_path / "tokens.json"
    token = new_token(tokens, "reader", [Scope.READ], expires_at=datetime(2099, 12, 31, tzinfo=UTC))
    store = MemoryStore()
    running = start(store, tokens=tokens)
    asker = Asker(running.url, token, http)
    head = asker.head()

    def expire_then_append() -> None:
        asyncio.run(until_held(running.url, 1))
        monkeypatch.setattr(tokens_module, "datetime", Later)
        store.append("u-1", [AccountOpened()])

    appending = threading.Thread(target=expire_then_append)
    appending.start()
    answer = asker.post("/v1/changes", {"nonce": NONCE, "after": head, "wait": 15.0})
    appending.join()
    assert answer.status_code == 401
    assert "the token has expired" in answer.json()["detail"]


@pytest.fixture
def crowded(start: Start, tmp_path: Any) -> Iterator[Running]:
    """A service over a ledger in a file."""
    store = SqliteStore(tmp_path / "consents.db")
    yield start(store)
    store.close()


def test_a_thousand_polls_are_held_and_answered_by_one_append(
    crowded: Running, ask_as: Ask, token_files: tuple[Any, dict[str, str]]
) -> None:
    """One process over a SQLite file holds 1,000 waiting clients, answers others too, and one append wakes all."""
    asker = ask_as(crowded)
    head = asker.head()
    acknowledged = 0.0

    async def append() -> None:
        """Once all wait: ask something else, then append."""
        nonlocal acknowledged
        await until_held(crowded.url, 1000)
        started = time.monotonic()
        await asyncio.to_thread(asker.load, "u-1")
        assert time.monotonic() - started < 1
        await asyncio.to_thread(asker.append, "u-1", OPENED)
        acknowledged = time.monotonic()

    question = {"nonce": NONCE, "after": head, "wait": 60}
    crowd = asyncio.run(polls(crowded.url, token_files[1]["read"], question, 1000, append))
    assert all(list(answer.body["user_ids"]) == ["u-1"] for answer in crowd)
    assert all(answer.body["waited"] <= answer.answered_at - answer.sent_at for answer in crowd)
    assert max(answer.answered_at for answer in crowd) - acknowledged < 5


def test_a_relay_passes_changes_on_and_counts_its_wait_soundly(start: Start, ask_as: Ask, http: httpx.Client) -> None:
    """A service over another service: a write to the first wakes a poll at the second, whose `waited` is true."""
    from diijam_consent_sdk.stores.http.store import HttpStore  # noqa: PLC0415

    origin_store = MemoryStore()
    origin = ask_as(start(origin_store))
    upstream = HttpStore(origin.url, token=origin.token)
    running = start(upstream)
    relay = ask_as(running)
    relay.append("u-1", OPENED)
    head = relay.head()
    assert head == origin.head()
    writing = threading.Timer(0.5, origin.append, ["u-1", GRANTED])
    writing.start()
    sent_at = time.monotonic()
    found = relay.changes(head, wait=10)
    took = time.monotonic() - sent_at
    assert list(found["user_ids"]) == ["u-1"]
    assert 0.3 < found["waited"] <= took < 2
    running.stop()
    upstream.close()


def test_whether_a_cursor_is_of_the_history_is_asked_of_the_store_each_time(store: FaultyStore) -> None:
    """Rule 6: a relay asks its upstream, after the request arrived, before it answers that a head is unknown."""
    store.append("u", OPEN)
    head = store.load(()).cursor
    ahead = Cursor(head.epoch, head.position + 1, "ff" * 32)

    async def body(feed: ChangeFeed) -> None:
        """The same question again and again: unknown, until upstream has got there."""
        for _ in range(3):
            asked = store.calls.count("changes")
            found = await poll(feed, ahead, wait=0)
            assert (found.cursor, found.user_ids, found.complete) == (head, {}, True)
            assert store.calls.count("changes") == asked + 1
        store.append("v", OPEN)
        new = store.load(()).cursor
        assert (await poll(feed, new, wait=0)).is_continuation()
        assert list((await poll(feed, head, wait=0)).user_ids) == ["v"]

    run(store, body)
