"""A user's answers end with its lease, or when they change by themselves: rule 7."""

from __future__ import annotations

from datetime import timedelta

import pytest

from diijam_consent_sdk import Purpose, Reason
from diijam_consent_sdk.cache.counters import Counters
from diijam_consent_sdk.cache.generation import Generation
from diijam_consent_sdk.cache.user import UserConsent
from tests.cache.world import AT, B, L, World, consenting, head, made, reason, withdrawn


def test_rule_7_a_grant_that_expires_is_over_on_the_lease_clock() -> None:
    """An expiry is counted from the sending of the load, at the store's time: no wall clock changes that."""
    world = World()
    user = world.load(consenting(expires_at=AT + timedelta(seconds=3)))["u"]
    world.clock.tick(2.9)
    assert reason(user) is Reason.CONSENTED
    world.clock.tick(0.1)
    assert reason(user) is Reason.STALE


def test_rule_7_an_expiry_is_not_put_off_by_the_feed() -> None:
    """A poll renews the lease, never the grant."""
    world = World()
    user = world.load(consenting(expires_at=AT + timedelta(seconds=3)))["u"]
    world.clock.tick(2)
    world.poll(head(10))
    world.clock.tick(1)
    assert reason(user) is Reason.STALE


def test_rule_7_a_user_fetched_again_unchanged_lives_on() -> None:
    """A held user whose lease ran out is the same one, and good again, once the same version was fetched."""
    world = World(follow=False)
    user = world.load(consenting())["u"]
    world.clock.tick(B)
    assert reason(user) is Reason.STALE
    assert world.load(consenting(), at=head(12))["u"] is user
    assert reason(user) is Reason.CONSENTED
    assert user.position == 12


def test_rule_7_a_user_fetched_again_turns_when_the_last_answer_says() -> None:
    """The store's clock was set ahead in between: what ends by it ends earlier."""
    world = World()
    generation = Generation(world.clock, Counters())
    user = made(generation, valid_until=world.clock.now + 100)
    assert user.renew(made(generation, valid_until=world.clock.now + 50))
    world.clock.tick(60)
    assert reason(user) is Reason.STALE


def test_rule_7_a_user_fetched_again_changed_is_dead() -> None:
    """A held user of an older version answers `STALE`; the new one answers."""
    world = World()
    user = world.load(consenting())["u"]
    assert reason(world.load(withdrawn(), at=head(11))["u"]) is Reason.WITHDRAWN
    assert reason(user) is Reason.STALE


def test_rule_7_a_user_loaded_again_under_a_guard_is_not_covered_by_what_the_guard_read_first() -> None:
    """A guard that read the feed's state for a user who then went to wait at another head says no, not the old yes."""
    world = World()
    waiting = Generation(world.clock, Counters())

    class Overtaken(Generation):
        """A reader of `fresh_until` is overtaken by a load and a poll."""

        @property
        def fresh_until(self) -> float:
            """Read late."""
            user.renew(made(waiting, position=20, until=world.clock.now))
            return world.clock.now + L

        @fresh_until.setter
        def fresh_until(self, value: float) -> None:
            """Not kept."""

    user = made(Overtaken(world.clock, Counters()), until=world.clock.now)
    assert reason(user) is Reason.STALE


def test_a_user_of_whom_nothing_is_known_is_unavailable_for_good() -> None:
    """Every guard answers so, and a mistake still raises."""
    user = UserConsent.unavailable("u", Counters())
    assert user.can_process(Purpose.PAYMENT).reason is Reason.UNAVAILABLE
    assert user.can_share("acme", {"email"}, "payment").reason is Reason.UNAVAILABLE
    assert user.public_view({"avatar": 1}) == {}
    with pytest.raises(ValueError, match="unknown Purpose 'fun'"):
        user.can_process("fun")
