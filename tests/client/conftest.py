"""The two faces of the client, so that each test runs on both."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import nullcontext
from datetime import datetime
from typing import Any, TypeVar

import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient, Explanation, Market, NoticeText, Reason, UserConsent
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client.batching import Malformed
from diijam_consent_sdk.client.thread_pool import ThreadPool
from diijam_consent_sdk.customer_file import CustomerFile
from diijam_consent_sdk.decisions import Ask
from diijam_consent_sdk.due import Due, OwedErasure
from diijam_consent_sdk.events import Event, LedgerEntry
from diijam_consent_sdk.holders import RegisteredHolder
from diijam_consent_sdk.notices import RegisteredNotice
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.status import Status
from diijam_consent_sdk.stores import Appended, MemoryStore
from diijam_consent_sdk.testing import FaultyStore, LeaseClock, WallClock
from diijam_consent_sdk.vocabulary import Language

T = TypeVar("T")
MAILED = Market("email")
SIGNED_UP = (e.AccountOpened(), e.Granted("marketing", notice="promo", channels={"email"}))


def reason(user: UserConsent) -> Reason:
    """Why this user may or may not be mailed."""
    return user.decide(MAILED).reason


def eventually(holds: Callable[[], bool], within: float = 5.0) -> bool:
    """Whether a condition comes to hold in time."""
    until = time.monotonic() + within
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def thread_pool(client: ConsentClient | AsyncConsentClient) -> ThreadPool:
    """The threads of the calls of a client over a sync store."""
    spawn: Any = client._own_engine._calls._spawn
    pool = spawn.__self__
    assert isinstance(pool, ThreadPool)
    return pool


class AsyncFace:
    """An `AsyncConsentClient` on an event loop in a thread, called as if it were the sync client."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: AsyncConsentClient) -> None:
        self._loop = loop
        self.client = client

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def user(self, user_id: str, at_least: str | None = None) -> UserConsent:
        """See `AsyncConsentClient.user`."""
        return self._run(self.client.user(user_id, at_least))

    def users(self, user_ids: Iterable[str], malformed: Malformed = "raise") -> Iterator[UserConsent]:
        """See `AsyncConsentClient.users`."""
        return self._iterate(self.client.users(user_ids, malformed))

    def permitted(self, user_ids: Iterable[str], ask: Ask, malformed: Malformed = "raise") -> Iterator[str]:
        """See `AsyncConsentClient.permitted`."""
        return self._iterate(self.client.permitted(user_ids, ask, malformed))

    def permitted_mask(self, user_ids: Iterable[str], ask: Ask, malformed: Malformed = "raise") -> bytearray:
        """See `AsyncConsentClient.permitted_mask`."""
        return self._run(self.client.permitted_mask(user_ids, ask, malformed))

    def record(self, user_id: str, *events: Event, **options: Any) -> Appended:
        """See `AsyncConsentClient.record`."""
        return self._run(self.client.record(user_id, *events, **options))

    def status(self) -> Status:
        """See `AsyncConsentClient.status`."""
        return self.client.status()

    def load(self, user_id: str) -> ConsentRecord:
        """See `AsyncConsentClient.load`."""
        return self._run(self.client.load(user_id))

    def explain(self, user_id: str, ask: Ask, at: datetime | None = None) -> Explanation:
        """See `AsyncConsentClient.explain`."""
        return self._run(self.client.explain(user_id, ask, at))

    def history(self, user_id: str) -> list[LedgerEntry]:
        """See `AsyncConsentClient.history`."""
        return self._run(self.client.history(user_id))

    def customer_file(self, user_id: str, language: Language = "vi") -> CustomerFile:
        """See `AsyncConsentClient.customer_file`."""
        return self._run(self.client.customer_file(user_id, language))

    def head(self) -> str:
        """See `AsyncConsentClient.head`."""
        return self._run(self.client.head())

    def register_notice(self, text: NoticeText) -> RegisteredNotice:
        """See `AsyncConsentClient.register_notice`."""
        return self._run(self.client.register_notice(text))

    def notice(self, notice: str) -> RegisteredNotice | None:
        """See `AsyncConsentClient.notice`."""
        return self._run(self.client.notice(notice))

    def notices(self) -> list[RegisteredNotice]:
        """See `AsyncConsentClient.notices`."""
        return self._run(self.client.notices())

    def require_notices(self) -> None:
        """See `AsyncConsentClient.require_notices`."""
        self._run(self.client.require_notices())

    def register_holder(self, holder: str) -> RegisteredHolder:
        """See `AsyncConsentClient.register_holder`."""
        return self._run(self.client.register_holder(holder))

    def retire_holder(self, holder: str) -> None:
        """See `AsyncConsentClient.retire_holder`."""
        self._run(self.client.retire_holder(holder))

    def holders(self) -> list[str]:
        """See `AsyncConsentClient.holders`."""
        return self._run(self.client.holders())

    def erasures(self, holder: str) -> list[OwedErasure]:
        """See `AsyncConsentClient.erasures`."""
        return self._run(self.client.erasures(holder))

    def due(self) -> Due:
        """See `AsyncConsentClient.due`."""
        return self._run(self.client.due())

    def close(self) -> None:
        """See `AsyncConsentClient.close`."""
        self._run(self.client.close())

    def _iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        async def next_item() -> tuple[bool, T | None]:
            try:
                return True, await anext(items)
            except StopAsyncIteration:
                return False, None

        while True:
            more, item = self._run(next_item())
            if not more:
                return
            yield item  # type: ignore[misc]


Face = ConsentClient | AsyncFace
MakeClient = Callable[..., Face]


@pytest.fixture
def clock() -> LeaseClock:
    """The lease clock of the clients."""
    return LeaseClock()


@pytest.fixture
def wall() -> WallClock:
    """The wall clock of the store."""
    return WallClock()


@pytest.fixture
def store(wall: WallClock) -> Iterator[FaultyStore]:
    """A store in memory that can be broken."""
    store = FaultyStore(MemoryStore(clock=wall))
    yield store
    store.inner.close()  # ends the polls of clients that are closed


@pytest.fixture(params=["sync", "async"])
def make_client(request: pytest.FixtureRequest, store: FaultyStore) -> Iterator[MakeClient]:
    """Makes clients of one face over the store, and closes them."""
    made: list[Face] = []
    with asyncio.Runner() if request.param == "async" else nullcontext() as runner:
        loop = runner.get_loop() if runner else None
        thread = threading.Thread(target=loop.run_forever, daemon=True) if loop else None
        if thread:
            thread.start()

        def make(over: Any = None, **options: Any) -> Face:
            if loop:
                made.append(AsyncFace(loop, AsyncConsentClient(over or store, **options)))
            else:
                made.append(ConsentClient(over or store, **options))
            return made[-1]

        yield make
        store.broken = store.broken_after = None
        for event in store.hold.values():
            event.set()
        for client in made:
            client.close()
        if loop and thread:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)


@pytest.fixture
def client(make_client: MakeClient, clock: LeaseClock) -> Face:
    """A client that follows no feed, on a clock that stands still."""
    return make_client(follow=False, clock=clock, deadline=0.5)
