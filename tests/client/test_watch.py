"""A watch: everybody, then who changes; nobody is missed, and another history is never taken for the same."""

from __future__ import annotations

import asyncio
import gc
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import (
    AsyncConsentClient,
    Channel,
    ConsentClient,
    Field,
    Market,
    Process,
    Purpose,
    RequestKind,
    Show,
    _clock,
)
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client import ledger_operations
from diijam_consent_sdk.client import watch as client_watch
from diijam_consent_sdk.client.limiter import MAX_CALLS
from diijam_consent_sdk.client.watch import REMEMBERED_BYTES, Watched
from diijam_consent_sdk.client.watch_token import WatchToken
from diijam_consent_sdk.decisions import decide
from diijam_consent_sdk.errors import (
    ClientClosed,
    HistoryChanged,
    InvalidEvent,
    NotEntitled,
    StoreUnavailable,
    StoreUnusable,
    TooLarge,
)
from diijam_consent_sdk.standing import AskScope
from diijam_consent_sdk.stores import Changes, Cursor, MemoryStore, SqliteStore, Store
from diijam_consent_sdk.stores.protocol import Standings, StandingsPage
from diijam_consent_sdk.stores.standings import decode_standing, encode_standing
from diijam_consent_sdk.testing import unreachable
from tests.strategies import events

MAIL = Market(Channel.EMAIL)
OPENED = e.AccountOpened()
YES = e.Granted(Purpose.MARKETING, "n-1", {Channel.EMAIL})
NO = e.Withdrawn(Purpose.MARKETING)

Copy = dict[str, bool]
Found = TypeVar("Found", Standings, StandingsPage)


class Between:
    """A store between a client and another one, which a test can exchange, break and alter."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.failing: Exception | None = None
        self.most = 1000  # users in one answer
        self.scope: AskScope | None = None

    def __getattr__(self, name: str) -> object:
        if self.failing is not None:
            raise self.failing
        return getattr(self.inner, name)

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        if self.failing is not None:
            raise self.failing
        return self.inner.changes(after, wait=min(wait, 0.05), limit=limit)

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        ids = tuple(user_ids)
        if self.failing is not None:
            raise self.failing
        if len(ids) > self.most:
            raise TooLarge("ask for fewer users")
        return self._narrowed(self.inner.standings(ids))

    def list_standings(self, after_user_id: str | None, limit: int = 1000) -> StandingsPage:
        """See `Store.list_standings`."""
        if self.failing is not None:
            raise self.failing
        return self._narrowed(self.inner.list_standings(after_user_id, min(limit, self.most)))

    def _narrowed(self, found: Found) -> Found:
        if self.scope is None:
            return found
        view = frozenset({self.scope})
        users = tuple(
            type(row)(
                row.user_id, row.version, encode_standing(decode_standing(row.standing, found.view).narrowed(view))
            )
            for row in found.users
        )
        return attrs.evolve(found, view=view, users=users)


@pytest.fixture
def store() -> Between:
    """A ledger of three customers: u-1 may be mailed, u-2 may not, u-3 was erased; u-0 never had an account."""
    store = MemoryStore()
    store.append("u-0", [NO])
    store.append("u-1", [OPENED, YES])
    store.append("u-2", [OPENED])
    store.append("u-3", [OPENED, YES, e.RequestFiled("q", RequestKind.ERASURE), e.Erased()])
    return Between(store)


@pytest.fixture
def client(store: Between) -> Iterator[ConsentClient]:
    """A client of it."""
    with ConsentClient(store, follow=False, deadline=5, max_staleness=2) as client:  # type: ignore[arg-type]
        yield client


def take(watch: Iterator[Watched], count: int) -> list[Watched]:
    """The next items."""
    return list(islice(watch, count))


def said(items: Iterable[Watched]) -> list[tuple[str, bool]]:
    """Whom the items are about, and whether it is a yes."""
    return [(item.user_id, item.decision.allowed) for item in items]


def test_everybody_first(client: ConsentClient) -> None:
    """Everybody with an account, now or once, is in the snapshot, in order; an erased user is denied."""
    items = take(client.watch(MAIL), 3)
    assert said(items) == [("u-1", True), ("u-2", False), ("u-3", False)]
    assert all(item.is_snapshot for item in items)
    assert items[2].decision.reason == "erased"


CHANGES: list[tuple[str, list[e.Event], bool]] = [
    ("a no", [NO], False),
    ("a yes", [e.Granted(Purpose.MARKETING, "n-2", {Channel.EMAIL})], True),
    ("a restriction", [e.Restricted({Field.EMAIL})], False),
    ("an objection", [e.Objected(Purpose.MARKETING)], False),
    ("a closing", [e.AccountClosed()], False),
    ("an erasure", [e.RequestFiled("q", RequestKind.ERASURE), e.Erased()], False),
    ("another matter", [e.Published(Field.AVATAR)], True),
]


@pytest.mark.parametrize(("events", "allowed"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_each_change_gives_an_item(events: list[e.Event], allowed: bool, client: ConsentClient, store: Between) -> None:
    """Whoever changes after the snapshot is given again, with the answer of now."""
    watch = iter(client.watch(MAIL))
    take(watch, 3)
    store.inner.append("u-1", events)
    (item,) = take(watch, 1)
    assert (item.user_id, item.decision.allowed, item.is_snapshot) == ("u-1", allowed, False)


def test_a_user_who_comes_later(client: ConsentClient, store: Between) -> None:
    """A new customer is an item, and so is one whose no comes before any account."""
    watch = iter(client.watch(MAIL))
    take(watch, 3)
    store.inner.append("u-4", [OPENED, YES])
    store.inner.append("u-5", [NO])
    assert said(take(watch, 2)) == [("u-4", True), ("u-5", False)]


def test_until(client: ConsentClient, store: Between) -> None:
    """A yes has the instant from which it is a no; ends of other choices, and of a no, are none of its own."""
    now = store.inner.load([]).at
    end = now + timedelta(days=3)
    store.inner.append("u-4", [OPENED, e.Granted(Purpose.MARKETING, "n", {Channel.EMAIL}, end)])
    store.inner.append("u-5", [OPENED, YES, e.Granted(Purpose.SURVEYS, "n", (), end)])
    store.inner.append("u-6", [OPENED, e.Granted(Purpose.MARKETING, "n", {Channel.CALL}, end)])
    ends = {item.user_id: item.until for item in take(client.watch(MAIL), 6)}
    assert {user_id: end for user_id, end in ends.items() if end} == {"u-4": end}


@pytest.mark.parametrize("seen", range(8))
def test_going_on_after_any_item(seen: int, client: ConsentClient, store: Between) -> None:
    """Broken off after any item, also within the snapshot, the rest comes from its token on, and nobody is missed."""
    store.most = 2
    for number in range(4, 8):
        store.inner.append(f"u-{number}", [OPENED, YES])
    watch = iter(client.watch(MAIL))
    first = take(watch, seen)
    store.inner.append("u-1", [NO])
    store.inner.append("u-7", [NO])
    after = first[-1].token if first else None
    mine = dict(said(first))
    for item in client.watch(MAIL, after):
        mine[item.user_id] = item.decision.allowed
        if mine == truth(store.inner):
            break
    assert mine["u-1"] is mine["u-7"] is False


def truth(store: Store) -> Copy:
    """What a true copy holds."""
    loaded = store.load([f"u-{number}" for number in range(10)])
    answers = {record.user_id: decide(record, MAIL, loaded.at) for record in loaded.records}
    return {user_id: answer.allowed for user_id, answer in answers.items() if answer.reason != "unknown_user"}


STEPS = st.lists(st.tuples(st.sampled_from(["write", "write", "take", "crash"]), st.integers(0, 5)), max_size=30)
WRITES = st.lists(st.tuples(st.integers(0, 9), events()), min_size=30, max_size=30)


@settings(max_examples=60)
@given(STEPS, WRITES, st.integers(1, 4))
def test_a_copy_comes_true(steps: list[tuple[str, int]], writes: list[tuple[int, e.Event]], most: int) -> None:
    """Whatever is written, and whenever the consumer dies and has only the last token, the copy is true in the end."""
    store = Between(MemoryStore())
    store.most = most
    todo, copy = iter(writes), Consumer()
    for number in range(3):
        store.inner.append(f"u-{number}", [OPENED, YES])
    with ConsentClient(store, follow=False, deadline=5, max_staleness=2) as client:  # type: ignore[arg-type]
        watch = iter(client.watch(MAIL))
        for step, count in steps:
            if step == "write":
                for number, event in islice(todo, count):
                    with suppress(InvalidEvent, ValueError):
                        store.inner.append(f"u-{number}", [event])
            elif step == "crash":
                watch = iter(client.watch(MAIL, copy.token))
            elif copy.token is None:
                copy.take_in(next(watch))
        for marker in ("z", "a"):  # the first may come at the end of the snapshot, the second only after it
            store.inner.append(marker, [OPENED])
            for item in watch:
                copy.take_in(item)
                if item.user_id == marker:
                    break
    assert {user_id for user_id, yes in copy.yes.items() if yes} == {u for u, yes in truth(store.inner).items() if yes}


@attrs.define
class Consumer:
    """A copy of everybody's answer, and the token kept with it."""

    yes: dict[str, bool] = attrs.field(factory=dict)
    token: str | None = None

    def take_in(self, item: Watched) -> None:
        """Take an item as the truth."""
        self.yes[item.user_id], self.token = item.decision.allowed, item.token


def test_async(store: Between) -> None:
    """The same through the client for asyncio."""

    async def main() -> list[tuple[str, bool]]:
        """Watch the snapshot and one change."""
        seen: list[Watched] = []
        async with AsyncConsentClient(store, follow=False, deadline=5) as client:  # type: ignore[arg-type]
            async for item in client.watch(MAIL):
                seen.append(item)
                if len(seen) == 3:
                    store.inner.append("u-1", [NO])
                if len(seen) == 4:
                    break
        return said(seen)

    assert asyncio.run(main()) == [("u-1", True), ("u-2", False), ("u-3", False), ("u-1", False)]


def test_a_no_comes_soon(client: ConsentClient, store: Between) -> None:
    """A watch that waits gives a no within moments."""
    watch = iter(client.watch(MAIL))
    take(watch, 3)
    threading.Timer(0.3, store.inner.append, ["u-1", [NO]]).start()
    started = time.monotonic()
    assert said(take(watch, 1)) == [("u-1", False)]
    assert time.monotonic() - started < 5


def test_a_short_outage_is_passed_over(client: ConsentClient, store: Between) -> None:
    """What fails is asked for again; the items go on, and none is left out."""
    watch = iter(client.watch(MAIL))
    take(watch, 3)
    store.failing = unreachable()

    def heal() -> None:
        """Write during the outage, then end it."""
        store.inner.append("u-1", [NO])
        store.failing = None

    threading.Timer(0.5, heal).start()
    assert said(take(watch, 1)) == [("u-1", False)]


def test_a_long_outage_is_raised(client: ConsentClient, store: Between) -> None:
    """Without any answer for `max_staleness` the consumer is told, and the last token still holds."""
    watch = iter(client.watch(MAIL))
    token = take(watch, 3)[-1].token
    store.failing = unreachable()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        next(watch)
    assert time.monotonic() - started < 6
    store.failing = None
    store.inner.append("u-1", [NO])
    assert said(take(client.watch(MAIL, token), 1)) == [("u-1", False)]


@pytest.fixture
def forked(tmp_path: Path) -> tuple[SqliteStore, SqliteStore]:
    """Two ledgers of one history until u-1 was opened, as after a failover that lost entries."""
    one = SqliteStore(tmp_path / "one.db")
    one.append("u-1", [OPENED])
    one.close()
    shutil.copy(tmp_path / "one.db", tmp_path / "two.db")
    return SqliteStore(tmp_path / "one.db"), SqliteStore(tmp_path / "two.db")


@pytest.mark.parametrize("has_overtaken", [False, True])
@pytest.mark.parametrize("resumes", [False, True])
def test_lost_entries_are_another_history(
    has_overtaken: bool, resumes: bool, forked: tuple[SqliteStore, SqliteStore]
) -> None:
    """A yes that the store lost is never kept: a watch that goes on, or begins from the token, raises."""
    store = Between(forked[0])
    with ConsentClient(store, follow=False, deadline=5, max_staleness=2) as client:  # type: ignore[arg-type]
        watch = iter(client.watch(MAIL))
        take(watch, 1)
        forked[0].append("u-1", [YES])
        (item,) = take(watch, 1)
        assert item.decision
        if has_overtaken:
            for _ in range(3):
                forked[1].append("u-2", [NO])
        store.inner = forked[1]
        with pytest.raises(HistoryChanged, match="after=None"):
            take(client.watch(MAIL, item.token) if resumes else watch, 5)


class Eager(Between):
    """Writes a yes just before the standings of the next page are read."""

    is_armed = False

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        if self.is_armed:
            self.is_armed = False
            self.inner.append("u-1", [YES])
        return super().standings(user_ids)


@pytest.mark.parametrize("resumes", [False, True])
def test_a_lost_head_past_the_token(resumes: bool, tmp_path: Path) -> None:
    """An answer read past its page's end rests on a head that the token names, so its loss is seen as well."""
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    store = Eager(SqliteStore(one))
    store.inner.append("u-1", [OPENED])
    with ConsentClient(store, follow=False, deadline=5, max_staleness=2) as client:  # type: ignore[arg-type]
        watch = iter(client.watch(MAIL))
        take(watch, 1)
        store.inner.append("u-1", [e.Published(Field.AVATAR)])
        store.inner.close()
        shutil.copy(one, two)  # has all but the yes that comes next
        store.inner, store.is_armed = SqliteStore(one), True
        (item,) = take(watch, 1)
        assert item.decision
        place = WatchToken.parse(item.token)
        assert place.rests_on is not None
        assert place.rests_on.position == place.cursor.position + 1
        store.inner = SqliteStore(two)
        threading.Timer(5, client.close).start()  # ends a watch that would wait for ever
        with pytest.raises(HistoryChanged):
            take(client.watch(MAIL, item.token) if resumes else watch, 5)


def test_a_restored_copy_in_the_snapshot(forked: tuple[SqliteStore, SqliteStore]) -> None:
    """A snapshot that went on over another history is none: it raises before a token leaves the first."""
    for number in range(2, 6):
        forked[0].append(f"u-{number}", [OPENED, YES])
    store = Between(forked[0])
    store.most = 2
    with ConsentClient(store, follow=False, deadline=5, max_staleness=2) as client:  # type: ignore[arg-type]
        watch = iter(client.watch(MAIL))
        take(watch, 2)
        store.inner = forked[1]
        with pytest.raises(HistoryChanged):
            take(watch, 5)


def test_an_ask_outside_the_view(client: ConsentClient, store: Between) -> None:
    """A token that is not for such asks raises, and names the scope; nothing reads as a no."""
    store.scope = AskScope.PROFILE
    with pytest.raises(NotEntitled, match="ask:marketing"):
        take(client.watch(MAIL), 1)
    assert said(take(client.watch(Show(Field.AVATAR)), 1)) == [("u-1", False)]


def test_answers_too_large_together(client: ConsentClient, store: Between) -> None:
    """A page of changes whose standings are too large together is read in parts."""
    watch = iter(client.watch(MAIL))
    take(watch, 3)
    for number in range(1, 8):
        user_id = f"u-{number}"
        if number != 3:
            store.inner.append(user_id, [OPENED] if number > 3 else [NO])
    store.most = 2
    assert {item.user_id for item in take(watch, 6)} == {f"u-{number}" for number in (1, 2, 4, 5, 6, 7)}


class Rotating(Between):
    """Lets its token ask other things after the first answer about one user."""

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        found = super().standings(user_ids)
        if found.users:
            self.scope = AskScope.ANALYTICS
        return found


def test_two_views_in_one_page() -> None:
    """A standing that was narrowed to other asks, without an objection, is not read as one for this ask."""
    store = Rotating(MemoryStore())
    for number in (1, 2):
        store.inner.append(f"u-{number}", [OPENED])
    ask = Process(Purpose.FRAUD_DETECTION, ())
    with ConsentClient(store, follow=False, deadline=5, max_staleness=2) as client:  # type: ignore[arg-type]
        watch = iter(client.watch(ask))
        take(watch, 2)
        for number in (1, 2):
            store.inner.append(f"u-{number}", [e.Objected(Purpose.FRAUD_DETECTION)])
        store.most, store.scope = 1, AskScope.PROFILE
        assert said(take(watch, 2)) == [("u-1", False), ("u-2", False)]


@pytest.mark.parametrize("standing", [b"", b"{}", b'{"account":"open"}'])
def test_a_standing_that_cannot_be_read(standing: bytes, client: ConsentClient, store: Between) -> None:
    """It is no answer: the watch raises."""
    page = store.inner.list_standings(None)
    row = page.users[0]
    broken = attrs.evolve(page, users=(type(row)(row.user_id, row.version, standing),))
    store.list_standings = lambda *_: broken  # type: ignore[method-assign]
    with pytest.raises(StoreUnusable):
        take(client.watch(MAIL), 1)


@pytest.mark.parametrize("token", ["", "yesterday", "a.1.b~!", "a.1.b+c", "a.1.b~", "a.1.b~AA", 7])
def test_what_is_no_token(token: str, client: ConsentClient) -> None:
    """It is refused at once."""
    if token == "a.1.b~":  # the beginning of a snapshot
        assert WatchToken.parse(token).last == ""
        return
    with pytest.raises((TypeError, ValueError), match="token"):
        client.watch(MAIL, token)


def test_what_is_no_ask(client: ConsentClient) -> None:
    """Only an ask can be watched."""
    with pytest.raises(TypeError):
        client.watch("market email")  # type: ignore[arg-type]


def test_tokens_are_printed_and_read() -> None:
    """Whatever the id, a token is one line of ASCII, and reads as it was; its text shows no id."""
    cursor = Cursor("e" * 32, 7, "ab" * 32)
    for place in (
        WatchToken(cursor),
        WatchToken(cursor, cursor),
        WatchToken(cursor, None, "Bảo~+."),
        WatchToken(cursor, cursor, ""),
    ):
        assert WatchToken.parse(str(place)) == place
        assert str(place).isascii()
        assert "Bảo" not in repr(place) + str(place)


def test_large_standings_are_not_kept(client: ConsentClient, store: Between) -> None:
    """A watch keeps answers by the bytes of standings, few and small ones: memory does not grow with what users did."""
    told = [e.Notified(f"n-{number}", f"{number:0200}", {Field.EMAIL}, Purpose.SURVEYS) for number in range(50)]
    store.inner.append("u-4", [OPENED, YES, *told])
    watch = client._engine.ledger.watch(MAIL, None)
    items = client._runner.run(watch.next_items())
    assert said(items)[-1] == ("u-4", True)
    kept = [len(standing) for standing, _ in watch._answers]
    assert kept
    assert max(kept) <= REMEMBERED_BYTES < len(store.inner.standings(["u-4"]).users[0].standing)


def test_watches_wait_beside_each_other() -> None:
    """However many wait for news, another one begins at once."""
    store = MemoryStore()
    store.append("u-1", [OPENED, YES])
    with (
        ConsentClient(store, follow=False, deadline=0.5, max_staleness=60) as client,
        ThreadPoolExecutor(MAX_CALLS) as pool,
    ):
        watches = [iter(client.watch(MAIL)) for _ in range(MAX_CALLS)]
        waiting = [pool.submit(take, watch, 2) for watch in watches]
        time.sleep(0.5)
        started = time.monotonic()
        assert said(take(client.watch(MAIL), 1)) == [("u-1", True)]
        took = time.monotonic() - started
        store.append("u-1", [NO])
        assert [said(future.result(20))[1] for future in waiting] == [("u-1", False)] * MAX_CALLS
    assert took < 5


def test_closing_ends_a_watch(client: ConsentClient) -> None:
    """Once the client is closed, the watch says so."""
    watch = iter(client.watch(MAIL))
    take(watch, 3)
    client.close()
    with pytest.raises(ClientClosed):
        next(watch)


def test_a_quiet_wait_shows_that_the_copy_is_true(client: ConsentClient, store: Between) -> None:
    """A poll that ends without news was true when the store looked last, not when the poll began."""
    watch = iter(client.watch(MAIL))
    take(watch, 3)
    threading.Timer(1.5, store.inner.append, ["u-1", [NO]]).start()
    began_at = datetime.now(UTC)
    take(watch, 1)
    threading.Timer(0.1, store.inner.append, ["u-2", [NO]]).start()
    take(watch, 1)
    caught_up_at = client.status().watch_caught_up_at
    assert caught_up_at is not None
    assert caught_up_at - began_at > timedelta(seconds=1)


def test_a_machine_that_was_suspended_knows_the_age_of_its_copy(
    client: ConsentClient, store: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monotonic clock stands still while a machine sleeps, and its copy grows old all the same."""
    watch = iter(client.watch(MAIL))
    take(watch, 3)
    for user_id in ("u-1", "u-2"):  # with the second it is known that the first was taken in
        threading.Timer(0.1, store.inner.append, [user_id, [NO]]).start()
        take(watch, 1)
    hour = timedelta(hours=1)
    asleep = _clock.steady_seconds() + hour.total_seconds()
    for module in (client_watch, ledger_operations):
        monkeypatch.setattr(module, "steady_seconds", lambda: asleep)
    caught_up_at = client.status().watch_caught_up_at
    assert caught_up_at is not None
    assert datetime.now(UTC) - caught_up_at >= hour
    lag = client.status().watch_lag_seconds
    assert lag is not None
    assert lag >= hour.total_seconds()


def test_a_copy_of_unknown_age(client: ConsentClient, store: Between) -> None:
    """A watch that goes on from a token says as of when the copy is true only once it was at the end itself."""
    assert client.status().watch_caught_up_at is None
    first = iter(client.watch(MAIL))
    token = take(first, 3)[-1].token
    del first
    gc.collect()
    store.inner.append("u-1", [NO])
    missed_at = datetime.now(UTC)
    watch = iter(client.watch(MAIL, after=token))
    take(watch, 1)
    assert client.status().watch_lag_seconds is not None
    assert client.status().watch_caught_up_at is None  # the no is handed out, and perhaps not taken in
    threading.Timer(0.1, store.inner.append, ["u-2", [NO]]).start()
    take(watch, 1)
    caught_up_at = client.status().watch_caught_up_at
    assert caught_up_at is not None
    assert missed_at <= caught_up_at <= datetime.now(UTC)


def test_the_lag_is_in_the_status(client: ConsentClient, store: Between) -> None:
    """It grows while items are not taken in, falls once all are, and is none without a watch."""
    assert client.status().watch_lag_seconds is None
    watch = iter(client.watch(MAIL))
    take(watch, 3)
    time.sleep(0.3)
    lag = client.status().watch_lag_seconds
    assert lag is not None
    assert lag >= 0.3
    threading.Timer(0.2, store.inner.append, ["u-1", [NO]]).start()
    take(watch, 1)
    assert (client.status().watch_lag_seconds or 9) < lag
    del watch
    gc.collect()
    assert client.status().watch_lag_seconds is None


def test_a_status_is_given_while_other_threads_begin_watches(client: ConsentClient) -> None:
    """It raises nothing: it is what a health check asks for."""
    interval, is_over = sys.getswitchinterval(), threading.Event()

    def begin_watches() -> None:
        watches: deque[Iterator[Watched]] = deque(maxlen=50)
        while not is_over.is_set():
            watches.append(client.watch(MAIL))

    thread = threading.Thread(target=begin_watches)
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(3_000):
            client.status()
    finally:
        sys.setswitchinterval(interval)
        is_over.set()
        thread.join()
