"""The ledger in order, through both clients."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk.errors import ClientClosed, HistoryChanged, StoreUnavailable
from diijam_consent_sdk.events import AccountOpened, Objected
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.stores.protocol import Entries
from diijam_consent_sdk.testing import unreachable
from diijam_consent_sdk.testing.faulty import FaultyStore

Read = Callable[..., Entries]


@pytest.fixture
def store() -> FaultyStore:
    """A store with two entries."""
    store = FaultyStore(MemoryStore())
    store.append("u-1", [AccountOpened(), Objected("payment")])
    return store


@pytest.fixture(params=["sync", "async"])
def read(request: pytest.FixtureRequest, store: FaultyStore) -> Iterator[Read]:
    """`entries` of either client."""
    if request.param == "sync":
        with ConsentClient(store, follow=False, deadline=5) as client:
            yield client.entries
        return

    def once(*args: object, **options: object) -> Entries:
        async def ask() -> Entries:
            """Ask once, on a loop of its own."""
            async with AsyncConsentClient(store, follow=False, deadline=5) as client:
                return await client.entries(*args, **options)  # type: ignore[arg-type]

        return asyncio.run(ask())

    yield once


def test_from_the_beginning_and_on(read: Read, store: FaultyStore) -> None:
    """None begins; a token goes on behind what it stands for, with nothing left out."""
    page = read()
    assert ([entry.position for entry in page.entries], page.complete) == ([1, 2], True)
    assert read(page.token).entries == ()
    written = store.append("u-2", [AccountOpened()])
    later = read(page.token)
    assert ([entry.user_id for entry in later.entries], later.token) == (["u-2"], written.token)


def test_waiting_for_news(read: Read, store: FaultyStore) -> None:
    """A wait is no part of the deadline, and ends with news."""
    token = read().token
    threading.Timer(0.3, store.append, ["u-2", [AccountOpened()]]).start()
    assert len(read(token, wait=30).entries) == 1


def test_another_history(read: Read) -> None:
    """A token of another ledger, or of entries that a restore lost, is refused; the error says what to do."""
    other = MemoryStore()
    token = other.append("u-1", [AccountOpened()]).token
    ahead = read().token.replace(".2.", ".9.")
    for lost in (token, ahead):
        with pytest.raises(HistoryChanged, match="after=None"):
            read(lost, wait=5)


def test_the_store_is_away(read: Read, store: FaultyStore) -> None:
    """An outage is `StoreUnavailable`, never an empty page."""
    token = read().token
    with store.failing(unreachable()), pytest.raises(StoreUnavailable):
        read(token)


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        (("yesterday",), {}, ValueError),
        ((7,), {}, TypeError),
        ((), {"wait": -1}, ValueError),
        ((), {"wait": float("nan")}, ValueError),
        ((), {"wait": float("inf")}, ValueError),
        ((), {"wait": "1"}, TypeError),
        ((), {"wait": True}, TypeError),
    ],
)
def test_what_is_no_question(
    arguments: tuple[object, ...], options: dict[str, object], error: type[Exception], read: Read
) -> None:
    """What is no token, and what is no number of seconds, is the caller's mistake."""
    with pytest.raises(error):
        read(*arguments, **options)


def test_long_waits_hold_nobody_up(store: FaultyStore) -> None:
    """As many waits as there may be calls at once leave other calls their turn."""
    with ConsentClient(store, follow=False, deadline=5) as client:
        token = client.entries().token
        waits = [threading.Thread(target=client.entries, args=(token,), kwargs={"wait": 2.0}) for _ in range(8)]
        for wait in waits:
            wait.start()
        time.sleep(0.2)
        started = time.monotonic()
        assert client.load("u-1").version == 2
        assert time.monotonic() - started < 1.5
        for wait in waits:
            wait.join()


def test_a_closed_client(store: FaultyStore) -> None:
    """A closed client reads nothing."""
    client = ConsentClient(store, follow=False)
    client.close()
    with pytest.raises(ClientClosed):
        client.entries()
