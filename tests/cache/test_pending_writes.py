"""Own writes deny their users, and keep older records out: rule 8, and rule 6 where a history ends."""

from __future__ import annotations

import pytest

from diijam_consent_sdk import Reason
from diijam_consent_sdk.cache.pending_writes import MAX_MINIMUMS, MAX_WITHDRAWALS, MAX_WRITES
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import Changes, Cursor
from tests.cache.world import B, World, consenting, head, reason, standings, withdrawn

FOLLOWS = pytest.mark.parametrize("follow", [True, False], ids=["following", "not following"])


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
    world.leases.finish_write(world.begin_write("u"), head(11), world.clock.now)
    begin_again_at(world, head(10))
    assert world.load(consenting("u"), at=head(10)) == {}
    world.clock.tick(B - 0.1)
    late = world.leases.begin_fetch(["u"], world.clock.now)
    world.clock.tick(0.2)
    assert world.leases.finish_fetch(late, standings(consenting("u"), at=head(10)), world.clock.now) == {}
    assert world.load(consenting("u"), at=head(10))["u"].can_market("email")


def test_rule_6_floors_that_the_feed_passed_count_again() -> None:
    """The feed had shown the write; then loads and `changes` lag: the floor holds as if it had not."""
    world = World()
    world.load(consenting("v"), at=head(10))
    world.leases.finish_write(world.begin_write("u"), head(11), world.clock.now)
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
    world.leases.finish_write(world.begin_write("u"), head(11), world.clock.now)
    assert world.load(consenting("u"), at=head(5, epoch="two")) == {}
    assert world.load(consenting("u"), at=head(5, epoch="two"))["u"].can_market("email")


def test_rule_6_floors_count_again_where_their_epoch_does() -> None:
    """The late acknowledgement of an old write led back to the epoch before; the store only lags in the present one."""
    world = World(follow=False)
    world.load(consenting("v"), at=head(10))
    late = world.begin_write("w")
    assert world.load(consenting("v"), at=head(10, "two")) == {}
    world.leases.finish_write(world.begin_write("u"), head(12, "two"), world.clock.now)
    world.leases.finish_write(late, head(11), world.clock.now)
    for _ in range(2):
        assert world.load(consenting("u"), at=head(11, "two")) == {}
    assert world.load(consenting("w"), at=head(11, "two"))["w"].can_market("email")
    world.clock.tick(B)
    assert world.load(consenting("u"), at=head(11, "two"))["u"].can_market("email")


def test_rule_6_floors_that_are_kept_are_bounded() -> None:
    """I7: however often the history seems to change, no kind of floor has more than the cap; the rest share one."""
    world = World()
    world.load(consenting("v"), at=head(1))
    position = 1
    for _ in range(3):
        for number in range(MAX_MINIMUMS // 2 + 10):
            position += 1
            world.leases.finish_write(world.begin_write(f"w{position}-{number}"), head(position), world.clock.now)
        world.poll(head(position), {"other": position})
        begin_again_at(world, head(1))
        position += 1
        assert max(world.leases._minimums.sizes()) <= MAX_MINIMUMS
    assert world.leases._minimums.find("anybody", world.clock.now) > 1


def test_rule_8_from_before_a_write_the_user_is_denied() -> None:
    """While a write is under way nothing of its user is served or installed."""
    world = World()
    user = world.load(consenting())["u"]
    world.begin_write("u")
    assert reason(user) is Reason.STALE
    assert world.load(consenting(), at=head(12)) == {}


def test_rule_8_after_a_write_only_a_record_past_it_is_installed() -> None:
    """A fetch sent before the write, evaluated before it, is discarded after it was acknowledged."""
    world = World()
    world.load(consenting("v"), at=head(10))
    fetch = world.leases.begin_fetch(["u"], world.clock.now)
    world.leases.finish_write(world.begin_write("u"), head(12), world.clock.now)
    assert world.leases.finish_fetch(fetch, standings(consenting(), at=head(11)), world.clock.now) == {}
    assert reason(world.load(withdrawn(), at=head(12))["u"]) is Reason.WITHDRAWN


def test_rule_8_a_floor_outlives_the_first_head() -> None:
    """A write acknowledged before the feed began holds off older records after it began."""
    world = World()
    world.leases.finish_write(world.begin_write("u"), head(12), world.clock.now)
    assert world.load(consenting("u"), at=head(11)) == {}


def test_rule_8_a_floor_is_gone_once_the_feed_passed_it() -> None:
    """Memory is bounded: the feed covers what the floor did."""
    world = World()
    world.load(consenting("v"), at=head(10))
    world.leases.finish_write(world.begin_write("u"), head(11), world.clock.now)
    world.poll(head(11), {"u": 11})
    assert len(world.leases._minimums) == 0


def test_rule_8_floors_past_their_number_are_shared() -> None:
    """I7: without a feed the floors of the oldest writes become one floor for all, which is stricter."""
    world = World(follow=False)
    world.load(consenting("v"), at=head(1))
    for number in range(MAX_MINIMUMS + 5):
        world.leases.finish_write(world.begin_write(f"w{number}"), head(number + 2), world.clock.now)
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
    world.leases.finish_write(world.begin_write("u"), None, world.clock.now)
    assert world.load(consenting("u"))["u"].can_market("email")


def test_rule_8_of_two_writes_the_last_to_end_ends_the_denial() -> None:
    """A user with another write under way stays denied."""
    world = World()
    first, second = world.begin_write("u"), world.begin_write("u")
    world.leases.finish_write(first, head(11), world.clock.now)
    assert world.load(consenting("u"), at=head(12)) == {}
    world.leases.finish_write(second, None, world.clock.now)
    assert world.load(consenting("u"), at=head(12))["u"].can_market("email")


@pytest.mark.parametrize(("takes_away", "most"), [(False, MAX_WRITES), (True, MAX_WITHDRAWALS)])
def test_rule_8_at_the_cap_new_writes_are_refused(*, takes_away: bool, most: int) -> None:
    """I7: no write of unknown outcome is dropped to make room for another; each kind has separate room."""
    world = World()
    writes = [world.begin_write(f"w{number}", takes_away=takes_away) for number in range(most)]
    for user_id in ("one too many", "w0"):
        with pytest.raises(StoreUnavailable):
            world.begin_write(user_id, takes_away=takes_away)
    world.begin_write("other", takes_away=not takes_away)
    world.leases.finish_write(writes[0], None, world.clock.now)
    world.begin_write("one more", takes_away=takes_away)


@FOLLOWS
def test_rule_8_a_load_from_before_an_acknowledgement_never_counts(*, follow: bool) -> None:
    """After a restore in one epoch the write's position may lie below that of a load which is still under way."""
    world = World(follow=follow)
    world.load(consenting("v"), at=head(23))
    old = world.leases.begin_fetch(["u", "w"], world.clock.now)
    world.leases.finish_write(world.begin_write("u"), head(22), world.clock.now)
    loaded = standings(consenting("u"), consenting("w"), at=head(23))
    assert list(world.leases.finish_fetch(old, loaded, world.clock.now)) == ["w"]


@FOLLOWS
@pytest.mark.parametrize("epoch", ["one", "three"], ids=["the history before", "one that no answer has shown"])
def test_rule_8_a_load_from_before_an_acknowledgement_in_another_history_never_counts(
    *, follow: bool, epoch: str
) -> None:
    """A history began while the write was under way; its answer does not tell whether it came before or after that."""
    world = World(follow=follow)
    world.load(consenting("v"), at=head(23))
    write = world.begin_write("u")
    begin_again_at(world, head(23, "two"))
    old = world.leases.begin_fetch(["u"], world.clock.now)
    world.leases.finish_write(write, head(24, epoch), world.clock.now)
    loaded = standings(consenting("u"), at=head(23, "two"))
    assert world.leases.finish_fetch(old, loaded, world.clock.now) == {}
