"""Short sequences, each a few exchanges long, on the real code in a world where nothing else happens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import product
from math import inf
from typing import Any

import attrs

from diijam_consent_sdk import events as e
from diijam_consent_sdk._threads import Promise
from diijam_consent_sdk.cache.pending_writes import Write
from diijam_consent_sdk.cache.user import UserConsent
from diijam_consent_sdk.client.effects import ChangesSince
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.standing import AskScope
from tests.simulator.client import ASKS, SimClient
from tests.simulator.ledger import Lag, SimChanges, SimStandings
from tests.simulator.network import CALM, BatchLimit
from tests.simulator.profile import Profile
from tests.simulator.wall import instant
from tests.simulator.world import World

MAIL = ASKS[0]
QUIET = Profile(faults={}, users=(3, 3), small_caps=0.0, bound=(10.0,))


def quiet_world(seed: int = 0) -> World:
    """Three users who consented, no faults, no work."""
    return World(seed, QUIET, is_idle=True)


def process(world: World, *, follow: bool = True) -> SimClient:
    """A process that follows the feed, or not."""
    while (client := world.begin()).is_following is not follow:
        world.clients.remove(client)
    return client


def sent_load(
    world: World, client: SimClient, *user_ids: str
) -> Callable[[SimStandings | None], dict[str, UserConsent]]:
    """A load that is under way, to be answered when the caller says so; by default with what the ledger holds then."""
    sent = client.clock.show()
    fetch = client.leases.begin_fetch(user_ids, sent)

    def answer(loaded: SimStandings | None = None) -> dict[str, UserConsent]:
        answered = attrs.evolve(loaded or world.ledger.standings(list(user_ids)), sent=sent)
        users = client.leases.finish_fetch(fetch, answered, client.clock.show())
        cover(client, *users.values())
        return users

    return answer


def cover(client: SimClient, *users: UserConsent) -> None:
    """Guards in one step asked these themselves, and the store answered something since."""
    for user in users:
        client.leases.ask_for_fast_path(user)
    now = client.clock.show()
    client.leases.finish_fetch(client.leases.begin_fetch((), now), None, now)


def poll(world: World, client: SimClient) -> None:
    """A poll that is answered at once."""
    assert client.leases.applied is not None
    sent = client.clock.show()
    answers: list[SimChanges] = []
    asked = client.leases.begin_poll(client.leases.applied, sent)
    world.ledger.changes(asked.after, 0.0, 1000, answers.append)  # type: ignore[arg-type]
    client.leases.finish_poll(asked, attrs.evolve(answers[0], sent=sent), client.clock.show())


def keep_fresh(world: World, client: SimClient, seconds: float) -> None:
    """Time passes with the feed up."""
    for _ in range(int(seconds)):
        world.loop.now += 1.0
        poll(world, client)


def look(world: World, client: SimClient) -> None:
    """Call the guard of everybody the process has."""
    for user in list(client.leases.users.values()):
        client.guard(user, MAIL)
        client.guard_in_one_step(user.user_id, MAIL)


def interrupt(client: SimClient, preempted: int, *, in_one_step: bool) -> None:
    """A guard is interrupted at its n-th read."""
    if in_one_step:
        client.guard_in_one_step("user0", MAIL, preempted=preempted)
    else:
        client.guard(client.leases.users["user0"], MAIL, preempted=preempted)


def a_poll_answered_with_another(world: World) -> None:
    """Rule 2: what a cache kept of another poll, of this very head, renews nothing."""
    client = process(world)
    sent_load(world, client, "user0")(None)
    applied = client.leases.applied
    assert applied is not None
    asked = client.leases.begin_poll(applied, client.clock.show())
    after = attrs.evolve(applied, position=applied.position - 1)
    answer = SimChanges(after, applied, {}, complete=True, waited=9.0, sent=client.clock.show())
    with suppress(StoreUnavailable):
        client.leases.finish_poll(asked, answer, client.clock.show())
    world.write("user0", e.Withdrawn("marketing"))
    world.loop.now += world.bound + 5
    look(world, client)


def a_slow_fetch_from_before_a_change(world: World) -> None:
    """Rules 3 and 4: what was loaded before a withdrawal comes after it was applied."""
    client = process(world)
    sent_load(world, client, "user1")(None)
    slow, old = sent_load(world, client, "user0"), world.ledger.standings(["user0"])
    world.write("user0", e.Withdrawn("marketing"))
    poll(world, client)
    slow(old)
    keep_fresh(world, client, 15)
    look(world, client)


def a_fetch_overtaken_by_a_restart(world: World) -> None:
    """Rule 4: while a user is fetched, another answer tells of a new epoch; the user's own cannot be kept."""
    client = process(world, follow=False)
    sent_load(world, client, "user1")(None)
    done = client.ask("user0", MAIL)
    while not client.network.under_way:
        world.step()
    world.ledger.begin_epoch()
    sent_load(world, client, "user1")(None)
    world.run_for(2)
    if not done.result().can_market("email"):
        world.checks.fail("I6", "denied although the store answered")


def the_record_of_another_user(world: World) -> None:
    """Rule 4: a load of one user is answered with another's record."""
    client = process(world)
    world.write("user0", e.Withdrawn("marketing"))
    world.loop.now += 2 * world.bound
    sent_load(world, client, "user0")(world.ledger.standings(["user1"]))
    look(world, client)


def a_ledger_that_went_back(world: World) -> None:
    """Rule 6: without a feed, an older copy is put in place; the user is known from what was lost."""
    client = process(world, follow=False)
    world.write("user1", e.Withdrawn("marketing"))
    client.ask("user0", MAIL)
    world.run_for(1)
    world.ledger.restore(1, same_epoch=True)
    world.run_for(2 * world.bound)
    done = client.ask("user0", MAIL)
    world.run_for(2)
    if not done.result().can_market("email"):
        world.checks.fail("I6", "denied for good")


def loads_that_lag_behind_an_own_write(world: World) -> None:
    """Rule 6: twice in a row a load lags behind this process's acknowledged withdrawal, in the same epoch."""
    client = process(world)
    client.ask("user0", MAIL)
    world.run_for(7)
    world.ledger.begin_lag(Lag(loads=6.0, until=world.loop.now + 30))
    client.record("user0", e.Withdrawn("marketing"))
    for _ in range(30):
        world.run_for(0.2)
        client.ask("user0", MAIL)


def everything_lags_behind_an_own_write(world: World) -> None:
    """Rule 6: `changes` lags too, and says that the withdrawal's head is not in the store's history."""
    client = process(world, follow=False)
    client.ask("user0", MAIL)
    world.run_for(7)
    world.ledger.begin_lag(Lag(loads=6.0, changes=6.0, until=world.loop.now + 30))
    client.record("user0", e.Withdrawn("marketing"))
    for _ in range(30):
        world.run_for(0.2)
        client.ask("user0", MAIL)


def everything_lags_behind_what_the_feed_passed(world: World) -> None:
    """Rule 6: the feed shows this process's withdrawal, and then everything lags behind it."""
    client = process(world)
    client.ask("user0", MAIL)
    world.run_for(7)
    client.record("user0", e.Withdrawn("marketing"))
    world.run_for(world.bound / 4 + 1)  # the write may be acknowledged only after a poll has shown it: then by the next
    assert not len(client.leases._minimums)
    world.ledger.begin_lag(Lag(loads=6.0, changes=6.0, until=world.loop.now + 4))
    for _ in range(20):
        world.run_for(0.2)
        client.ask("user1", MAIL)
        client.ask("user0", MAIL)


def a_guard_interrupted_by_a_change(world: World) -> None:
    """Rule 7: between any two reads of a guard, a withdrawal of long ago is applied and the feed renews the rest."""
    for preempted, in_one_step in product(range(1, 5), (False, True)):
        client = process(world)
        sent_load(world, client, "user0")(None)
        poll(world, client)
        world.loop.now += world.bound / 2
        world.write("user0", e.Withdrawn("marketing"))
        world.loop.now += world.bound / 2 - 0.03
        late = client

        def catch_up(late: SimClient = late) -> None:
            world.loop.now += world.bound
            poll(world, late)

        world.run_others = catch_up  # type: ignore[method-assign]
        interrupt(client, preempted, in_one_step=in_one_step)
        world.write("user0", e.Granted("marketing", "n", ["email"]))
        world.loop.now += world.bound


def a_guard_interrupted_for_long(world: World) -> None:
    """Rule 7: between any two reads of a guard, more time passes than a lease lasts."""
    for preempted, in_one_step in product(range(1, 5), (False, True)):
        client = process(world)
        sent_load(world, client, "user0")(None)
        poll(world, client)

        def sleep() -> None:
            world.write("user0", e.Withdrawn("marketing"))
            world.loop.now += 2 * world.bound

        world.run_others = sleep  # type: ignore[method-assign]
        interrupt(client, preempted, in_one_step=in_one_step)
        world.write("user0", e.Granted("marketing", "n", ["email"]))


def a_token_of_a_lost_history(world: World) -> None:
    """Rule 8: a process that knows only the new history is given a token of the old one."""
    writer = process(world)
    done = writer.record("user0", e.Published("avatar"))
    world.run_for(1)
    world.ledger.restore(2, same_epoch=False)
    for _ in range(4):
        world.write("user1", e.Withdrawn("marketing"))
    reader = process(world)
    reader.ask("user0", MAIL)
    world.run_for(1)
    reader.ask("user0", MAIL, done.result().token)
    world.run_for(3)


def a_load_from_before_an_own_write(world: World) -> None:
    """Rule 8: what was loaded before this process's own withdrawal comes after that was acknowledged."""
    client = process(world, follow=False)
    slow, old = sent_load(world, client, "user0"), world.ledger.standings(["user0"])
    client.record("user0", e.Withdrawn("marketing"))
    world.run_for(1)
    slow(old)
    look(world, client)


def a_load_from_before_a_restore_and_an_own_write(world: World) -> None:
    """Rule 8: a load from before a restore arrives after this process wrote below it, to the copy of the same epoch."""
    client = process(world, follow=False)
    world.write("user1", e.Hidden("avatar"), e.Published("avatar"), e.Hidden("avatar"))
    slow, old = sent_load(world, client, "user0"), world.ledger.standings(["user0"])
    world.ledger.restore(3, same_epoch=True)
    client.record("user0", e.Withdrawn("marketing"))
    world.run_for(1)
    slow(old)
    look(world, client)


def a_load_from_before_an_own_write_in_an_unknown_epoch(world: World) -> None:
    """Rule 8: two epochs begin while a withdrawal is repeated; its answer is the first of the second one to arrive."""
    client = process(world, follow=False)
    sent_load(world, client, "user1")(None)
    world.network.weather = attrs.evolve(CALM, lost_request=1.0)
    client.record("user0", e.Withdrawn("marketing"))
    world.run_for(1)
    world.ledger.begin_epoch()
    sent_load(world, client, "user1")(None)
    slow, old = sent_load(world, client, "user0"), world.ledger.standings(["user0"])
    world.ledger.begin_epoch()
    world.network.weather = CALM
    while client.pending:
        world.step()
    slow(old)
    look(world, client)


def a_load_that_lags_after_a_late_acknowledgement(world: World) -> None:
    """Rule 6: a late acknowledgement leads back to a lost epoch; loads lag behind an own write in the new one."""
    client = process(world, follow=False)
    sent_load(world, client, "user1")(None)
    late, head = Write("user2", takes_away=False), world.ledger.branch.head()
    client.leases.begin_write(late)
    world.ledger.begin_epoch()
    sent_load(world, client, "user1")(None)
    old = world.ledger.standings(["user0"])
    client.record("user0", e.Withdrawn("marketing"))
    world.run_for(1)
    client.leases.finish_write(late, head, client.clock.show())
    for _ in range(2):
        sent_load(world, client, "user0")(old)
    look(world, client)


def a_guard_interrupted_by_the_end_of_an_own_write(world: World) -> None:
    """I4: before the reads of a guard this process's withdrawal is acknowledged, and an older load arrives."""
    world.watchfulness = 0.0  # no other guard looks
    client = process(world, follow=False)
    slow, old = sent_load(world, client, "user0"), world.ledger.standings(["user0"])
    client.record("user0", e.Withdrawn("marketing"))
    while not client.pending:
        world.step()

    def end() -> None:
        world.run_for(1)
        slow(old)

    world.run_others = end  # type: ignore[method-assign]
    client.guard_in_one_step("user0", MAIL, preempted=1)


def a_guard_beside_a_late_poll(world: World) -> None:
    """Rule 3: after a long outage one poll brings a withdrawal and renews the rest; guards look all the while."""
    world.watchfulness = 1.0
    client = process(world)
    sent_load(world, client, *world.users)(None)
    poll(world, client)
    for user_id in world.users:
        world.write(user_id, e.Restricted())
    world.loop.now += 2 * world.bound
    poll(world, client)


def loaded_ahead_and_lost(world: World) -> SimClient:
    """A process that has a user's grant from a load ahead of its feed; a restore then lost it."""
    client = process(world)
    world.write("user0", e.Withdrawn("marketing"))
    sent_load(world, client, "user1")(None)
    world.write("user0", e.Granted("marketing", "n", ["email"]))
    sent_load(world, client, "user0")(None)
    world.ledger.restore(1, same_epoch=True)
    return client


def what_was_loaded_ahead_and_overtaken(world: World) -> None:
    """Rule 7: a grant that only a load has seen is lost in a restore, and the copy written on before the feed looks."""
    client = loaded_ahead_and_lost(world)
    world.write("user1", e.Hidden("avatar"), e.Published("avatar"))
    keep_fresh(world, client, 30)
    look(world, client)


def a_user_dropped_before_it_is_covered(world: World) -> None:
    """Rule 7: between a guard that finds a user and its cover, the user is dropped."""
    client = process(world)
    (user,) = sent_load(world, client, "user0")(None).values()
    world.write("user0", e.Withdrawn("marketing"))
    poll(world, client)
    cover(client, user)
    world.checks.bounded(client)


def a_loop_that_ends_before_a_write_is_acknowledged(world: World) -> None:
    """Rule 8: a withdrawal is sent, the event loop ends, another one goes on: the user is asked, and answers again."""
    for follow in (True, False):
        client = process(world, follow=follow)
        client.ask("user0", MAIL)
        world.run_for(1)
        world.network.weather = attrs.evolve(world.network.weather, lost_answer=1.0)
        client.record("user0", e.Withdrawn("marketing"))
        world.run_for(world.deadline / 2)
        client.end_loop()
        world.network.weather = CALM
        old = world.ledger.standings_as_of(len(world.ledger.branch.changed) - 1, ["user0"])
        sent_load(world, client, "user0")(old)
        look(world, client)
        client.ask("user1", MAIL)
        world.run_for(2)
        world.write("user0", e.Granted("marketing", "n", ["email"]))
        done = client.ask("user0", MAIL)
        world.run_for(3)
        if not world.violations and (client.pending or not done.result().can_market("email")):
            world.checks.fail("I6", "denied for good")


def a_yes_that_is_lost_before_a_no(world: World) -> None:
    """Rule 8: the tries of a grant are lost, then a withdrawal is acknowledged: the grant is not written after it."""
    client = process(world)
    world.network.weather = attrs.evolve(CALM, lost_request=1.0)
    client.record("user0", e.Granted("marketing", "n", ["email"]))
    world.run_for(2 * world.deadline)
    world.network.weather = CALM
    said = client.record("user0", e.Withdrawn("marketing"))
    world.run_for(3 * world.bound)
    done = client.ask("user0", MAIL)
    world.run_for(3)
    if said.result() and done.result().can_market("email"):
        world.checks.fail("I4", "a yes was repeated after a no that was said later")


def refused_after_a_lost_answer(world: World, client: SimClient, event: e.Event) -> Promise[Any]:
    """A write whose answer is lost, sent again by a token that is refused from then on."""
    world.network.weather = attrs.evolve(CALM, lost_answer=1.0)
    done = client.record("user0", event)
    world.run_for(world.deadline / 2)
    world.network.weather = CALM
    world.network.token_refused_until = world.loop.now + 100 * world.bound
    world.run_for(3 * world.deadline)
    return done


def a_token_refused_amid_a_no(world: World) -> None:
    """Rule 8: a withdrawal was written, its answer lost, its repeat refused; then a load from before it arrives."""
    client = process(world, follow=False)
    slow, old = sent_load(world, client, "user0"), world.ledger.standings(["user0"])
    refused_after_a_lost_answer(world, client, e.Withdrawn("marketing"))
    slow(old)
    look(world, client)


def a_token_refused_amid_a_yes(world: World) -> None:
    """Rule 8: a grant of unknown outcome that may not be repeated: its user is fetched, and answered again."""
    client = process(world)
    client.ask("user0", MAIL)
    world.run_for(1)
    refused_after_a_lost_answer(world, client, e.Granted("marketing", "n", ["email"]))
    done = client.ask("user0", MAIL)
    world.run_for(1)
    if not done.result().can_market("email"):
        world.checks.fail("I6", "denied for good")


def a_token_refused_for_long(world: World) -> None:
    """Rule 8: a withdrawal of unknown outcome is sent by a refused token once in B, though its event loops end."""
    client = process(world)
    refused_after_a_lost_answer(world, client, e.Withdrawn("marketing"))
    began = world.tried["token refused"]
    for _ in range(20):
        world.run_for(world.bound / 5)
        client.end_loop()
        client.ask("user1", MAIL)
    if not 2 <= world.tried["token refused"] - began <= 4:
        world.checks.fail("R8", f"repeated {world.tried['token refused'] - began} times in 4 B")
    world.network.token_refused_until = 0.0
    world.run_for(world.bound + 2)
    if client.pending:
        world.checks.fail("I6", "of unknown outcome for good")


def a_token_for_other_asks(world: World) -> None:
    """Rule 4: the token is exchanged for one of other asks; whoever is loaded then drops whom the old one was for."""
    client = process(world)
    sent_load(world, client, "user0")(None)
    world.ledger.views.change(frozenset({AskScope.PROFILE}))
    world.loop.now += 1
    sent_load(world, client, "user1")(None)
    keep_fresh(world, client, 2 * world.bound)
    look(world, client)


def a_token_for_other_asks_and_nobody_loads(world: World) -> None:
    """Rule 2: the same, and only the feed is asked with the new token."""
    client = process(world)
    sent_load(world, client, "user0")(None)
    world.ledger.views.change(frozenset({AskScope.PROFILE}))
    for _ in range(2 * int(world.bound)):
        world.loop.now += 1
        with suppress(StoreUnavailable):
            poll(world, client)
    look(world, client)


def a_token_exchanged_amid_a_no(world: World) -> None:
    """Rule 8: a withdrawal of unknown outcome; the token is exchanged, and the user loaded in the new view."""
    client = process(world, follow=False)
    sent_load(world, client, "user0")(None)
    world.network.weather = attrs.evolve(CALM, lost_request=1.0)
    client.record("user0", e.Withdrawn("marketing"))
    world.run_for(world.deadline / 2)
    world.ledger.views.change(frozenset({AskScope.MARKETING}))
    sent_load(world, client, "user1")(None)
    sent_load(world, client, "user0")(None)
    look(world, client)


def a_standing_that_comes_again(world: World) -> None:
    """Rule 7: a consent that ends is loaded twice as the same bytes, since what happened in between is undone."""
    client = process(world)
    ends = instant(world.ledger.wall.peek() + 5)
    world.write("user0", e.Granted("marketing", "n", ["email"], ends))
    for event in (e.Hidden("avatar"), e.Published("avatar"), e.Hidden("avatar")):
        world.write("user0", event)
        sent_load(world, client, "user0")(None)
        poll(world, client)
    keep_fresh(world, client, 5 + world.bound + 1)
    look(world, client)


def a_look_just_before_a_no(world: World) -> None:
    """Rule 2: the store looks for news, then a user withdraws, and the feed breaks before the next look."""
    client = process(world)
    client.ask("user0", MAIL)
    world.run_for(world.bound / 4)
    while not world.ledger._pollers:
        world.step()
    world.run_for(world.ledger._pollers[0].until - world.loop.now + 0.001)
    world.write("user0", e.Withdrawn("marketing"))
    world.network.broken[ChangesSince] = inf
    world.run_for(world.bound + 0.05)
    look(world, client)


def a_part_that_is_not_answered(world: World) -> None:
    """Rule 11: a batch is refused as too large, and its first half gets no answer: 2.5 deadlines where 1.25 are due."""
    client = process(world, follow=False)
    world.network.batch_limit = BatchLimit(1, refuses=True, until=world.loop.now + 100)
    client.ask_many(world.users)
    while not client.parts.ended:
        world.step()
    world.network.weather = attrs.evolve(CALM, lost_request=1.0)
    world.run_for(4 * world.deadline)


SCENARIOS: dict[str, Callable[[World], None]] = {
    "2 any after will do": a_poll_answered_with_another,
    "2 renewed in another view": a_token_for_other_asks_and_nobody_loads,
    "2 the store's clock after its look": a_look_just_before_a_no,
    "3 not noted on fetches": a_slow_fetch_from_before_a_change,
    "3 published before dropped": a_guard_beside_a_late_poll,
    "4 any record will do": the_record_of_another_user,
    "4 any position will do": a_slow_fetch_from_before_a_change,
    "4 no second fetch": a_fetch_overtaken_by_a_restart,
    "4 users of another view stay": a_token_for_other_asks,
    "6 backwards will do": a_ledger_that_went_back,
    "6 what lags is another history": loads_that_lag_behind_an_own_write,
    "6 floors go at once": everything_lags_behind_an_own_write,
    "6 floors are gone with their epoch": a_load_that_lags_after_a_late_acknowledgement,
    "6 floors are gone once passed": everything_lags_behind_what_the_feed_passed,
    "7 the clock first": a_guard_interrupted_for_long,
    "7 the entry first": a_guard_interrupted_by_a_change,
    "7 what is found by its bytes never ends": a_standing_that_comes_again,
    "7 in one step, the clock first": a_guard_interrupted_for_long,
    "7 in one step, the user first": a_guard_interrupted_by_a_change,
    "7 in one step, covered before a proof": what_was_loaded_ahead_and_overtaken,
    "7 in one step, covered although dropped": a_user_dropped_before_it_is_covered,
    "8 a new view ends what is unknown": a_token_exchanged_amid_a_no,
    "8 no floor": a_load_from_before_an_own_write,
    "8 a load from before an own write is installed": a_load_from_before_a_restore_and_an_own_write,
    "8 an own write in an unknown epoch is left out": a_load_from_before_an_own_write_in_an_unknown_epoch,
    "8 no floor under a guard": a_guard_interrupted_by_the_end_of_an_own_write,
    "8 nobody goes on with what a loop's end left": a_loop_that_ends_before_a_write_is_acknowledged,
    "8 the end of a loop is a refusal": a_loop_that_ends_before_a_write_is_acknowledged,
    "8 a refusal for the token is definite": a_token_refused_amid_a_no,
    "8 what the token may not repeat denies for good": a_token_refused_amid_a_yes,
    "8 a refused token is tried again at once": a_token_refused_for_long,
    "8 a yes of unknown outcome is repeated after a no": a_yes_that_is_lost_before_a_no,
    "8 any token will do": a_token_of_a_lost_history,
    "11 a part has its deadline from a look on": a_part_that_is_not_answered,
}
