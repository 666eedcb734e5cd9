"""Whom the feed covers: guards in one step find no more there than rule 7 allows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diijam_consent_sdk import ConsentClient, Market, Process, Reason, Show
from diijam_consent_sdk import events as e
from diijam_consent_sdk.counts import Counts
from diijam_consent_sdk.covered import TURNING_SECONDS, Covered
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.testing import FaultyStore, LeaseClock
from diijam_consent_sdk.user import Generation, UserConsent
from tests.client.test_client import SIGNED_UP, eventually
from tests.client.world import AT, B, L, World, consenting, head, made, withdrawn


def mailed(world: World, user_id: str = "u") -> Reason | None:
    """What a guard in one step says of whom the feed covers; None: it asks the user itself."""
    answers = world.leases.covered.answers(user_id)
    return None if answers is None else answers.market["email"].decision.reason


def covering(*records: ConsentRecord) -> World:
    """A world in which each of these was asked in one step, and the feed is up."""
    world = World()
    for user in world.load(*(records or (consenting("u"),))).values():
        world.leases.cover(user)
    world.poll(head(10))
    return world


def test_whom_nobody_asked_in_one_step_is_not_covered() -> None:
    """What only passed through memory costs nothing here."""
    world = World()
    world.load(consenting())
    world.poll(head(10))
    assert mailed(world) is None


def test_the_feed_keeps_the_covered_fresh() -> None:
    """Rules 2 and 7: an answer is found from the first complete poll on, and as long as polls renew it."""
    world = World()
    (user,) = world.load(consenting()).values()
    world.leases.cover(user)
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
        lambda world: world.leases.writing("u"),
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
    assert len(world.leases.covered) == 0


def test_who_is_loaded_again_unchanged_can_be_covered_again() -> None:
    """Rule 7: it lives on, and the next guard in one step puts it back."""
    world = covering()
    (user,) = world.load(consenting()).values()
    assert mailed(world) is None
    world.leases.cover(user)
    assert mailed(world) is Reason.CONSENTED


def test_only_a_user_that_is_kept_is_covered() -> None:
    """A user that was dropped, or of whom nothing is known, is asked itself for ever."""
    world = covering()
    (user,) = world.load(consenting()).values()
    world.poll(head(11), {"u": 11})
    for other in (user, world.leases.unavailable("u")):
        world.leases.cover(other)
        assert "u" not in world.leases.covered


def test_without_a_feed_nobody_is_covered() -> None:
    """Each has its own lease alone."""
    world = World(follow=False)
    (user,) = world.load(consenting()).values()
    world.leases.cover(user)
    assert len(world.leases.covered) == 0


def test_who_is_asked_in_one_step_stays_in_memory() -> None:
    """CLOCK: the hand takes away the cover, not the user; the next guard in one step covers it again."""
    world = World(capacity=3)
    a, _, c = world.load(*map(consenting, "abc")).values()
    world.leases.cover(a)
    world.leases.cover(c)
    world.load(consenting("d"))
    assert [world.leases.get(user_id) for user_id in "abc"] == [a, None, c]
    assert ("a" in world.leases.covered, "c" in world.leases.covered) == (False, True)  # it did not come to c
    world.leases.cover(a)
    assert "a" in world.leases.covered


def test_rule_7_who_turns_is_covered_until_the_feed_reaches_that_far() -> None:
    """With the feed up, a grant that ends is answered here while it surely lasts, then by the user alone."""
    ends = TURNING_SECONDS + 10 * B
    world = covering(consenting(expires_at=AT + timedelta(seconds=ends)))
    said = []
    for _ in range(15):
        said.append(mailed(world))
        world.clock.tick(B)
        world.poll(head(10))
    assert said == [Reason.CONSENTED] * 10 + [None] * 5


def test_rule_7_who_turns_soon_is_not_covered() -> None:
    """A load of such a user does not cost each poll a look at all of them."""
    soon = consenting(expires_at=AT + timedelta(seconds=B + TURNING_SECONDS / 2))
    world = covering(soon, consenting("v"))
    (user,) = world.load(soon).values()
    world.leases.cover(user)
    assert (mailed(world), mailed(world, "v")) == (None, Reason.CONSENTED)


STEP = st.tuples(st.sampled_from(["add", "remove", "renew", "clear"]), st.sampled_from("uvw"), st.floats(0, 500))


@given(steps=st.lists(STEP, max_size=30))
def test_rule_7_no_reader_finds_a_user_past_its_turn(steps: list[tuple[str, str, float]]) -> None:
    """Who is here turns no earlier than what the feed ever said is fresh, in this history or one before."""
    clock = LeaseClock()
    covered, generation = Covered(clock), Generation(clock, Counts())
    turns: dict[str, float] = {}
    latest = 0.0
    for step, user_id, at in steps:
        match step:
            case "add":
                covered.remove(user_id)
                turns[user_id] = at
                covered.add(made(generation, user_id, turns_at=at))
            case "remove":
                covered.remove(user_id)
            case "renew":
                latest = max(latest, at)
                covered.renew(at)
            case "clear":
                covered.clear()
        assert all(turns[who] >= latest for who in "uvw" if who in covered)


def asked_twice(client: ConsentClient, user_id: str) -> None:
    """The first question fetches the user, the second finds it kept, later ones find it covered."""
    for _ in range(2):
        client.can_market(user_id, "email")
    assert eventually(lambda: client._covered.answers(user_id) is not None)


def test_guards_in_one_step_are_answered_from_the_covered(store: FaultyStore) -> None:
    """From the third question on nothing of the user itself is read; each is counted as any other."""
    store.append("u", SIGNED_UP)
    with ConsentClient(store) as client:
        asked_twice(client, "u")
        client._cached = dict[str, UserConsent]().get  # whoever asks a user now finds none
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
    """Rule 9: in a child that no hook told of its fork, a thread that is not there may hold the lock of the leases."""
    store.append("u", SIGNED_UP)
    with ConsentClient(store) as client:
        assert client.can_market("u", "email")
        with client._all_steps.leases._lock:
            assert client.can_market("u", "email")
        assert len(client._covered) == 0
        assert client.can_market("u", "email")
        assert len(client._covered) == 1
