"""The fast path: guards by id find no more there than rule 7 allows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from math import nan
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from diijam_consent_sdk import ConsentClient, Market, Process, Reason, Show
from diijam_consent_sdk import events as e
from diijam_consent_sdk.cache.counters import Counters
from diijam_consent_sdk.cache.fast_path import MIN_VALID_SECONDS, FastPath
from diijam_consent_sdk.cache.generation import Generation
from diijam_consent_sdk.cache.leases import Leases
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.testing import FaultyStore, LeaseClock
from tests.cache.world import AT, B, L, World, consenting, fast_answers, head, made, withdrawn
from tests.client.conftest import SIGNED_UP, eventually


def mailed(world: World, user_id: str = "u") -> Reason | None:
    """What a guard by id answers on the fast path; None if the user is not there."""
    answers = fast_answers(world.leases, user_id)
    return None if answers is None else answers.market["email"].decision.reason


def covering(*records: ConsentRecord) -> World:
    """A world in which each of these was asked in one step, and the feed is up."""
    world = World()
    world.cover(*world.load(*(records or (consenting("u"),))).values())
    world.poll(head(10))
    return world


def test_whom_nobody_asked_in_one_step_is_not_covered() -> None:
    """What only passed through memory costs nothing here."""
    world = World()
    world.load(consenting())
    world.poll(head(10))
    assert mailed(world) is None


def test_who_was_asked_in_one_step_is_covered_by_the_next_poll() -> None:
    """Once it is covered it is not looked at again."""
    world = World()
    (user,) = world.load(consenting()).values()
    for asked in (1, 0):
        world.leases.ask_for_fast_path(user)
        assert len(world.leases._wanted_on_fast_path) == asked
        world.poll(head(10))
        assert mailed(world) is Reason.CONSENTED


def test_the_feed_keeps_the_covered_fresh() -> None:
    """Rules 2 and 7: an answer is found from the first complete poll on, and as long as polls renew it."""
    world = World()
    (user,) = world.load(consenting()).values()
    world.cover(user)
    assert mailed(world) is None
    world.poll(head(10))
    for _ in range(5):
        world.clock.tick(L - 1)
        assert mailed(world) is Reason.CONSENTED
        world.poll(head(10))
    world.clock.tick(L)
    assert mailed(world) is None


@pytest.mark.parametrize(
    "happens",
    [
        lambda world: world.poll(head(11), {"u": 11}),
        lambda world: world.begin_write("u"),
        lambda world: world.load(withdrawn(), at=head(11)),
        lambda world: world.load(consenting(), at=head(11)),
        lambda world: world.load(consenting("v"), at=head(12, "two")),
        lambda world: world.poll(head(12, "two")),
        lambda world: world.leases.close(),
        lambda world: world.leases.abandon(),
    ],
    ids=["changed", "written", "loaded changed", "loaded ahead", "another load", "another poll", "closed", "forked"],
)
def test_whatever_happens_to_a_user_ends_it(happens: Callable[[World], object]) -> None:
    """Rules 3, 6, 8 and 9, and a load ahead of the feed: from then on the user itself is asked."""
    world = covering()
    assert mailed(world) is Reason.CONSENTED
    happens(world)
    assert mailed(world) is None
    assert len(world.leases.fast_path) == 0


def test_who_is_loaded_again_unchanged_can_be_covered_again() -> None:
    """Rule 7: it lives on, and the next guard in one step puts it back."""
    world = covering()
    (user,) = world.load(consenting()).values()
    assert mailed(world) is None
    world.cover(user)
    assert mailed(world) is Reason.CONSENTED


def test_only_a_user_that_is_kept_is_covered() -> None:
    """A user that was dropped, or about which nothing is known, never gets onto the fast path."""
    world = covering()
    (user,) = world.load(consenting()).values()
    world.poll(head(11), {"u": 11})
    for other in (user, world.leases.unavailable("u")):
        world.cover(other)
        assert "u" not in world.leases.fast_path
    world.load(consenting(), at=head(11))
    world.cover(user)
    assert "u" not in world.leases.fast_path


def test_without_a_feed_nobody_is_covered() -> None:
    """Each has its own lease alone."""
    world = World(follow=False)
    (user,) = world.load(consenting()).values()
    world.cover(user)
    assert len(world.leases.fast_path) == 0


def test_who_is_asked_in_one_step_stays_in_memory() -> None:
    """CLOCK: the hand takes away the cover, not the user; the next guard in one step covers it again."""
    world = World(capacity=3)
    a, _, c = world.load(*map(consenting, "abc")).values()
    world.cover(a, c)
    world.load(consenting("d"))
    assert [world.leases.users.get(user_id) for user_id in "abc"] == [a, None, c]
    assert ("a" in world.leases.fast_path, "c" in world.leases.fast_path) == (False, True)  # it did not come to c
    world.cover(a)
    assert "a" in world.leases.fast_path


def test_rule_7_who_turns_is_covered_until_the_feed_reaches_that_far() -> None:
    """With the feed up, a grant that ends is answered here while it surely lasts, then by the user alone."""
    ends = MIN_VALID_SECONDS + 10 * B
    world = covering(consenting(expires_at=AT + timedelta(seconds=ends)))
    said = []
    for _ in range(15):
        said.append(mailed(world))
        world.clock.tick(B)
        world.poll(head(10))
    assert said == [Reason.CONSENTED] * 10 + [None] * 5


def test_rule_7_who_turns_soon_is_not_covered() -> None:
    """A load of such a user does not cost each poll a look at all of them."""
    soon = consenting(expires_at=AT + timedelta(seconds=B + MIN_VALID_SECONDS / 2))
    world = covering(soon, consenting("v"))
    (user,) = world.load(soon).values()
    world.cover(user)
    assert (mailed(world), mailed(world, "v")) == (None, Reason.CONSENTED)


def test_rule_7_whose_turn_is_no_number_is_not_covered() -> None:
    """A lease clock that showed NaN while a user was loaded makes nobody last for ever."""
    clock = LeaseClock()
    fast_path = FastPath()
    fast_path.add(made(Generation(clock, Counters()), valid_until=nan))
    assert len(fast_path) == 0


STEP = st.tuples(st.sampled_from(["add", "remove", "renew", "clear"]), st.sampled_from("uvw"), st.floats(0, 500))


@given(steps=st.lists(STEP, max_size=30))
@example([("renew", "u", 500), ("renew", "u", 0), ("add", "u", 300)])
@example([("renew", "u", 500), ("clear", "u", 0), ("add", "u", 300)])
@example([("add", "u", 300), ("renew", "u", 500)])
def test_rule_7_no_reader_finds_a_user_past_its_turn(steps: list[tuple[str, str, float]]) -> None:
    """Answers here change no earlier than the latest `fresh_until`, of this history or one before."""
    clock = LeaseClock()
    fast_path, generation = FastPath(), Generation(clock, Counters())
    turns: dict[str, float] = {}
    latest = 0.0
    for step, user_id, at in steps:
        match step:
            case "add":
                fast_path.remove(user_id)
                turns[user_id] = at
                fast_path.add(made(generation, user_id, valid_until=at))
            case "remove":
                fast_path.remove(user_id)
            case "renew":
                latest = max(latest, at)
                fast_path.renew(at)
            case "clear":
                fast_path.clear()
        assert all(turns[who] >= latest for who in "uvw" if who in fast_path)


def test_rule_7_who_turns_leaves_before_the_feed_says_that_it_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader in the midst of a renewal finds nobody past its turn."""
    world = covering(consenting(expires_at=AT + timedelta(seconds=1000)))
    said: list[Reason | None] = []

    def look(fast_path: FastPath, user_id: str, remove: Callable[[FastPath, str], bool] = FastPath.remove) -> bool:
        """Read as another thread might, long after."""
        now, world.clock.now = world.clock.now, 2000.0
        said.append(mailed(world))
        world.clock.now = now
        return remove(fast_path, user_id)

    monkeypatch.setattr(FastPath, "remove", look)
    world.leases.fast_path.renew(3000.0)
    assert said == [None]


def asked_twice(client: ConsentClient, user_id: str) -> None:
    """The first question fetches the user, the second finds it kept; after the store's next answer it is covered."""
    for _ in range(2):
        client.can_market(user_id, "email")
    client.can_market(f"not {user_id}", "email")
    assert eventually(lambda: fast_answers(client._leases, user_id) is not None)


def test_guards_in_one_step_are_answered_from_the_fast_path(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user itself is not read, and each guard is counted as any other."""
    store.append("u", SIGNED_UP)
    with ConsentClient(store) as client:
        asked_twice(client, "u")
        monkeypatch.setattr(Leases, "_own_answers", not_to_be_asked)
        before = client.status()
        assert client.can_market("u", "email")
        assert client.decide("u", Market("email", {"gender"}))
        assert not client.is_public("u", "avatar")
        assert not client.can_process("u", "surveys")
        assert client.decide("u", Process("payment"))
        assert not client.decide("u", Show("email"))
        after = client.status()
    assert (after.hits - before.hits, after.misses - before.misses) == (6, 0)
    assert sum(after.denials.values()) - sum(before.denials.values()) == 3


@pytest.mark.parametrize("data", ["", b"", {}, 0, (), frozenset(), ["email"], ["fax"], None])
def test_what_is_given_as_data_means_the_same_in_one_step(store: FaultyStore, data: Any) -> None:
    """Also where it is empty, or no set of fields at all."""
    store.append("u", SIGNED_UP)
    store.append("u", [e.Restricted(data={"gender"})])
    with ConsentClient(store) as client:
        asked_twice(client, "u")
        user = client.user("u")
        for guard, arguments in (("can_market", ("email",)), ("can_process", ("payment",))):
            outcomes = [
                outcome(lambda: getattr(user, guard)(*arguments, data)),  # noqa: B023
                outcome(lambda: getattr(client, guard)("u", *arguments, data)),  # noqa: B023
            ]
            assert outcomes[0] == outcomes[1]


def not_to_be_asked(_: Leases, user_id: str) -> None:
    """In the place of a lookup of the user."""
    raise AssertionError("the user was asked")


def outcome(guard: Callable[[], object]) -> object:
    """The decision, or the mistake in words."""
    try:
        return guard()
    except (TypeError, ValueError) as error:
        return repr(error)


def test_a_withdrawal_of_a_covered_user_is_seen(store: FaultyStore) -> None:
    """Rule 3, end to end: another process's write ends the answer that was found here; so does one's own (rule 8)."""
    store.append("u", SIGNED_UP)
    store.append("v", SIGNED_UP)
    with ConsentClient(store) as client, ConsentClient(store) as other:
        asked_twice(client, "u")
        asked_twice(client, "v")
        assert client.can_market("u", "email")
        assert client.can_market("v", "email")
        client.record("u", e.Withdrawn("marketing"))
        assert client.can_market("u", "email").reason is Reason.WITHDRAWN
        other.record("v", e.Withdrawn("marketing"))
        assert eventually(lambda: client.can_market("v", "email").reason is Reason.WITHDRAWN)


def test_a_guard_waits_for_no_lock(store: FaultyStore) -> None:
    """While another thread holds the lock, guards answer for users in memory and on the fast path."""
    store.append("u", SIGNED_UP)
    store.append("v", SIGNED_UP)
    with ConsentClient(store) as client, ThreadPoolExecutor() as pool:
        asked_twice(client, "u")
        assert client.can_market("v", "email")
        with client._leases._lock:
            answers = [pool.submit(client.can_market, user_id, "email") for user_id in "uvuv"]
            assert all(answer.result(timeout=10) for answer in answers)
