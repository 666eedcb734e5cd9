"""How long a caller waits for users who are not in memory (rule 11), in deadlines of virtual time."""

from __future__ import annotations

import attrs
import pytest

from diijam_consent_sdk._threads import Promise
from tests.simulator.client import SimClient
from tests.simulator.network import CALM, BatchLimit
from tests.simulator.scenarios import MAIL, process, quiet_world
from tests.simulator.world import World

PATIENCE = 0.25  # of a deadline: for the store's head, once a load of several users is late
REFUSED, LATE = BatchLimit(1, refuses=True, until=1e9), BatchLimit(1, refuses=False, until=1e9)
ALL_LATE, ALL_REFUSED = attrs.evolve(LATE, users=0), attrs.evolve(REFUSED, users=0)


def waited(world: World, client: SimClient, done: Promise[object]) -> float:
    """How long a question that was just asked takes to be answered, in deadlines."""
    ends: list[float] = []
    began = world.loop.now
    done.add_done_callback(lambda _: ends.append(world.loop.now - began))
    world.run_for(20 * client.deadline)
    return ends[0] / client.deadline


def away_after_parts(world: World, client: SimClient, parts: int) -> None:
    """The store answers nothing more once so many parts have ended."""
    while len(client.parts.ended) < parts:
        world.step()
    world.network.weather = attrs.evolve(CALM, lost_request=1.0)


@pytest.mark.parametrize(
    ("limit", "users", "deadlines"),
    [
        pytest.param(ALL_LATE, 1, 1.0, id="one"),
        pytest.param(ALL_REFUSED, 1, 0.0, id="one who is too large"),
        pytest.param(REFUSED, 3, 0.0, id="several, refused together"),
        pytest.param(ALL_REFUSED, 3, 0.0, id="several who are too large each"),
        pytest.param(LATE, 2, 1.0, id="several, late together"),
        pytest.param(ALL_LATE, 3, 5.0, id="several who are late each"),  # three together, two together, each alone
    ],
)
def test_a_load_is_waited_for_as_long_as_the_store_answers(limit: BatchLimit, users: int, deadlines: float) -> None:
    """A single user has one deadline; of a load that goes on in parts, each late part takes one."""
    with quiet_world() as world:
        client = process(world, follow=False)
        world.network.batch_limit = limit
        done = client.ask("user0", MAIL) if users == 1 else client.ask_many(world.users[:users])
        assert waited(world, client, done) == pytest.approx(deadlines, abs=0.1)
        assert not world.violations


@pytest.mark.parametrize(("limit", "first"), [(REFUSED, 0.0), (LATE, 1.0)], ids=["refused", "late"])
def test_a_part_that_is_not_answered_has_one_deadline(limit: BatchLimit, first: float) -> None:
    """A batch is found to be too large, and then nothing is answered: a deadline, and a quarter, from there on."""
    with quiet_world() as world:
        client = process(world, follow=False)
        world.network.batch_limit = limit
        began = world.loop.now
        done = client.ask_many(world.users)
        away_after_parts(world, client, 1)
        before = (world.loop.now - began) / client.deadline
        assert before == pytest.approx(first, abs=0.1)
        assert before + waited(world, client, done) == pytest.approx(first + 1 + PATIENCE, abs=0.1)
        assert not world.violations


def test_a_batch_over_a_store_that_is_away_has_one_deadline() -> None:
    """No part ever ends: a deadline, and the quarter for the head that is not answered either."""
    with quiet_world() as world:
        client = process(world, follow=False)
        away_after_parts(world, client, 0)
        assert waited(world, client, client.ask_many(world.users)) == pytest.approx(1 + PATIENCE, abs=0.1)
        assert not world.violations


def test_a_single_user_of_a_batch_in_parts_has_one_deadline() -> None:
    """Who asks for one user does not wait for the parts of the load that was under way."""
    with quiet_world() as world:
        client = process(world, follow=False)
        world.network.batch_limit = ALL_LATE
        many = client.ask_many(world.users)
        while not client.network.under_way:
            world.step()
        assert waited(world, client, client.ask("user2", MAIL)) == pytest.approx(1, abs=0.1)
        assert many.done()
        assert not world.violations
