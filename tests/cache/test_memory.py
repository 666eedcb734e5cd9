"""What closing a client and forking a process do to its users: rule 9."""

from __future__ import annotations

from diijam_consent_sdk import Reason
from tests.cache.world import B, World, consenting, head, reason, standings


def test_rule_9_after_close_guards_say_unavailable() -> None:
    """Held users and answers on their way deny once the client closed, also after their lease ran out."""
    world = World()
    user = world.load(consenting("u"))["u"]
    fetch = world.leases.begin_fetch(["v"], world.clock.now)
    world.leases.close()
    assert reason(user) is Reason.UNAVAILABLE
    assert world.leases.finish_fetch(fetch, standings(consenting("v"), at=head(12)), world.clock.now) == {}
    world.clock.tick(B)
    assert reason(user) is Reason.UNAVAILABLE


def test_rule_9_what_a_child_inherits_is_dead_and_needs_no_lock() -> None:
    """After a fork a thread that held the lock may not exist: the inherited users die without it."""
    world = World()
    user = world.load(consenting("u"))["u"]
    with world.leases._lock:
        world.leases.abandon()
    assert reason(user) is Reason.STALE
