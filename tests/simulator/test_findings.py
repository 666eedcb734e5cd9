"""What the simulator found and what was repaired since, each as the shortest sequence that showed it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.cache import pending_writes
from diijam_consent_sdk.client.effects import Load
from tests.simulator.scenarios import MAIL, keep_fresh, loaded_ahead_and_lost, look, process, quiet_world, sent_load
from tests.simulator.world import World


def no_thread_for_the_first_question(world: World) -> None:
    """Rule 10: `user` raises RuntimeError if no thread can be started for the first load, nor for the poller."""
    client = process(world)
    client.starved_until = world.loop.now + 5
    client.ask("user0", MAIL)
    world.run_for(1)


def no_thread_for_the_poller(world: World) -> None:
    """I8: the one attempt to start the poller fails for want of a thread, and is never made again."""
    client = process(world)
    client.ask("user0", MAIL)
    while not client.network.under_way:
        world.step()
    client.starved_until = world.loop.now + 1
    world.run_for(2 * world.bound)
    client.ask("user0", MAIL)
    world.run_for(2)
    if not client.runner.runs("Poller._run"):
        world.checks.fail("I8", "nothing polls")


def a_proven_token_outlives_its_history(world: World) -> None:
    """Rule 8: a token proven once is believed also where the very call that asks comes to the next history."""
    client = process(world, follow=False)
    token = world.ledger.append("user0", (e.Published("avatar"),), None, "k").token
    client.ask("user0", MAIL, token)
    world.run_for(1)
    world.ledger.restore(2, same_epoch=False)
    for _ in range(4):
        world.write("user1", e.Withdrawn("marketing"))
    world.run_for(2 * world.bound)
    client.ask("user0", MAIL, token)
    world.run_for(3)


def a_floor_outlives_its_history(world: World) -> None:
    """I6: a write acknowledged before any head was seen leaves a floor that stays in the next history, for good."""
    client = process(world, follow=False)
    client.record("user0", e.Hidden("avatar"))
    world.run_for(1)
    world.ledger.restore(3, same_epoch=False)
    world.run_for(2 * world.bound)
    done = client.ask("user0", MAIL)
    world.run_for(3)
    if not done.result().can_market("email") and world.ledger.committed.allows_now("user0", MAIL):
        world.checks.fail("I6", "denied for good")


def a_lost_write_keeps_its_floor(world: World) -> None:
    """I6: the copy put in place lacks this process's last write; nothing it sees lies behind `seen`, so it waits."""
    client = process(world, follow=False)
    client.ask("user0", MAIL)
    world.run_for(1)
    client.record("user0", e.Hidden("avatar"))
    world.run_for(1)
    world.ledger.restore(1, same_epoch=True)
    world.run_for(4 * world.bound)
    client.ask("user0", MAIL)
    world.run_for(world.bound + 1)  # for so long it may have been a store that lags
    done = client.ask("user0", MAIL)
    world.run_for(3)
    if not done.result().can_market("email"):
        world.checks.fail("I6", "denied for good")


def what_was_loaded_ahead_of_the_feed_and_lost(world: World) -> None:
    """I1: a grant that only a load has seen is lost in a restore to where the feed is; polls renew it for ever."""
    client = loaded_ahead_and_lost(world)
    keep_fresh(world, client, 30)
    look(world, client)


def a_position_that_went_back(world: World) -> None:
    """I2: a user leaves memory by a refused write, and a load from before what was known puts an older state back."""
    client = process(world)
    sent_load(world, client, "user1")(None)
    slow, old = sent_load(world, client, "user0"), world.ledger.standings(["user0"])
    world.write("user0", e.Withdrawn("marketing"))
    sent_load(world, client, "user0")(None)
    refused = pending_writes.Write("user0", takes_away=False)
    client.leases.begin_write(refused)
    client.leases.finish_write(refused, None, client.clock.show())
    slow(old)


def writes_of_one_user_without_end(world: World) -> None:
    """I7: the cap counts users, so one user's writes of unknown outcome, a thread each, are without bound."""
    client = process(world)
    world.network.weather = attrs.evolve(world.network.weather, lost_answer=1.0)
    for _ in range(pending_writes.MAX_WITHDRAWALS + 50):
        client.record("user0", e.Hidden("avatar"))
        world.run_for(0.01)
    world.run_for(world.deadline + 1)
    if len(client.engine._writes) > pending_writes.MAX_WITHDRAWALS:
        world.checks.fail("I7", f"{len(client.engine._writes)} writes are under way")


def loads_without_end(world: World) -> None:
    """Rule 11: `load` and `explain` do not count among the fetches at once, which are capped."""
    client = process(world)
    world.network.broken[Load] = world.loop.now + 100
    for _ in range(50):
        client.load("user0")
        world.run_for(0.01)
    if len(client.leases._fetches) > 8:
        world.checks.fail("R11", f"{len(client.leases._fetches)} loads are under way")


def a_lost_write_before_the_first_head(world: World) -> None:
    """I6: a write is acknowledged, lost in a restore, and only then does the feed come to its first head."""
    client = process(world)
    client.network.broken[Load] = world.loop.now + 2
    client.ask("user1", MAIL)
    client.record("user0", e.Hidden("avatar"))
    world.run_for(1)
    world.ledger.restore(1, same_epoch=True)
    world.run_for(4 * world.bound)
    done = client.ask("user0", MAIL)
    world.run_for(3)
    if not done.result().can_market("email"):
        world.checks.fail("I6", "denied for good")


def loads_that_lag_twice_in_a_row(world: World) -> None:
    """
    I4: a store whose loads lag behind an acknowledged withdrawal, twice in a row and in one epoch, is taken for a
    restore, which takes the floor away: 476 yeses to the user who had withdrawn.
    """
    for follow in (True, False):
        client = process(world, follow=follow)
        client.ask("user0", MAIL)
        world.run_for(1)
        old = len(world.ledger.branch.changed)
        client.record("user0", e.Withdrawn("marketing"))
        world.run_for(1)
        for _ in range(500):
            sent_load(world, client, "user0")(world.ledger.standings_as_of(old, ["user0"]))
            look(world, client)
        world.write("user0", e.Granted("marketing", "n", ["email"]))
        world.run_for(1)


FINDINGS: list[Callable[[World], None]] = [
    no_thread_for_the_first_question, no_thread_for_the_poller, a_proven_token_outlives_its_history,
    a_floor_outlives_its_history, a_lost_write_keeps_its_floor, what_was_loaded_ahead_of_the_feed_and_lost,
    a_position_that_went_back, writes_of_one_user_without_end, loads_without_end,
    a_lost_write_before_the_first_head, loads_that_lag_twice_in_a_row,
]  # fmt: skip


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.__name__)
def test_what_was_found_is_repaired(finding: Callable[[World], None]) -> None:
    """The sequence shows no violation."""
    with quiet_world() as world:
        finding(world)
        assert not world.violations
