"""Leases: rules 1 to 5 of protocol.md, with every time given."""

from __future__ import annotations

from datetime import timedelta
from math import inf, nan
from typing import Any

import attrs
import pytest
from msgspec.structs import replace

from diijam_consent_sdk import Reason
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.standing import AskScope
from diijam_consent_sdk.stores import Changes
from tests.cache.world import AT, B, L, World, consenting, fast_answers, head, reason, standings, withdrawn


def test_rule_1_a_lease_starts_when_the_request_was_sent() -> None:
    """However late the answer comes, the lease ends L after the request was sent."""
    world = World(follow=False)
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    world.clock.tick(L - 1)
    user = world.leases.finish_fetch(fetch, standings(consenting(), at=head(1)), world.clock.now)["u"]
    world.clock.tick(0.999)
    assert reason(user) is Reason.CONSENTED
    world.clock.tick(0.002)
    assert reason(user) is Reason.STALE


def test_rule_2_one_complete_poll_renews_everybody() -> None:
    """A complete poll keeps every user fresh until L after it was sent, plus what the store waited."""
    world = World()
    user = world.load(consenting())["u"]
    world.clock.tick(50)
    world.poll(head(10), waited=10)
    world.clock.tick(L - 10 * 0.001 - 0.001)
    assert reason(user) is Reason.CONSENTED
    world.clock.tick(0.002)
    assert reason(user) is Reason.STALE


@pytest.mark.parametrize("waited", [5.0, B, 1e300, inf, nan, -inf, -1.0])
def test_rule_2_a_store_cannot_have_waited_longer_than_the_poll_took(waited: float) -> None:
    """I3: whatever waiting the store claims, no user stays fresh for longer than L after the answer came."""
    world = World()
    user = world.load(consenting())["u"]
    world.clock.tick(50)
    poll = world.leases.begin_poll(head(10), world.clock.now)
    world.clock.tick(2)
    world.leases.finish_poll(poll, Changes(head(10), head(10), {}, complete=True, waited=waited), world.clock.now)
    world.clock.tick(L + 0.001)
    assert reason(user) is Reason.STALE


def test_rule_2_a_waiting_that_is_no_number_renews_nothing() -> None:
    """It is not taken for the longest there may have been."""
    world = World()
    user = world.load(consenting())["u"]
    poll = world.leases.begin_poll(head(10), world.clock.now)
    world.clock.tick(2)
    world.leases.finish_poll(poll, Changes(head(10), head(10), {}, complete=True, waited=nan), world.clock.now)
    world.clock.tick(L - 1)
    assert reason(user) is Reason.STALE


@pytest.mark.parametrize(
    ("users", "complete"),
    [({"u": 10}, True), ({"u": -1}, True), ({"u": 13}, True), ({"u": nan}, True), ({}, "false"), ({}, None)],
)
def test_rule_2_an_answer_that_contradicts_itself_renews_nothing(users: Any, complete: Any) -> None:
    """A change outside what the answer covers would be missed: such an answer is refused as a whole."""
    world = World()
    user = world.load(consenting())["u"]
    poll = world.leases.begin_poll(head(10), world.clock.now)
    cursor = head(12) if users else head(10)
    with pytest.raises(StoreUnavailable):
        world.leases.finish_poll(poll, Changes(head(10), cursor, users, complete, waited=0.0), world.clock.now)
    assert world.leases.applied == head(10)
    world.clock.tick(L)
    assert reason(user) is Reason.STALE


def test_rule_2_an_incomplete_poll_renews_nothing() -> None:
    """A poll that did not reach the head says nothing of those it did not name."""
    world = World()
    user = world.load(consenting())["u"]
    world.clock.tick(50)
    world.poll(head(11), {"other": 11}, complete=False)
    world.clock.tick(10)
    assert reason(user) is Reason.STALE


def test_rule_2_an_answer_to_another_poll_renews_nothing() -> None:
    """A replayed or cached answer, recognised by another `after`, is refused and leaves everything as it was."""
    world = World()
    user = world.load(consenting())["u"]
    poll = world.leases.begin_poll(head(10), world.clock.now)
    with pytest.raises(StoreUnavailable):
        world.leases.finish_poll(poll, Changes(head(9), head(10), {}, complete=True, waited=0.0), world.clock.now)
    world.clock.tick(B)
    assert reason(user) is Reason.STALE


def test_rule_3_a_change_drops_the_user() -> None:
    """A held user is dead once the feed named a change after it; others live on."""
    world = World()
    users = world.load(consenting("u"), consenting("v"))
    world.poll(head(11), {"u": 11})
    assert reason(users["u"]) is Reason.STALE
    assert reason(users["v"]) is Reason.CONSENTED
    assert world.leases.users.get("u") is None


def test_rule_3_a_change_the_user_already_includes_drops_nothing() -> None:
    """A record evaluated at or past the change stays."""
    world = World()
    world.load(consenting("v"), at=head(10))
    user = world.load(consenting("u"), at=head(12))["u"]
    world.poll(head(12), {"u": 11, "w": 12})
    assert reason(user) is Reason.CONSENTED


def test_rule_4_a_slow_fetch_from_before_a_change_is_discarded() -> None:
    """A fetch sent before a withdrawal never puts the old yes back, although it arrives after the change."""
    world = World()
    world.load(consenting("v"), at=head(10))
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    world.poll(head(11), {"u": 11})
    assert world.leases.finish_fetch(fetch, standings(consenting(), at=head(10)), world.clock.now) == {}


def test_rule_4_the_change_of_another_user_does_not_hinder() -> None:
    """In a batch each user is judged by itself."""
    world = World()
    world.load(consenting("x"), at=head(10))
    fetch = world.leases.begin_fetch(["u", "v"], world.clock.now)
    world.poll(head(11), {"u": 11})
    loaded = standings(consenting("u"), consenting("v"), at=head(10))
    assert set(world.leases.finish_fetch(fetch, loaded, world.clock.now)) == {"v"}


def test_rule_4_a_record_from_before_what_was_applied_is_discarded() -> None:
    """A load may not answer from before the changes that were applied when it was sent."""
    world = World()
    world.load(consenting("v"), at=head(10))
    world.poll(head(12), {"w": 12})
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    assert world.leases.finish_fetch(fetch, standings(consenting(), at=head(11)), world.clock.now) == {}


def test_rule_4_an_older_record_never_replaces_a_newer_one() -> None:
    """I2: of two overlapping fetches, the one evaluated earlier loses, in whatever order they arrive."""
    world = World()
    world.load(consenting("v"), at=head(10))
    slow = world.leases.begin_fetch(["u"], world.clock.now)
    user = world.load(withdrawn(), at=head(12))["u"]
    assert world.leases.finish_fetch(slow, standings(consenting(), at=head(11)), world.clock.now) == {}
    assert reason(user) is Reason.WITHDRAWN


def test_rule_4_an_answer_that_took_longer_than_a_lease_is_discarded() -> None:
    """What arrives L after it was asked for is of no use any more."""
    world = World()
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    world.clock.tick(L)
    assert world.leases.finish_fetch(fetch, standings(consenting(), at=head(10)), world.clock.now) == {}


@pytest.mark.parametrize(
    "records", [(consenting("v"),), (), (consenting(), consenting())], ids=["another user", "none", "too many"]
)
def test_rule_4_a_record_of_another_user_is_discarded(records: tuple[ConsentRecord, ...]) -> None:
    """I5: an answer for a user comes only from a record of that user."""
    world = World()
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    assert world.leases.finish_fetch(fetch, standings(*records, at=head(10)), world.clock.now) == {}
    assert world.leases.users.get("u") is None


def test_rule_5_with_the_feed_down_each_lease_runs_out_by_itself() -> None:
    """Nothing is flushed and nothing renewed: a user loaded later ends later."""
    world = World()
    early = world.load(consenting("u"))["u"]
    world.clock.tick(30)
    late = world.load(consenting("v"))["v"]
    world.clock.tick(30)
    assert reason(early) is Reason.STALE
    assert reason(late) is Reason.CONSENTED


def test_a_row_that_is_no_standing_denies_its_user_alone() -> None:
    """Bytes that do not decode install nothing, and say so; the others of the answer are installed."""
    world = World()
    fetch = world.leases.begin_fetch(["u", "v", "w"], world.clock.now)
    answer = standings(consenting("u"), consenting("v"), consenting("w"))
    u, v, w = answer.users
    answer = attrs.evolve(answer, users=(replace(u, standing=b"{}"), v, replace(w, standing=v.standing[:-1])))
    assert list(world.leases.finish_fetch(fetch, answer, world.clock.now)) == ["v"]
    assert fetch.is_malformed


@pytest.mark.parametrize("seconds", [0, 5])
def test_a_row_with_an_end_that_is_over_denies(seconds: int) -> None:
    """A standing that was stored too long ago installs nothing: the yes in it has ended by the store's own clock."""
    world = World()
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    answer = standings(consenting(expires_at=AT + timedelta(seconds=5)))
    late = attrs.evolve(answer, at=AT + timedelta(seconds=5 + seconds))
    assert world.leases.finish_fetch(fetch, late, world.clock.now) == {}
    assert fetch.is_malformed


MARKETING, PROFILE = frozenset({AskScope.MARKETING}), frozenset({AskScope.PROFILE})


def test_asks_outside_the_view_are_not_entitled() -> None:
    """What the service did not send is no customer's no."""
    world = World()
    user = world.load(consenting(), view=MARKETING)["u"]
    assert reason(user) is Reason.CONSENTED
    assert user.is_public("avatar").reason is Reason.NOT_ENTITLED
    assert user.can_share("acme", {"email"}, "payment").reason is Reason.NOT_ENTITLED


def test_an_answer_of_another_view_drops_the_users_of_the_old_one() -> None:
    """The token was exchanged: the generation, the feed's state and the minimum positions stay."""
    world = World()
    user = world.load(consenting("u"))["u"]
    world.poll(head(10))
    world.cover(user)
    world.leases.finish_write(world.begin_write("w", takes_away=True), head(10), world.clock.now)
    generation, applied = world.leases.feed()
    other = world.load(consenting("v"), view=MARKETING)["v"]
    assert reason(user) is Reason.STALE
    assert fast_answers(world.leases, "u") is None
    assert reason(other) is Reason.CONSENTED
    assert other.is_public("avatar").reason is Reason.NOT_ENTITLED
    assert world.leases.feed() == (generation, applied)
    assert world.leases._minimums.find("w", world.clock.now) == 10


def test_an_answer_that_was_under_way_when_the_view_changed_is_of_its_own_view() -> None:
    """It drops those of the new view, until the feed or the next load tells that the view has changed."""
    world = World()
    world.load(consenting("v"))
    old = world.leases.begin_fetch(["u"], world.clock.now)
    new = world.load(consenting("w"), view=MARKETING)["w"]
    (late,) = world.leases.finish_fetch(old, standings(consenting("u")), world.clock.now).values()
    assert (reason(late), reason(new)) == (Reason.CONSENTED, Reason.STALE)
    with pytest.raises(StoreUnavailable, match="other asks"):
        world.poll(head(10), view=MARKETING)
    assert world.leases.is_view_doubted
    world.load(view=MARKETING)
    assert reason(late) is Reason.STALE
    world.poll(head(10), view=MARKETING)


def test_rule_2_a_feed_in_another_view_renews_nothing() -> None:
    """It still drops who changed, and the next load tells which view is right."""
    world = World()
    user, changed = world.load(consenting("u"), consenting("v"), view=PROFILE).values()
    world.clock.tick(B / 2)
    with pytest.raises(StoreUnavailable, match="other asks"):
        world.poll(head(11), {"v": 11}, view=MARKETING)
    assert reason(changed) is Reason.STALE
    assert world.leases.is_view_doubted is True
    world.clock.tick(B / 2)
    assert user.is_public("avatar").reason is Reason.STALE
    world.load(consenting("u"), at=head(11), view=MARKETING)
    assert bool(world.leases.is_view_doubted) is False
    world.poll(head(11), view=MARKETING)


@pytest.mark.parametrize(("version", "is_dropped"), [(1, False), (2, False), (3, True)])
def test_who_was_seen_newer_is_not_answered_older(version: int, is_dropped: bool) -> None:
    """A record that a caller loaded drops the user who is cached with an older version, and no other."""
    world = World()
    user = world.load(consenting())["u"]
    world.leases.drop_older("u", version)
    world.leases.drop_older("nobody", version)
    assert (reason(user) is Reason.STALE) is is_dropped
    assert ("u" in world.leases.users) is not is_dropped
