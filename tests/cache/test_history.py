"""Which heads are of the history that the client follows: rule 6, and what the feed covers."""

from __future__ import annotations

import attrs
import pytest

from diijam_consent_sdk import Reason
from diijam_consent_sdk.cache.history import MAX_CONFIRMED, MAX_UNCONFIRMED
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.stores import Changes, Cursor
from tests.cache.world import World, consenting, head, reason, standings, withdrawn


def load_behind(world: World, *records: ConsentRecord, at: Cursor) -> Cursor | None:
    """A load whose answer lies behind: nothing is installed. Gives the head to be confirmed."""
    fetch = world.leases.begin_fetch([record.user_id for record in records], world.clock.now)
    assert world.leases.finish_fetch(fetch, standings(*records, at=at), world.clock.now) == {}
    return fetch.lies_behind


FOLLOWS = pytest.mark.parametrize("follow", [True, False], ids=["following", "not following"])


def prove(world: World, cursor: Cursor, *, known: bool = True, is_head: bool = False) -> bool:
    """A confirmation answered at once, by a store with entries past the cursor, in whose history it is or not."""
    poll = world.leases.begin_poll(cursor, world.clock.now)
    last = max(20, cursor.position + 1)
    changes = Changes(cursor, head(last), {"other": last} if known else {}, complete=True, waited=0.0)
    return world.leases.confirm(poll, changes, world.clock.now, is_head=is_head)


def test_rule_6_the_first_load_is_the_first_head() -> None:
    """The feed starts where the first load was evaluated; what other fetches bring from before it is dropped."""
    world = World()
    other = world.leases.begin_fetch(["v"], world.clock.now)
    world.load(consenting("u"), at=head(10))
    assert world.leases.applied == head(10)
    assert world.leases.finish_fetch(other, standings(consenting("v"), at=head(9)), world.clock.now) == {}


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
    assert "u" in world.leases.finish_fetch(fetch, standings(consenting(), at=head(11)), world.clock.now)
    assert fetch.lies_behind is None


@FOLLOWS
def test_rule_6_an_acknowledged_write_counts_as_seen(*, follow: bool) -> None:
    """Loads that lag behind it, twice in a row and in the same epoch, are no other history: 476 yeses came of that."""
    world = World(follow=follow)
    world.load(consenting("u"), at=head(10))
    world.leases.finish_write(world.begin_write("u"), head(11), world.clock.now)
    for _ in range(2):
        assert load_behind(world, consenting("u"), at=head(10)) == head(11)
    assert reason(world.load(withdrawn("u"), at=head(11))["u"]) is Reason.WITHDRAWN


def test_rule_6_an_append_that_lies_behind_tells_nothing() -> None:
    """It may be a repeat, whose cursor is that of long ago: nobody is dropped, and what was seen stays seen."""
    world = World()
    user = world.load(consenting("u"), at=head(10))["u"]
    world.leases.finish_write(world.begin_write("v"), head(7), world.clock.now)
    assert reason(user) is Reason.CONSENTED
    assert load_behind(world, consenting("v"), at=head(9)) == head(10)


def test_rule_6_writes_of_unknown_outcome_outlive_their_history() -> None:
    """They are sent again, and deny until then."""
    world = World()
    world.load(consenting("u"), at=head(10))
    world.begin_write("u")
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
    world.leases.finish_write(world.begin_write("v"), head(13), world.clock.now)
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
    world.leases.finish_write(world.begin_write("v"), head(13), world.clock.now)
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
    world.leases.finish_write(world.begin_write("v"), head(3, epoch="two"), world.clock.now)
    assert reason(user) is Reason.STALE
    assert world.leases.applied == head(3, epoch="two")


def test_rule_6_what_was_asked_in_an_old_generation_cannot_bring_it_back() -> None:
    """Loads and polls that were sent before the new generation change nothing when they arrive."""
    world = World()
    world.load(consenting("u"), at=head(10))
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    poll = world.leases.begin_poll(head(10), world.clock.now)
    world.load(consenting("w"), at=head(4, epoch="two"))
    user = world.load(withdrawn("u"), at=head(4, epoch="two"))["u"]
    assert world.leases.finish_fetch(fetch, standings(consenting(), at=head(20)), world.clock.now) == {}
    world.leases.finish_poll(poll, Changes(head(10), head(20), {"u": 20}, complete=True, waited=0.0), world.clock.now)
    assert reason(user) is Reason.WITHDRAWN
    assert world.leases.applied == head(4, epoch="two")


def test_rule_6_an_acknowledgement_of_another_history_begins_again_whenever_it_was_sent() -> None:
    """
    A write that was sent before the first head may be acknowledged in a history that comes after the one known: a load
    that lags behind it never counts.
    """
    world = World()
    write = world.begin_write("u")
    world.load(consenting("w"), at=head(16))
    world.leases.finish_write(write, head(20, epoch="two"), world.clock.now)
    assert world.leases.applied == head(20, epoch="two")
    assert world.load(consenting("u"), at=head(19, epoch="two")) == {}


def test_rule_8_a_token_is_proven_by_the_store_alone() -> None:
    """A token counts as shown if it is of the store's history, at or before the feed, and the user is as recent."""
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
    """A user loaded ahead of the feed has only its own lease, until the feed shows that head or it is confirmed."""
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
