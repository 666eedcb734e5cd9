"""Lookups: users found in memory or loaded, on both faces, over a store that can be broken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from diijam_consent_sdk import Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client.single_flight import SharedLoad
from diijam_consent_sdk.errors import (
    OutcomeUnknown,
    StoreUnusable,
)
from diijam_consent_sdk.stores import Cursor, MemoryStore
from diijam_consent_sdk.testing import FaultyStore, LeaseClock, WallClock, unreachable
from tests.client.conftest import SIGNED_UP, AsyncFace, Face, MakeClient, eventually, reason


def test_a_hit_costs_no_call_of_the_store(client: Face, store: FaultyStore) -> None:
    """A user is loaded once, then answered from memory, and so is a user that the store has no record of."""
    store.inner.append("u", SIGNED_UP)
    for _ in range(3):
        assert reason(client.user("u")) is Reason.CONSENTED
        assert reason(client.user("nobody")) is Reason.UNKNOWN_USER
    assert store.loaded == [("u",), ("nobody",)]


def test_the_lease_of_a_user_runs_out(client: Face, store: FaultyStore, clock: LeaseClock) -> None:
    """After max_staleness a user that is held denies with `STALE`, and the client loads it again."""
    store.inner.append("u", SIGNED_UP)
    user = client.user("u")
    store.inner.append("u", [e.Withdrawn("marketing")])
    assert reason(user) is Reason.CONSENTED
    clock.tick(60)
    assert reason(user) is Reason.STALE
    assert reason(client.user("u")) is Reason.WITHDRAWN


def test_an_outage_is_a_quick_no(client: Face, store: FaultyStore) -> None:
    """While the store is unreachable guards deny with `UNAVAILABLE` and never raise; after it they answer again."""
    store.inner.append("u", SIGNED_UP)
    store.broken = unreachable()
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert client.user("u").version == 0
    store.broken = None
    assert reason(client.user("u")) is Reason.CONSENTED


@pytest.mark.parametrize(
    "error", [StoreUnusable("damaged"), OSError("boom"), KeyError("x"), TimeoutError()], ids=lambda e: type(e).__name__
)
def test_whatever_a_store_raises_is_a_no(client: Face, store: FaultyStore, error: Exception) -> None:
    """A guard never raises for what a store does."""
    store.broken = error
    assert reason(client.user("u")) is Reason.UNAVAILABLE


def test_a_store_that_hangs_is_a_no_within_the_deadline(client: Face, store: FaultyStore) -> None:
    """A miss is answered within the deadline, and an answer that comes later is kept if it still may be."""
    store.inner.append("u", SIGNED_UP)
    store.hold["standings"] = threading.Event()
    began = time.monotonic()
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert 0.4 < time.monotonic() - began < 0.8
    store.hold["standings"].set()
    assert eventually(lambda: reason(client.user("u")) is Reason.CONSENTED)


def test_concurrent_misses_share_one_fetch(client: Face, store: FaultyStore) -> None:
    """Twenty threads that miss one user at once make one load."""
    store.inner.append("u", SIGNED_UP)
    store.hold["standings"] = threading.Event()
    with ThreadPoolExecutor(20) as pool:
        users = [pool.submit(client.user, "u") for _ in range(20)]
        assert eventually(lambda: store.loaded == [("u",)])
        time.sleep(0.05)
        store.hold["standings"].set()
        assert {reason(user.result()) for user in users} == {Reason.CONSENTED}
    assert store.loaded == [("u",)]


def test_fetches_at_once_are_capped_and_those_that_wait_leave_together(
    make_client: MakeClient, store: FaultyStore
) -> None:
    """Forty misses at once make at most eight loads under way; the rest are loaded in one batch."""
    client = make_client(follow=False, deadline=5)
    store.hold["standings"] = threading.Event()
    with ThreadPoolExecutor(40) as pool:
        users = [pool.submit(client.user, f"u{number}") for number in range(40)]
        assert eventually(lambda: len(store.loaded) == 8)
        time.sleep(0.2)
        assert len(store.loaded) == 8
        store.hold["standings"].set()
        assert {reason(user.result()) for user in users} == {Reason.UNKNOWN_USER}
    assert len(store.loaded) == 9
    assert len(store.loaded[-1]) == 32


def test_a_record_of_another_user_is_refused(client: Face, store: FaultyStore) -> None:
    """I5: an answer for a user comes only from a record of that user. After two tries the guard denies."""
    store.inner.append("v", SIGNED_UP)
    store.alter = {"users": store.inner.standings(["v"]).users}
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert len(store.loaded) == 2


def test_an_answer_that_is_no_answer_is_refused(client: Face, store: FaultyStore) -> None:
    """Garbage in place of standings denies, and leaves the client usable."""
    store.alter = {"users": (None,)}
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    store.alter = {}
    assert reason(client.user("u")) is Reason.UNKNOWN_USER


def test_a_token_carries_a_write_to_another_process(
    make_client: MakeClient, store: FaultyStore, clock: LeaseClock
) -> None:
    """With `at_least` a client that cached the old yes answers by the write, and loads unless the feed has shown it."""
    here, there = (make_client(follow=False, clock=clock) for _ in range(2))
    here.record("u", *SIGNED_UP)
    assert reason(there.user("u")) is Reason.CONSENTED
    token = here.record("u", e.Withdrawn("marketing")).token
    assert reason(there.user("u")) is Reason.CONSENTED
    assert reason(there.user("u", at_least=token)) is Reason.WITHDRAWN
    following = make_client()
    assert reason(following.user("u", at_least=token)) is Reason.WITHDRAWN
    assert eventually(lambda: following.status().feed == "up")
    loads = len(store.loaded)
    assert reason(following.user("u", at_least=token)) is Reason.WITHDRAWN
    assert len(store.loaded) == loads


def test_a_token_of_another_history_is_a_no(client: Face, store: FaultyStore) -> None:
    """A token that the store's history does not contain, or that cannot be checked, denies; a malformed one raises."""
    token = client.record("u", *SIGNED_UP).token
    other = MemoryStore().append("u", SIGNED_UP).token
    forked = str(Cursor(Cursor.parse(token).epoch, 2, "00"))
    assert reason(client.user("u", at_least=other)) is Reason.UNAVAILABLE
    assert reason(client.user("u", at_least=forked)) is Reason.UNAVAILABLE
    store.broken = unreachable()
    assert reason(client.user("u", at_least=token)) is Reason.UNAVAILABLE
    nowhere = ("a.9223372036854775808.c", "a.1.\x00", "\ud800.1.c", "a.1." + "c" * 2_000)  # no store can be asked
    for malformed in ("", "x", "a.b.c", "a.1", "a.-1.c", *nowhere):
        with pytest.raises(ValueError, match="malformed token"):
            client.user("u", at_least=malformed)
    with pytest.raises(TypeError):
        client.user("u", at_least=3)  # type: ignore[arg-type]


def test_a_grant_that_ran_out_is_expired(
    make_client: MakeClient, store: FaultyStore, clock: LeaseClock, wall: WallClock
) -> None:
    """At the expiry a held user denies with `STALE`, and `user()` gives `EXPIRED`, or `UNAVAILABLE` in an outage."""
    client = make_client(follow=False, clock=clock)
    ends = wall.now + timedelta(seconds=3)
    store.inner.append("u", [e.AccountOpened(), e.Granted("surveys", notice="n", expires_at=ends)])
    user = client.user("u")
    assert user.can_process("surveys")
    clock.tick(3)
    wall.tick(3)
    assert user.can_process("surveys").reason is Reason.STALE
    store.broken = unreachable()
    assert client.user("u").can_process("surveys").reason is Reason.UNAVAILABLE
    store.broken = None
    assert client.user("u").can_process("surveys").reason is Reason.EXPIRED


class Caseless(str):
    """An id as some frameworks have it: equal to, and hashed as, another string than its own."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()

    def __hash__(self) -> int:
        return hash(self.lower())


def test_an_id_of_another_type_of_string_is_its_characters(client: Face, store: FaultyStore) -> None:
    """Whatever a subclass of `str` equals, a write denies the user it names, and so does a change during a load."""
    client.record("U", *SIGNED_UP)
    user = client.user("U")
    assert reason(user) is Reason.CONSENTED
    store.hold["append"] = threading.Event()
    with pytest.raises(OutcomeUnknown):
        client.record(Caseless("U"), e.Withdrawn("marketing"))
    assert reason(user) is Reason.STALE
    assert reason(client.user("U")) is Reason.UNAVAILABLE
    store.hold["append"].set()
    assert eventually(lambda: reason(client.user("U")) is Reason.WITHDRAWN)
    engine = client.client._own_engine if isinstance(client, AsyncFace) else client._own_engine
    asked: list[str] = []

    def join(user_ids: Iterable[str]) -> list[SharedLoad]:
        asked.extend(user_ids)
        return []

    engine._single_flight.join = join  # type: ignore[method-assign]
    client.user(Caseless("V"))
    list(client.users([Caseless("W")]))
    assert {type(user_id) for user_id in asked} == {str}
