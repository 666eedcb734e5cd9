"""`Leases`, rule by rule of protocol.md: pure, with every time given."""

from __future__ import annotations

from datetime import timedelta
from math import inf, nan
from typing import Any

import attrs
import pytest

from diijam_consent_sdk import Purpose, Reason
from diijam_consent_sdk.cache.counters import Counters
from diijam_consent_sdk.cache.history import MAX_CONFIRMED, MAX_UNCONFIRMED
from diijam_consent_sdk.cache.pending_writes import MAX_MINIMUMS, MAX_WITHDRAWALS, MAX_WRITES
from diijam_consent_sdk.cache.user import Generation, UserConsent
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.stores import Changes, Cursor, Loaded
from tests.client.world import AT, B, L, World, consenting, head, made, reason, withdrawn


def test_rule_1_a_lease_starts_when_the_request_was_sent() -> None:
    """However late the answer comes, the lease ends L after the request was sent."""
    world = World(follow=False)
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    world.clock.tick(L - 1)
    user = world.leases.finish_fetch(fetch, Loaded(head(1), AT, (consenting(),)), world.clock.now)["u"]
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
    """I3: whatever the store says of its waiting, nobody stays fresh for longer than L after the answer came."""
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
    """A replayed or cached answer, told by another `after`, is refused and leaves everything as it was."""
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
    assert world.leases.finish_fetch(fetch, Loaded(head(10), AT, (consenting(),)), world.clock.now) == {}


def test_rule_4_the_change_of_another_user_does_not_hinder() -> None:
    """In a batch each user is judged by itself."""
    world = World()
    world.load(consenting("x"), at=head(10))
    fetch = world.leases.begin_fetch(["u", "v"], world.clock.now)
    world.poll(head(11), {"u": 11})
    loaded = Loaded(head(10), AT, (consenting("u"), consenting("v")))
    assert set(world.leases.finish_fetch(fetch, loaded, world.clock.now)) == {"v"}


def test_rule_4_a_record_from_before_what_was_applied_is_discarded() -> None:
    """A load may not answer from before the changes that were applied when it was sent."""
    world = World()
    world.load(consenting("v"), at=head(10))
    world.poll(head(12), {"w": 12})
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    assert world.leases.finish_fetch(fetch, Loaded(head(11), AT, (consenting(),)), world.clock.now) == {}


def test_rule_4_an_older_record_never_replaces_a_newer_one() -> None:
    """I2: of two overlapping fetches, the one evaluated earlier loses, in whatever order they arrive."""
    world = World()
    world.load(consenting("v"), at=head(10))
    slow = world.leases.begin_fetch(["u"], world.clock.now)
    user = world.load(withdrawn(), at=head(12))["u"]
    assert world.leases.finish_fetch(slow, Loaded(head(11), AT, (consenting(),)), world.clock.now) == {}
    assert reason(user) is Reason.WITHDRAWN


def test_rule_4_an_answer_that_took_longer_than_a_lease_is_discarded() -> None:
    """What arrives L after it was asked for is of no use any more."""
    world = World()
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    world.clock.tick(L)
    assert world.leases.finish_fetch(fetch, Loaded(head(10), AT, (consenting(),)), world.clock.now) == {}


@pytest.mark.parametrize(
    "records", [(consenting("v"),), (), (consenting(), consenting())], ids=["another user", "none", "too many"]
)
def test_rule_4_a_record_of_another_user_is_discarded(records: tuple[ConsentRecord, ...]) -> None:
    """I5: an answer for a user comes only from a record of that user."""
    world = World()
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    assert world.leases.finish_fetch(fetch, Loaded(head(10), AT, records), world.clock.now) == {}
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


def test_rule_6_the_first_load_is_the_first_head() -> None:
    """The feed starts where the first load was evaluated; what other fetches bring from before it is dropped."""
    world = World()
    other = world.leases.begin_fetch(["v"], world.clock.now)
    world.load(consenting("u"), at=head(10))
    assert world.leases.applied == head(10)
    assert world.leases.finish_fetch(other, Loaded(head(9), AT, (consenting("v"),)), world.clock.now) == {}


def test_rule_6_a_load_of_nobody_gives_the_first_head_and_no_other() -> None:
    """A follower that comes first begins from the head of an empty load; a later one moves nothing."""
    world = World()
    world.load(at=head(10))
    assert world.leases.applied == head(10)
    user = world.load(consenting("u"), at=head(10))["u"]
    world.load(at=head(12))
    assert world.leases.applied == head(10)
    assert reason(user) is Reason.CONSENTED


@pytest.mark.parametrize(
    "other",
    [head(11, epoch="two"), head(5, epoch="two"), attrs.evolve(head(10), hash="forked")],
    ids=["another epoch", "another epoch, behind", "same position, another chain"],
)
@pytest.mark.parametrize("follow", [True, False], ids=["following", "not following"])
def test_rule_6_another_history_in_a_load_drops_everything(other: Cursor, *, follow: bool) -> None:
    """A load that shows another history begins a new generation from its head, and installs nothing."""
    world = World(follow=follow)
    user = world.load(consenting("u"), at=head(10))["u"]
    assert world.load(consenting("v"), at=other) == {}
    assert reason(user) is Reason.STALE
    assert world.leases.applied == (other if follow else None)
    assert world.load(consenting("v"), at=other)["v"].can_market("email")


def load_behind(world: World, *records: ConsentRecord, at: Cursor) -> Cursor | None:
    """A load whose answer lies behind: nothing is installed, and the head to be asked for is told."""
    fetch = world.leases.begin_fetch([record.user_id for record in records], world.clock.now)
    assert world.leases.finish_fetch(fetch, Loaded(at, AT, records), world.clock.now) == {}
    return fetch.lies_behind


FOLLOWS = pytest.mark.parametrize("follow", [True, False], ids=["following", "not following"])


@FOLLOWS
def test_rule_6_a_load_that_lies_behind_is_discarded_and_nothing_else_happens(*, follow: bool) -> None:
    """However often, a head of the same epoch behind one that was seen may be a store that lags: it has to be asked."""
    world = World(follow=follow)
    user = world.load(consenting("u"), at=head(10))["u"]
    for _ in range(3):
        assert load_behind(world, consenting("v"), at=head(9)) == head(10)
    assert reason(user) is Reason.CONSENTED
    assert world.leases.users.get("v") is None


@FOLLOWS
def test_rule_6_a_head_behind_is_another_history_once_the_store_says_so(*, follow: bool) -> None:
    """The head that was seen is not in the store's history: everything is dropped, and what it has now is loaded."""
    world = World(follow=follow)
    user = world.load(consenting("u"), at=head(10))["u"]
    seen = load_behind(world, consenting("v"), at=head(5))
    assert seen is not None
    poll = world.leases.begin_poll(seen, world.clock.now)
    answer = Changes(seen, head(5), {}, complete=True, waited=0.0)
    assert not world.leases.confirm(poll, answer, world.clock.now, is_head=True)
    assert reason(user) is Reason.STALE
    assert world.load(consenting("v"), at=head(5))["v"].can_market("email")


def test_rule_6_the_store_may_know_the_head_that_an_answer_lies_behind() -> None:
    """It only lagged: nobody is dropped."""
    world = World()
    user = world.load(consenting("u"), at=head(10))["u"]
    seen = load_behind(world, consenting("v"), at=head(5))
    assert seen is not None
    assert prove(world, seen, is_head=True)
    assert reason(user) is Reason.CONSENTED


def test_rule_6_a_load_from_before_what_was_seen_since_is_no_head_behind() -> None:
    """It was sent before: it may have been evaluated before too, and its users are kept."""
    world = World(follow=False)
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    world.load(consenting("v"), at=head(12))
    assert "u" in world.leases.finish_fetch(fetch, Loaded(head(11), AT, (consenting(),)), world.clock.now)
    assert fetch.lies_behind is None


@FOLLOWS
def test_rule_6_an_acknowledged_write_counts_as_seen(*, follow: bool) -> None:
    """Loads that lag behind it, twice in a row and in the same epoch, are no other history: 476 yeses came of that."""
    world = World(follow=follow)
    world.load(consenting("u"), at=head(10))
    world.leases.finish_write(world.leases.begin_write("u"), head(11), world.clock.now)
    for _ in range(2):
        assert load_behind(world, consenting("u"), at=head(10)) == head(11)
    assert reason(world.load(withdrawn("u"), at=head(11))["u"]) is Reason.WITHDRAWN


def test_rule_6_an_append_that_lies_behind_tells_nothing() -> None:
    """It may be a repeat, whose cursor is that of long ago: nobody is dropped, and what was seen stays seen."""
    world = World()
    user = world.load(consenting("u"), at=head(10))["u"]
    world.leases.finish_write(world.leases.begin_write("v"), head(7), world.clock.now)
    assert reason(user) is Reason.CONSENTED
    assert load_behind(world, consenting("v"), at=head(9)) == head(10)


def begin_again_at(world: World, other: Cursor) -> None:
    """The newest head that was seen is not in the store's history."""
    seen = world.leases._history.latest_head
    assert seen is not None
    poll = world.leases.begin_poll(seen, world.clock.now)
    answer = Changes(seen, other, {}, complete=True, waited=0.0)
    assert not world.leases.confirm(poll, answer, world.clock.now, is_head=True)
    assert world.leases._history.latest_head == other


@FOLLOWS
def test_rule_6_floors_are_kept_for_another_b_where_the_epoch_is_the_same(*, follow: bool) -> None:
    """
    If it lagged after all, `changes` too, it does not show this process's write for some time: no load counts that
    was sent within B, whenever it is answered.
    """
    world = World(follow=follow)
    world.load(consenting("v"), at=head(10))
    world.leases.finish_write(world.leases.begin_write("u"), head(11), world.clock.now)
    begin_again_at(world, head(10))
    assert world.load(consenting("u"), at=head(10)) == {}
    world.clock.tick(B - 0.1)
    late = world.leases.begin_fetch(["u"], world.clock.now)
    world.clock.tick(0.2)
    assert world.leases.finish_fetch(late, Loaded(head(10), AT, (consenting("u"),)), world.clock.now) == {}
    assert world.load(consenting("u"), at=head(10))["u"].can_market("email")


def test_rule_6_floors_that_the_feed_passed_count_again() -> None:
    """The feed had shown the write; then loads and `changes` lag: the floor holds as if it had not."""
    world = World()
    world.load(consenting("v"), at=head(10))
    world.leases.finish_write(world.leases.begin_write("u"), head(11), world.clock.now)
    world.poll(head(11), {"u": 11})
    world.clock.tick(B / 2)
    begin_again_at(world, head(10))
    assert world.load(consenting("u"), at=head(10)) == {}
    assert world.load(consenting("w"), at=head(10))["w"].can_market("email")
    world.clock.tick(B / 2)
    assert world.load(consenting("u"), at=head(10))["u"].can_market("email")


def test_rule_6_floors_go_with_their_epoch() -> None:
    """Positions of one epoch tell nothing of another's: the user is loaded at once."""
    world = World(follow=False)
    world.load(consenting("v"), at=head(10))
    world.leases.finish_write(world.leases.begin_write("u"), head(11), world.clock.now)
    assert world.load(consenting("u"), at=head(5, epoch="two")) == {}
    assert world.load(consenting("u"), at=head(5, epoch="two"))["u"].can_market("email")


def test_rule_6_floors_that_are_kept_are_bounded() -> None:
    """I7: however often the history seems to change, no kind of floor has more than the cap; the rest share one."""
    world = World()
    world.load(consenting("v"), at=head(1))
    position = 1
    for _ in range(3):
        for number in range(MAX_MINIMUMS // 2 + 10):
            position += 1
            world.leases.finish_write(
                world.leases.begin_write(f"w{position}-{number}"), head(position), world.clock.now
            )
        world.poll(head(position), {"other": position})
        begin_again_at(world, head(1))
        position += 1
        assert max(world.leases._minimums.sizes()) <= MAX_MINIMUMS
    assert world.leases._minimums.find("anybody", world.clock.now) > 1


def test_rule_6_writes_of_unknown_outcome_outlive_their_history() -> None:
    """They are sent again, and deny until then."""
    world = World()
    world.load(consenting("u"), at=head(10))
    world.leases.begin_write("u")
    world.load(consenting("v"), at=head(3, epoch="two"))
    assert world.load(consenting("u"), at=head(3, epoch="two")) == {}


@pytest.mark.parametrize(
    ("cursor", "users"),
    [(head(11, epoch="two"), {}), (head(15), {}), (head(11, epoch="two"), {"u": 11})],
    ids=["another epoch", "overtaken: a head that was not reached from here", "another epoch with users"],
)
def test_rule_6_another_history_in_a_poll_drops_everything(cursor: Cursor, users: dict[str, int]) -> None:
    """A poll whose answer does not continue from where it asked renews nothing and starts over."""
    world = World()
    user = world.load(consenting("u"), at=head(10))["u"]
    world.poll(cursor, users)
    assert reason(user) is Reason.STALE
    assert world.leases.applied == cursor


def test_rule_6_a_poll_that_lies_behind_renews_and_drops_nothing() -> None:
    """The store lags or has another history: it has to be asked for the newest head that was seen, here of a write."""
    world = World()
    user = world.load(consenting("u"), at=head(10))["u"]
    world.leases.finish_write(world.leases.begin_write("v"), head(13), world.clock.now)
    world.clock.tick(50)
    for cursor, users in ((head(7), {}), (head(10), {}), (head(12), {"u": 12})):
        poll = world.leases.begin_poll(head(10), world.clock.now)
        world.leases.finish_poll(poll, Changes(head(10), cursor, users, complete=True, waited=0.0), world.clock.now)
        assert poll.lies_behind == head(13)
    assert reason(user) is Reason.CONSENTED
    assert world.leases.applied == head(10)
    world.clock.tick(10)
    assert reason(user) is Reason.STALE


def test_rule_6_a_part_of_the_changes_lies_behind_nothing() -> None:
    """An answer that does not reach the head is one step on the way."""
    world = World()
    world.load(consenting("u"), at=head(10))
    world.leases.finish_write(world.leases.begin_write("v"), head(13), world.clock.now)
    world.poll(head(11), {"u": 11}, complete=False)
    assert world.leases.applied == head(11)


def test_rule_2_of_two_polls_from_one_place_the_second_answer_moves_nothing() -> None:
    """The feed does not go back to where the later answer would have it."""
    world = World()
    world.load(consenting("u"), at=head(10))
    late = world.leases.begin_poll(head(10), world.clock.now)
    world.poll(head(15), {"v": 15})
    world.leases.finish_poll(late, Changes(head(10), head(12), {"v": 12}, complete=True, waited=0.0), world.clock.now)
    assert world.leases.applied == head(15)


def test_rule_6_another_history_in_a_proof_drops_everything() -> None:
    """Whatever token was asked for, the store's head is of another epoch."""
    world = World()
    user = world.load(consenting("u"), at=head(10))["u"]
    poll = world.leases.begin_poll(head(3, epoch="zero"), world.clock.now)
    answer = Changes(poll.after, head(3, epoch="two"), {}, complete=True, waited=0.0)
    assert not world.leases.confirm(poll, answer, world.clock.now)
    assert reason(user) is Reason.STALE


@pytest.mark.parametrize("after", [head(9), head(11)])
def test_rule_6_a_proof_with_the_answer_to_another_question_says_nothing(after: Cursor) -> None:
    """Replayed or cached, it neither proves nor drops anything."""
    world = World()
    user = world.load(consenting("u"), at=head(10))["u"]
    poll = world.leases.begin_poll(head(10), world.clock.now)
    with pytest.raises(StoreUnavailable):
        world.leases.confirm(
            poll, Changes(after, head(5), {}, complete=True, waited=0.0), world.clock.now, is_head=True
        )
    assert reason(user) is Reason.CONSENTED


def test_rule_6_another_epoch_in_an_append_drops_everything() -> None:
    """The store's answer to a write shows its history too."""
    world = World()
    user = world.load(consenting("u"), at=head(10))["u"]
    world.leases.finish_write(world.leases.begin_write("v"), head(3, epoch="two"), world.clock.now)
    assert reason(user) is Reason.STALE
    assert world.leases.applied == head(3, epoch="two")


def test_rule_6_what_was_asked_in_an_old_generation_cannot_bring_it_back() -> None:
    """Loads, polls and writes that were sent before the new generation change nothing when they arrive."""
    world = World()
    world.load(consenting("u"), at=head(10))
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    poll = world.leases.begin_poll(head(10), world.clock.now)
    write = world.leases.begin_write("v")
    world.load(consenting("w"), at=head(4, epoch="two"))
    user = world.load(withdrawn("u"), at=head(4, epoch="two"))["u"]
    assert world.leases.finish_fetch(fetch, Loaded(head(20), AT, (consenting(),)), world.clock.now) == {}
    world.leases.finish_poll(poll, Changes(head(10), head(20), {"u": 20}, complete=True, waited=0.0), world.clock.now)
    world.leases.finish_write(write, head(21), world.clock.now)
    assert reason(user) is Reason.WITHDRAWN
    assert world.leases.applied == head(4, epoch="two")


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


def test_rule_7_an_evicted_user_is_dead() -> None:
    """At capacity the user kept longest makes room, and whoever holds it is told."""
    world = World(capacity=2)
    users = world.load(consenting("a"), consenting("b"), consenting("c"))
    assert reason(users["a"]) is Reason.STALE
    assert reason(users["c"]) is Reason.CONSENTED
    assert world.leases.users.get("a") is None


def test_rule_8_from_before_a_write_the_user_is_denied() -> None:
    """While a write is under way nothing of its user is served or installed."""
    world = World()
    user = world.load(consenting())["u"]
    world.leases.begin_write("u")
    assert reason(user) is Reason.STALE
    assert world.load(consenting(), at=head(12)) == {}


def test_rule_8_after_a_write_only_a_record_past_it_is_installed() -> None:
    """A fetch sent before the write, evaluated before it, is discarded after it was acknowledged."""
    world = World()
    world.load(consenting("v"), at=head(10))
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    world.leases.finish_write(world.leases.begin_write("u"), head(12), world.clock.now)
    assert world.leases.finish_fetch(fetch, Loaded(head(11), AT, (consenting(),)), world.clock.now) == {}
    assert reason(world.load(withdrawn(), at=head(12))["u"]) is Reason.WITHDRAWN


def test_rule_8_a_floor_outlives_the_first_head() -> None:
    """A write acknowledged before the feed began holds off older records after it began."""
    world = World()
    world.leases.finish_write(world.leases.begin_write("u"), head(12), world.clock.now)
    assert world.load(consenting("u"), at=head(11)) == {}


def test_rule_8_a_floor_is_gone_once_the_feed_passed_it() -> None:
    """Memory is bounded: the feed covers what the floor did."""
    world = World()
    world.load(consenting("v"), at=head(10))
    world.leases.finish_write(world.leases.begin_write("u"), head(11), world.clock.now)
    world.poll(head(11), {"u": 11})
    assert len(world.leases._minimums) == 0


def test_rule_8_floors_past_their_number_are_shared() -> None:
    """I7: without a feed the floors of the oldest writes become one floor for all, which is stricter."""
    world = World(follow=False)
    world.load(consenting("v"), at=head(1))
    for number in range(MAX_MINIMUMS + 5):
        world.leases.finish_write(world.leases.begin_write(f"w{number}"), head(number + 2), world.clock.now)
    assert len(world.leases._minimums) == MAX_MINIMUMS
    assert [world.leases._minimums.find(user_id, world.clock.now) for user_id in ("w0", "w4", "w5", "x")] == [
        6,
        6,
        7,
        6,
    ]


def test_rule_8_a_refused_write_ends_the_denial() -> None:
    """Nothing was written: the user is fetched again."""
    world = World()
    world.load(consenting("u"))
    world.leases.finish_write(world.leases.begin_write("u"), None, world.clock.now)
    assert world.load(consenting("u"))["u"].can_market("email")


def test_rule_8_of_two_writes_the_last_to_end_ends_the_denial() -> None:
    """A user with another write under way stays denied."""
    world = World()
    first, second = world.leases.begin_write("u"), world.leases.begin_write("u")
    world.leases.finish_write(first, head(11), world.clock.now)
    assert world.load(consenting("u"), at=head(12)) == {}
    world.leases.finish_write(second, None, world.clock.now)
    assert world.load(consenting("u"), at=head(12))["u"].can_market("email")


@pytest.mark.parametrize(("takes_away", "most"), [(False, MAX_WRITES), (True, MAX_WITHDRAWALS)])
def test_rule_8_at_the_cap_new_writes_are_refused(*, takes_away: bool, most: int) -> None:
    """I7: no write of unknown outcome is dropped to make room for another; each kind has room of its own."""
    world = World()
    writes = [world.leases.begin_write(f"w{number}", takes_away=takes_away) for number in range(most)]
    for user_id in ("one too many", "w0"):
        with pytest.raises(StoreUnavailable):
            world.leases.begin_write(user_id, takes_away=takes_away)
    world.leases.begin_write("other", takes_away=not takes_away)
    world.leases.finish_write(writes[0], None, world.clock.now)
    world.leases.begin_write("one more", takes_away=takes_away)


def prove(world: World, cursor: Cursor, *, known: bool = True, is_head: bool = False) -> bool:
    """A proof that is answered at once, by a store with entries past the cursor, which it knows or not."""
    poll = world.leases.begin_poll(cursor, world.clock.now)
    last = max(20, cursor.position + 1)
    changes = Changes(cursor, head(last), {"other": last} if known else {}, complete=True, waited=0.0)
    return world.leases.confirm(poll, changes, world.clock.now, is_head=is_head)


def test_rule_8_a_token_is_proven_by_the_store_alone() -> None:
    """A token counts as shown if the store knows it, the feed has come past it, and the user is as of then or later."""
    world = World()
    user = world.load(consenting("u"), at=head(10))["u"]
    assert not prove(world, head(8, epoch="two"), known=False)
    assert not world.leases.has_shown(head(8, epoch="two"), user)
    assert prove(world, head(8))
    assert world.leases.has_shown(head(8), user)
    assert prove(world, head(15))
    assert not world.leases.has_shown(head(15), user)


def test_rule_8_tokens_are_forgotten_with_their_history_and_past_their_number() -> None:
    """I7: what is known of tokens is bounded, and ends with the generation."""
    world = World()
    world.load(consenting("u"), at=head(MAX_CONFIRMED + 1))
    for number in range(MAX_CONFIRMED + 1):
        assert prove(world, head(number))
        assert len(world.leases._history._confirmed) <= MAX_CONFIRMED
    user = world.load(consenting("u"), at=head(2, epoch="two"))
    assert not user
    user = world.load(consenting("u"), at=head(2, epoch="two"))
    assert not world.leases.has_shown(head(MAX_CONFIRMED), user["u"])


def test_rule_2_the_feed_covers_only_heads_it_has_shown() -> None:
    """Who was loaded ahead of the feed has an own lease alone, until the feed comes to that head, or it is proven."""
    world = World()
    world.load(consenting("u"), at=head(10))
    shown, passed, lost = (world.load(consenting(u), at=head(n))[u] for u, n in (("a", 11), ("b", 12), ("c", 13)))
    world.clock.tick(50)
    world.poll(head(11), {"other": 11}, complete=False)
    world.poll(head(14), {"other": 14})
    world.clock.tick(20)
    assert [reason(user) for user in (shown, passed, lost)] == [Reason.CONSENTED, Reason.STALE, Reason.STALE]
    assert world.leases.unconfirmed_heads() == [head(12), head(13)]
    assert prove(world, head(12))
    assert reason(passed) is Reason.CONSENTED
    assert not prove(world, head(13), known=False, is_head=True)
    assert [reason(user) for user in (shown, passed)] == [Reason.STALE, Reason.STALE]


def test_rule_2_a_user_loaded_again_waits_where_it_was_loaded_last() -> None:
    """A proof of the head of an earlier load does not cover what a later load moved elsewhere."""
    world = World()
    world.load(consenting("v"), at=head(10))
    user = world.load(consenting("u"), at=head(12))["u"]
    assert world.load(consenting("u"), at=head(13))["u"] is user
    world.clock.tick(50)
    world.poll(head(14), {"other": 14})
    assert prove(world, head(12))
    world.clock.tick(20)
    assert reason(user) is Reason.STALE
    assert prove(world, head(13))
    assert reason(user) is Reason.CONSENTED


def test_rule_7_a_user_loaded_again_under_a_guard_is_not_covered_by_what_the_guard_read_first() -> None:
    """A guard that read the feed's state for a user who then went to wait at another head says no, not the old yes."""
    world = World()
    waiting = Generation(world.clock, Counters())

    class Overtaken(Generation):
        """Whoever reads until when it is fresh is overtaken by a load and a poll."""

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


def test_rule_2_heads_that_wait_for_a_proof_are_bounded() -> None:
    """I7: past their number the oldest is forgotten; its users run out and are fetched again."""
    world = World()
    world.load(consenting("v"), at=head(10))
    for number in range(MAX_UNCONFIRMED + 5):
        world.load(consenting("u"), at=head(11 + number))
    assert len(world.leases._history._unconfirmed) == MAX_UNCONFIRMED


def test_rule_2_users_that_wait_for_a_proof_are_bounded() -> None:
    """I7: with the feed down, those who left memory or were loaded again do not wait at a head for ever."""
    world = World(capacity=3)
    world.load(consenting("v"), at=head(10))
    for number in range(50):
        world.load(consenting(f"u{number % 10}"), at=head(20 + number // 25))
        world.load(consenting(f"u{number % 10}"), at=head(20 + number // 25))
    assert sum(len(ahead.waiting) for ahead in world.leases._history._unconfirmed.values()) <= 3
    kept = list(world.leases.users.values())
    world.clock.tick(50)
    world.poll(head(21), {"other": 21})
    world.clock.tick(20)
    assert [reason(user) for user in kept] == [Reason.CONSENTED] * 3


def test_who_was_asked_lately_stays() -> None:
    """At its capacity a client lets go of those that nobody asked for since it last looked."""
    world = World(capacity=3)
    a, b, c = (world.load(consenting(u))[u] for u in "abc")
    reason(a), reason(c)
    world.load(consenting("d"))
    assert (reason(a), reason(b), reason(c)) == (Reason.CONSENTED, Reason.STALE, Reason.CONSENTED)


def test_rule_9_after_close_guards_say_unavailable() -> None:
    """Held users and answers on their way deny once the client closed, also after their lease ran out."""
    world = World()
    user = world.load(consenting("u"))["u"]
    fetch = world.leases.begin_fetch(["v"], world.clock.now)
    world.leases.close()
    assert reason(user) is Reason.UNAVAILABLE
    assert world.leases.finish_fetch(fetch, Loaded(head(12), AT, (consenting("v"),)), world.clock.now) == {}
    world.clock.tick(B)
    assert reason(user) is Reason.UNAVAILABLE


def test_rule_9_what_a_child_inherits_is_dead_and_needs_no_lock() -> None:
    """After a fork a thread that held the lock may not exist: the inherited users die without it."""
    world = World()
    user = world.load(consenting("u"))["u"]
    with world.leases._lock:
        world.leases.abandon()
    assert reason(user) is Reason.STALE


def test_a_user_of_whom_nothing_is_known_is_unavailable_for_good() -> None:
    """Every guard of it says so, and still tells a mistake from a no."""
    user = UserConsent.unavailable("u", Counters())
    assert user.can_process(Purpose.PAYMENT).reason is Reason.UNAVAILABLE
    assert user.can_share("acme", {"email"}, "payment").reason is Reason.UNAVAILABLE
    assert user.public_view({"avatar": 1}) == {}
    with pytest.raises(ValueError, match="unknown Purpose 'fun'"):
        user.can_process("fun")
