"""I6 and I8: once the faults are over, every process is right again, and stays so without being asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import STALE
from diijam_consent_sdk.standing import EVERY_ASK
from tests.simulator.client import ASKS, SimClient, guard_of
from tests.simulator.network import CALM, BatchLimit

if TYPE_CHECKING:
    from diijam_consent_sdk._threads import Promise
    from diijam_consent_sdk.cache.user import UserConsent
    from tests.simulator.world import World

SEEN_WITHIN = 0.25


def heal(world: World) -> None:
    """End all faults and all work, and see that answers are right within B and two polls; violations are noted."""
    world.is_quiet = True
    world.network.weather = CALM
    world.network.broken.clear()
    world.network.batch_limit = BatchLimit()
    world.network.token_refused_until = world.network.parts_held_until = world.ledger.keeps_standings_until = 0.0
    world.ledger.views.change(EVERY_ASK)
    world.ledger.end_lag()
    world.longest_pause = 0.0
    for client in world.clients:
        client.starved_until = 0.0
    world.run_for(4 * world.bound)  # what was under way arrives, whoever was suspended wakes up
    for client in _open(world):  # without a feed, only who asks learns that an older copy was put in place
        client.load(world.users[0])
    world.run_for(world.bound + 2 * (world.bound / 4 + world.deadline))
    for client in world.clients:
        world.checks.end_given_up(client)
        if client.pending and not client.engine._writes._is_stopped:
            world.checks.fail("I6", f"writes are still of unknown outcome: {client.pending}")
    _ask_all(world, "once the faults are over")
    _withdraw_all(world)
    _stay_fresh(world)


def _open(world: World) -> list[SimClient]:
    return [client for client in world.clients if not client.closed]


def _ask_all(world: World, when: str) -> None:
    asked = [(client, user_id, client.ask(user_id, ASKS[0])) for client in _open(world) for user_id in world.users]
    world.run_for(world.deadline + 0.1)
    for client, user_id, done in asked:
        _is_right(world, client, user_id, done, when)


def _is_right(world: World, client: SimClient, user_id: str, done: Promise[UserConsent], when: str) -> None:
    committed, now = world.ledger.committed, world.loop.now
    for ask in ASKS:
        if done.done() and done.exception() is None:
            user = done.result()
            decision = guard_of(user, ask)
            said = bool(decision)
            if decision is STALE and _turns(world, user):
                continue  # some other answer of this user ended since it was loaded
            # What is ending just now may be right either way.
            sure_yes = committed.allows_now(user_id, ask, margin=0.5 * world.bound)
            if sure_yes and not said and world.capacity >= len(world.users):
                world.checks.fail("I6", f"client {client.number} denies {ask} of {user_id} {when}: {done.result()!r}")
            if said and not committed.allows_within(user_id, ask, now - 1.2 * world.deadline - 0.2, now):
                world.checks.fail("I6", f"client {client.number} allows {ask} of {user_id} {when}")
        else:
            world.checks.fail("I6", f"client {client.number} does not answer {when}")


def _turns(world: World, user: UserConsent) -> bool:
    """Whether time alone changes an answer of this user after it was loaded."""
    return user.as_of is not None and world.record_of(user.user_id).next_change_at(user.as_of) is not None


def _withdraw_all(world: World) -> None:
    for user_id in world.users:
        world.write(user_id, e.Withdrawn("marketing"))
        world.run_for(SEEN_WITHIN)
        for client in _open(world):
            user = client.leases.users.get(user_id)
            if client.leases.applied is not None and user is not None and user.can_market("email"):
                world.checks.fail("I8", f"client {client.number} has not seen a withdrawal")
    for user_id in world.users:
        world.write(user_id, e.RestrictionLifted())
        world.write(user_id, e.ObjectionLifted("marketing"))
        world.write(user_id, e.Granted("marketing", "n", ["email"]))
    world.run_for(world.bound + 1)
    _ask_all(world, "after a grant")


def _stay_fresh(world: World) -> None:
    """Rule 2: who does not change stays fresh by the feed alone, for any length of time."""
    world.run_for(3 * world.bound)
    for client in _open(world):
        for user_id, user in client.leases.users.items():
            if client.is_following and not user.is_live() and not _turns(world, user):
                world.checks.fail("R2", f"client {client.number} let {user_id} go stale with the feed up")
