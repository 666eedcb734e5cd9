"""A signal handler may raise anywhere: what it interrupts in the caller's thread leaves no yes behind, and no lock."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, cast

import pytest

from diijam_consent_sdk import ConsentClient, Market, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk._threads import Lost, Promise
from diijam_consent_sdk.client.effects import Effects
from diijam_consent_sdk.errors import OutcomeUnknown
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.testing import FaultyStore
from tests.cache.interruption import everywhere
from tests.client.conftest import SIGNED_UP, eventually, thread_pool


def test_interrupted_misses_lose_no_load(store: FaultyStore) -> None:
    """Wherever a guard was interrupted while its user was to be fetched, that user and others can be fetched later."""
    client = ConsentClient(store, deadline=0.1)  # which a guard waits that was interrupted before its load began
    asked = 0

    def begin() -> Callable[[], object]:
        """A guard on a user who is not in memory."""
        nonlocal asked
        asked += 1
        user_id = f"u{asked}"
        return lambda: client.can_market(user_id, "email")

    with client:
        for _ in everywhere(begin):
            for user_id in (f"u{asked}", f"v{asked}"):
                assert eventually(lambda: client.can_market(user_id, "email").reason is Reason.UNKNOWN_USER)  # noqa: B023
        single_flight = client._own_engine._single_flight
        assert eventually(lambda: not single_flight._in_flight and not single_flight._by_user)


@pytest.mark.parametrize("call", ["load", "explain", "user with a token"])
def test_interrupted_reads_lose_no_thread_of_the_pool(store: FaultyStore, call: str) -> None:
    """Rule 11: wherever reads were interrupted, as many as before can be under way."""
    store.append("u", SIGNED_UP)
    client = ConsentClient(store)

    def begin() -> Callable[[], object]:
        """A call, after a write of another process."""
        token = store.append("u", [e.Objected("surveys")]).token
        calls: dict[str, Callable[[], object]] = {
            "load": lambda: client.load("u"),
            "explain": lambda: client.explain("u", Market("email")),
            "user with a token": lambda: client.user("u", at_least=token),
        }
        return calls[call]

    with client:
        for _ in everywhere(begin):
            assert client.load("u").version
        pool = thread_pool(client)
        assert eventually(lambda: not pool._queue and not pool._alive())
        assert not client.can_market("v", "email")
        assert eventually(lambda: client.status().feed == "up")


class Opened(MemoryStore):
    """Knows whether it was closed."""

    is_closed = False

    def close(self) -> None:
        """See `Store.close`."""
        self.is_closed = True
        super().close()


def test_a_close_that_was_interrupted_lets_go_of_the_store_when_done_again() -> None:
    """What `from_url` opened is closed, and guards say no."""
    store = Opened()
    client = ConsentClient(store)

    def begin() -> Callable[[], object]:
        """A client that was asked, and owns its store."""
        nonlocal store, client
        store = Opened()
        client = ConsentClient(store)
        client._owns_store = True
        client.can_market("u", "email")
        return client.close

    for _ in everywhere(begin):
        client.close()
        assert store.is_closed
        assert client.can_market("u", "email").reason is Reason.UNAVAILABLE


def test_an_interrupted_call_leaves_the_client_as_good_as_before(store: FaultyStore) -> None:
    """Rule 8: whether its write was sent or not, the user answers what the store says, and can be written again."""
    store.append("u", SIGNED_UP)
    client = ConsentClient(store)

    def begin() -> Callable[[], object]:
        """A guard and a write."""

        def act() -> None:
            client.can_market("u", "email")
            client.record("u", e.Objected("surveys"))

        return act

    with client, ThreadPoolExecutor() as pool:
        for _ in everywhere(begin):
            assert pool.submit(client.can_market, "v", "email").result(timeout=10).reason is Reason.UNKNOWN_USER
            assert eventually(lambda: client.can_market("u", "email").reason is Reason.CONSENTED)
        assert client.record("u", e.Withdrawn("marketing"))
        assert client.can_market("u", "email").reason is Reason.WITHDRAWN


@pytest.mark.parametrize("begins", [True, False], ids=["begins", "never begins"])
def test_an_interrupted_caller_whose_write_is_late_leaves_its_user_denied_no_longer(
    store: FaultyStore, *, begins: bool
) -> None:
    """Rule 8: the caller denies a user for a write whose thread is late; interrupted there, the write still ends it."""
    store.append("u", SIGNED_UP)
    late: list[tuple[Effects[Any], Promise[Any]]] = []

    def spawn(effects: Effects[Any]) -> Promise[Any]:
        late.append((effects, Promise()))
        return late[-1][1]

    def act() -> None:
        """A write, for which the deadline is over at once."""
        with suppress(OutcomeUnknown):
            client.record("u", e.Objected("surveys"))

    with ConsentClient(store, deadline=0.02, follow=False) as client:
        writes = client._own_engine._writes
        writes._spawn = cast(Any, spawn)
        for _ in everywhere(lambda: act):
            if late and not begins:
                late.pop()[1].set_exception(Lost("it did not begin"))
                writes.resume()
            while late:
                effects, promise = late.pop()
                promise.set_result(client._runner.run(effects))
            assert not writes
            assert not client._leases._writes


def test_an_interrupted_mask_is_told_of_no_more_writes(store: FaultyStore) -> None:
    """I7: wherever a mask was interrupted, nothing goes on to collect the users that are written."""
    store.append("u", SIGNED_UP)
    with ConsentClient(store, follow=False) as client:
        for _ in everywhere(lambda: lambda: client.permitted_mask(["u"], Market("email"))):
            gc.collect()
            assert not [watcher for watcher in client._leases._writes._watchers if watcher() is not None]
