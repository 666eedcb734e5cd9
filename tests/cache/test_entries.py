"""The users in memory: a user that leaves is invalidated, and one that guards ask about leaves last."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from diijam_consent_sdk import Reason
from diijam_consent_sdk.cache.compiled import ALL_STALE
from diijam_consent_sdk.cache.entries import NOBODY, UserCache
from diijam_consent_sdk.cache.user import UserConsent
from tests.cache.world import World, consenting, head, reason


def test_rule_7_an_evicted_user_is_dead() -> None:
    """At capacity the user kept longest makes room, and answers `STALE` from then on."""
    world = World(capacity=2)
    users = world.load(consenting("a"), consenting("b"), consenting("c"))
    assert reason(users["a"]) is Reason.STALE
    assert reason(users["c"]) is Reason.CONSENTED
    assert world.leases.users.get("a") is None


def test_who_was_asked_lately_stays() -> None:
    """At its capacity a client lets go of those that nobody asked for since it last looked."""
    world = World(capacity=3)
    a, b, c = (world.load(consenting(u))[u] for u in "abc")
    reason(a), reason(c)
    world.load(consenting("d"))
    assert (reason(a), reason(b), reason(c)) == (Reason.CONSENTED, Reason.STALE, Reason.CONSENTED)


def test_the_cache_shows_no_id() -> None:
    """A cache's own representation would have every user's id."""
    world = World()
    world.load(consenting("secret"))
    assert "secret" not in repr(world.leases.users)


def test_a_lookup_of_a_user_who_is_not_in_memory_is_stale() -> None:
    """A lookup needs no second look, and what is found there cannot be changed for others."""
    world = World()
    (user,) = world.load(consenting("u")).values()
    assert world.leases.users["v"] is NOBODY
    assert not NOBODY.is_live()
    with pytest.raises(KeyError):
        del world.leases.users["v"]
    world.leases.close()
    assert reason(user) is Reason.UNAVAILABLE
    assert NOBODY.answers() is ALL_STALE


def test_an_empty_cache_has_nobody_to_evict() -> None:
    """As `popitem` of any mapping."""
    with pytest.raises(KeyError):
        World().leases.users.popitem()


@pytest.mark.parametrize("remove", [UserCache.popitem, UserCache.clear, lambda users: users.pop("u")])
def test_whoever_leaves_is_invalidated_first(remove: Callable[[UserCache], object]) -> None:
    """Whichever way a user leaves the mapping, no yes is left in anybody's hands, nor on the fast path."""
    world = World()
    (user,) = world.load(consenting("u")).values()
    world.cover(user)
    remove(world.leases.users)
    assert reason(user) is Reason.STALE
    assert "u" not in world.leases.fast_path


def test_items_are_read_where_the_cache_has_them() -> None:
    """What guards read by id are the cache's own items, as it gains and loses them."""
    world = World()
    users = world.leases.users
    assert "u" not in users.by_id
    world.load(consenting())
    assert users.by_id["u"] is users["u"]
    del users["u"]
    assert "u" not in users.by_id


def test_a_user_put_in_place_of_another_invalidates_it() -> None:
    """Two users with one id are never in anybody's hands."""
    world = World()
    (old,) = world.load(consenting("u")).values()
    (new,) = World().load(consenting("u")).values()
    world.leases.users["u"] = new
    assert (reason(old), reason(new)) == (Reason.STALE, Reason.CONSENTED)


def test_readers_without_a_lock_never_fail_beside_evictions() -> None:
    """Guards read while others are loaded and dropped: no reader raises, and a user that left is stale."""
    world = World(capacity=3)
    world.load(consenting("a"))
    users: dict[int, UserConsent] = {}
    is_over = threading.Event()

    def read() -> None:
        """Look everybody up, again and again."""
        while not is_over.is_set():
            for user_id in "abcdef":
                world.leases.answers(user_id)
                world.leases.users[user_id].answers()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor() as pool:
            readers = [pool.submit(read) for _ in range(3)]
            try:
                for number in range(600):
                    user_id = "abcdef"[number % 6]
                    (user,) = world.load(consenting(user_id)).values()
                    users[id(user)] = user
                    if number % 5 == 0:
                        world.leases.finish_write(world.begin_write(user_id), None, world.clock.now)
                    if number % 7 == 0:
                        world.poll(head(10))
            finally:
                is_over.set()
            for reader in readers:
                reader.result(10)
    finally:
        sys.setswitchinterval(interval)
    left = [user for user in users.values() if world.leases.users.get(user.user_id) is not user]
    assert len(users) - len(left) <= 3
    assert {reason(user) for user in left} == {Reason.STALE}
