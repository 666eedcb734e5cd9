"""Streams without HTTP: which looks their parts rest on, and what a thousand of them cost the store."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Self, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diijam_consent_sdk.errors import LedgerBroken, StoreUnavailable
from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.service import streams
from diijam_consent_sdk.service.feed import ChangeFeed
from diijam_consent_sdk.service.parts import Part
from diijam_consent_sdk.service.stream import Stream
from diijam_consent_sdk.standing import AskScope, view_names
from diijam_consent_sdk.stores import Changes, Cursor, Write, wire
from diijam_consent_sdk.stores.messages import ChangesAnswer
from tests.service.fakes import FaultyStore
from tests.service.test_feed import Clock, run, until

T = TypeVar("T")
OPEN = [AccountOpened()]
CURSORS = st.builds(Cursor, st.text(max_size=20), st.integers(0, 2**63 - 1), st.text("0123456789abcdef", max_size=64))
USERS = st.dictionaries(st.text(max_size=20), st.integers(0, 2**63 - 1), max_size=5)
VIEWS = st.frozensets(st.sampled_from(AskScope))


@pytest.fixture
def store() -> FaultyStore:
    """A store in memory that can be broken."""
    return FaultyStore()


class Crowd:
    """Streams that are open, with their parts."""

    def __init__(self, feed: ChangeFeed, after: Cursor) -> None:
        self._feed, self._after = feed, after
        self._open = ExitStack()
        self.all: list[Stream] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, many: int = 1, *, beat: float = 60.0, wait: float = 300.0, limit: int = 1000) -> list[Stream]:
        """Open streams."""
        new = [
            self._open.enter_context(
                self._feed.stream(len(self.all) + n, self._after, wait=wait, beat=beat, limit=limit)
            )
            for n in range(many)
        ]
        self.all += new
        return new

    async def parts(self) -> list[Part]:
        """Wait until each stream has its next part."""
        found = await asyncio.gather(*(stream.next_part() for stream in self.all))
        return [part for part in found if part is not None]


Body = Callable[[ChangeFeed, Crowd], Awaitable[T]]


def run_crowd(store: FaultyStore, body: Body[T], clock: Clock | None = None, after: Cursor | None = None) -> T:
    """Run *body* with a feed over the store, and streams from *after*, or else from the store's head."""

    async def main(feed: ChangeFeed) -> T:
        """Make the crowd on this loop."""
        with Crowd(feed, after or store.inner.load(()).cursor) as crowd:
            return await body(feed, crowd)

    return run(store, main) if clock is None else run(store, main, clock)


FOUND = st.builds(Changes, CURSORS, CURSORS, USERS, st.booleans(), st.just(7.0), VIEWS)


@given(found=FOUND, seen=VIEWS, waited=st.floats(0, 400))
def test_a_line_is_the_answer_in_canonical_json(found: Changes, seen: frozenset[AskScope], waited: float) -> None:
    """Each line reads as the answer, in the narrower view, with no more `waited` than there was."""
    line = Part(1000.0 + waited, found).line(wire.encode("n" * 16), seen, 1000.0)
    assert line.endswith(b"}\n")
    answer = wire.read(line[:-1], ChangesAnswer)
    assert (answer.nonce, answer.after, answer.cursor) == ("n" * 16, found.after, found.cursor)
    assert (answer.complete, answer.view) == (found.complete, view_names(found.view & seen))
    assert list(answer.user_ids.items()) == list(found.user_ids.items())
    assert waited - 0.002 < answer.waited <= 1000.0 + waited - 1000.0
    assert list(json.loads(line)) == sorted(json.loads(line))


def test_a_thousand_streams_cost_one_look_and_one_encoding(store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each change the store is asked once, and what all get is encoded once."""
    encoded = []

    class Counted(Part):
        """Notes what it encodes."""

        def __init__(self, looked_at: float, found: Changes) -> None:
            encoded.append(found)
            super().__init__(looked_at, found)

    monkeypatch.setattr(streams, "Part", Counted)

    async def body(feed: ChangeFeed, crowd: Crowd) -> list[Part]:
        """Open a thousand streams, and change something."""
        crowd.add(1000)
        await crowd.parts()
        assert (store.calls.count("changes"), len(encoded)) == (1, 1)
        coming = asyncio.create_task(crowd.parts())
        for _ in range(3):  # until each of the thousand has asked
            await asyncio.sleep(0)
        await asyncio.sleep(0.2)
        feed.wake(store.inner.append("u-1", OPEN).cursor)
        return await coming

    found = run_crowd(store, body)
    assert len({id(part) for part in found}) == 1
    assert found[0].found.user_ids == {"u-1": 1}
    assert store.calls.count("changes") == 2
    assert store.calls.count("watch") <= 2


def test_streams_with_different_limits_share_their_looks(store: FaultyStore) -> None:
    """Streams of a thousand limits cost eleven looks at most, and no part has more than its limit."""

    async def body(feed: ChangeFeed, crowd: Crowd) -> list[int]:
        """Open streams of every limit after a thousand entries."""
        for limit in range(1, 1001):
            crowd.add(limit=limit)
        return [len(part.found.user_ids) for part in await crowd.parts()]

    after = store.inner.load(()).cursor
    for start in range(0, 1000, 100):
        store.inner.append_many([Write(f"u-{n}", OPEN) for n in range(start, start + 100)])
    sizes = run_crowd(store, body, after=after)
    assert all(limit / 2 < size <= limit for limit, size in enumerate(sizes, 1))
    assert store.calls.count("changes") <= 11


def test_streams_that_began_apart_come_together(store: FaultyStore) -> None:
    """However apart streams began, news is soon with all of them by one look."""

    async def body(feed: ChangeFeed, crowd: Crowd) -> int:
        """Open streams apart, and change something again and again."""
        for _ in range(20):
            await crowd.add()[0].next_part()
            await asyncio.sleep(0.003)
        for number in range(4):
            coming = asyncio.create_task(crowd.parts())
            await asyncio.sleep(0)
            looks = store.calls.count("changes")
            feed.wake(store.inner.append(f"u-{number}", OPEN).cursor)
            await coming
        return store.calls.count("changes") - looks

    assert run_crowd(store, body) <= 2


def test_a_look_that_began_before_the_request_is_no_part_for_it(store: FaultyStore) -> None:
    """A stream that is opened during a look waits for another, which begins after its request arrived."""
    clock = Clock()
    store.holds["changes"] = threading.Event()

    async def body(_: ChangeFeed, crowd: Crowd) -> tuple[Part, Part]:
        """Open a stream, and another while the first one's look is under way."""
        early = asyncio.create_task(crowd.add()[0].next_part())
        await until(lambda: "changes" in store.calls)
        clock.now += 7
        late = asyncio.create_task(crowd.add()[0].next_part())
        await until(lambda: store.calls.count("changes") == 2)
        clock.now += 50
        store.holds["changes"].set()
        first, second = await early, await late
        assert first is not None
        assert second is not None
        assert crowd.all[1].arrived_at == 107.0
        return first, second

    first, second = run_crowd(store, body, clock)
    assert (first.looked_at, second.looked_at) == (100.0, 107.0)


def test_waited_is_what_this_service_measured_alone(store: FaultyStore) -> None:
    """What the store says that it waited counts for no part, whose time is read before the store is asked."""
    clock, store.said_waited = Clock(), 30.0

    async def body(_: ChangeFeed, crowd: Crowd) -> bytes:
        """Take a part, two seconds after the request arrived."""
        (stream,) = crowd.add()
        clock.now += 2
        part = await stream.next_part()
        assert part is not None
        return part.line(b'"n"', frozenset(), stream.arrived_at)

    assert json.loads(run_crowd(store, body, clock))["waited"] == 2.0


def test_no_part_is_made_before_the_last_was_taken(store: FaultyStore) -> None:
    """While the client's socket has not taken a part, nothing is looked up; then all news is one part."""

    async def body(feed: ChangeFeed, crowd: Crowd) -> Part:
        """Take a part, change much, then take the next."""
        (stream,) = crowd.add(beat=0.05)
        await stream.next_part()
        for number in range(5):
            feed.wake(store.inner.append(f"u-{number}", OPEN).cursor)
            await asyncio.sleep(0.08)
        assert store.calls.count("changes") == 1
        part = await stream.next_part()
        assert part is not None
        return part

    assert list(run_crowd(store, body).found.user_ids) == [f"u-{number}" for number in range(5)]


def test_news_during_a_look_is_not_missed(store: FaultyStore) -> None:
    """A change that is committed while a look is under way, and that this look missed, is looked up next."""
    store.holds["watch"] = threading.Event()  # the watcher is no help

    async def body(feed: ChangeFeed, crowd: Crowd) -> list[str]:
        """Change something during a look that does not see it."""
        (stream,) = crowd.add()
        await stream.next_part()
        coming = asyncio.create_task(stream.next_part())
        await asyncio.sleep(0.1)
        store.answer = threading.Event()
        feed.wake(store.inner.append("u-1", OPEN).cursor)
        await until(lambda: store.calls.count("changes") == 2)
        await asyncio.sleep(0.05)
        feed.wake(store.inner.append("u-2", OPEN).cursor)
        await asyncio.sleep(0.3)  # a wave comes by meanwhile
        store.answer.set()
        parts = [await coming, await stream.next_part()]
        store.holds["watch"].set()
        return [user_id for part in parts if part is not None for user_id in part.found.user_ids]

    assert run_crowd(store, body) == ["u-1", "u-2"]


def test_a_look_in_vain_is_no_part(store: FaultyStore) -> None:
    """A stream that is woken without news gets no part before its beat."""

    async def body(feed: ChangeFeed, crowd: Crowd) -> bool:
        """Wake all streams for nothing."""
        (stream,) = crowd.add()
        await stream.next_part()
        coming = asyncio.create_task(stream.next_part())
        await asyncio.sleep(0.1)
        feed.wake(None)
        await until(lambda: store.calls.count("changes") == 2)
        await asyncio.sleep(0.1)
        is_quiet = not coming.done()
        feed.wake(store.inner.append("u-1", OPEN).cursor)
        assert await coming is not None
        return is_quiet

    assert run_crowd(store, body)


def test_a_store_that_is_away_gives_no_part(store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """While looks fail there is no part, not for a beat either; once they succeed, there is all the news."""
    monkeypatch.setattr(streams, "RETRY_SECONDS", 0.1)

    async def body(_: ChangeFeed, crowd: Crowd) -> Part | None:
        """Let the store be away for several beats, then change something."""
        (stream,) = crowd.add(beat=0.05)
        await stream.next_part()
        store.fails["changes"] = store.fails["watch"] = StoreUnavailable("out of reach")
        coming = asyncio.create_task(stream.next_part())
        await until(lambda: store.calls.count("changes") >= 4)
        assert not coming.done()
        store.inner.append("u-1", OPEN)
        store.fails.clear()
        return await coming

    part = run_crowd(store, body)
    assert part is not None
    assert list(part.found.user_ids) == ["u-1"]


def test_a_first_look_that_fails_is_an_error(store: FaultyStore) -> None:
    """A stream over a store that is away never begins: its client gets the problem."""
    store.fails["changes"] = StoreUnavailable("out of reach")

    async def body(_: ChangeFeed, crowd: Crowd) -> None:
        """Open a stream."""
        await crowd.add()[0].next_part()

    with pytest.raises(StoreUnavailable):
        run_crowd(store, body)


def test_a_broken_ledger_ends_streams(store: FaultyStore) -> None:
    """What cannot be trusted any more is told by no further part: streams end at the next look."""

    async def body(feed: ChangeFeed, crowd: Crowd) -> None:
        """Find the ledger broken."""
        (stream,) = crowd.add()
        await stream.next_part()
        coming = asyncio.create_task(stream.next_part())
        await asyncio.sleep(0.1)
        store.fails["changes"] = LedgerBroken(1, "its content was altered")
        feed.wake(None)
        with pytest.raises(LedgerBroken):
            await coming
        assert await stream.next_part() is None

    run_crowd(store, body)


def test_a_slow_look_of_one_delays_no_other(store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams at another cursor do not wait for a look that hangs."""
    monkeypatch.setattr(streams, "PATIENCE_SECONDS", 0.05)

    async def body(feed: ChangeFeed, crowd: Crowd) -> Part | None:
        """Let one look hang, and change something."""
        slow, quick = crowd.add(limit=1)[0], crowd.add(limit=2)[0]
        await crowd.parts()
        hanging = asyncio.create_task(slow.next_part())
        await asyncio.sleep(0.1)
        store.holds["changes"] = threading.Event()
        feed.wake(store.inner.append("u-1", OPEN).cursor)
        await until(lambda: store.calls.count("changes") == 3)
        held = store.holds.pop("changes")
        feed.wake(store.inner.append("u-2", OPEN).cursor)
        part = await quick.next_part()
        assert not hanging.done()
        held.set()
        await hanging
        return part

    assert run_crowd(store, body) is not None


def test_a_stop_ends_streams_and_new_ones_get_one_part(store: FaultyStore) -> None:
    """From a stop on, a stream has its first part and no other."""

    async def body(feed: ChangeFeed, crowd: Crowd) -> list[Part | None]:
        """Stop while one stream waits, and open another."""
        (stream,) = crowd.add()
        await stream.next_part()
        coming = asyncio.create_task(stream.next_part())
        await asyncio.sleep(0.05)
        feed.stop()
        (late,) = crowd.add()
        return [await coming, await late.next_part(), await late.next_part()]

    waiting, first, second = run_crowd(store, body)
    assert first is not None
    assert (waiting, second) == (None, None)


def test_the_watcher_ends_with_the_last_stream(store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once all streams are closed, the store is left in peace."""
    monkeypatch.setattr("diijam_consent_sdk.service.feed.WATCH_SECONDS", 0.05)

    async def body(feed: ChangeFeed, crowd: Crowd) -> int:
        """Close a stream, and count the calls after a while."""
        await crowd.add()[0].next_part()
        await until(lambda: "watch" in store.calls)
        assert feed.streams == 1
        crowd.__exit__()
        assert feed.streams == 0
        await asyncio.sleep(0.2)
        before = len(store.calls)
        await asyncio.sleep(0.3)
        return len(store.calls) - before

    assert run_crowd(store, body) == 0
