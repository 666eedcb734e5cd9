"""Short sequences of a stream and what goes wrong with it, on the real code in a world where nothing else happens."""

from __future__ import annotations

from collections.abc import Callable

from diijam_consent_sdk import events as e
from diijam_consent_sdk.standing import AskScope
from tests.simulator.client import SimClient
from tests.simulator.ledger import Lag
from tests.simulator.scenarios import MAIL, look, process, sent_load
from tests.simulator.streams import SimStream
from tests.simulator.world import World

FOR_GOOD = 1e9


def streaming(world: World) -> tuple[SimClient, SimStream]:
    """A process that knows a user and follows a stream."""
    world.has_streams = True
    client = process(world)
    client.ask("user0", MAIL)
    world.run_for(1)
    (stream,) = client.streams
    return client, stream


def see_that_it_is_fresh(world: World, client: SimClient, seconds: float) -> None:
    """Time passes, and nobody asks: the feed alone keeps users fresh."""
    began = world.loop.now
    while world.loop.now < began + seconds and not world.violations:
        world.run_for(0.5)
        age = client.leases.feed_age(client.clock.show())
        if (world.loop.now - began if age is None else age) > world.bound:
            world.checks.fail("I6", f"the feed renews nothing for {world.bound} s")


def see_that_it_is_cut(world: World, stream: SimStream) -> None:
    """The stream is over by now."""
    if not stream.is_closed:
        world.checks.fail("parts", "the stream is not cut")


def faulty(world: World, *faults: str | None) -> None:
    """What befalls the next parts."""
    ahead = list(faults)
    world.network.fault_of_part = lambda: ahead.pop(0) if ahead else None  # type: ignore[method-assign]


def a_part_of_another_stream(world: World) -> None:
    """A part of the client's last stream comes on the present one, and counts from when that was asked for."""
    client, stream = streaming(world)
    world.run_for(3)
    old = stream._lines[-1]
    stream.cut()
    while not client.streams or client.streams[0] is stream:
        world.step()
    (stream,) = client.streams
    while not stream._lines:
        world.step()
    stream.is_silent = True
    world.run_for(3)
    stream._arrives(old)
    world.run_for(0.5)
    see_that_it_is_cut(world, stream)


def a_part_that_is_lost(world: World) -> None:
    """The part that tells of a withdrawal is lost, the next one comes."""
    client, _ = streaming(world)
    faulty(world, "lost")
    world.write("user0", e.Withdrawn("marketing"))
    world.run_for(0.2)
    world.write("user1", e.Withdrawn("marketing"))
    for _ in range(30):
        world.run_for(1)
        look(world, client)


def a_part_that_is_late(world: World) -> None:
    """A proxy holds parts back for a while: they count from when the service looked."""
    client, _ = streaming(world)
    world.run_for(1)
    world.network.parts_held_until = world.loop.now + 4
    see_that_it_is_fresh(world, client, 20)


def a_part_beside_a_poll(world: World) -> None:
    """While a part is on its way, a poll brings its news and more: the part would lead the feed back."""
    client, stream = streaming(world)
    world.network.parts_held_until = world.loop.now + 0.3
    world.write("user1", e.Withdrawn("marketing"))
    world.run_for(0.1)
    world.write("user2", e.Withdrawn("marketing"))
    client.poll_beside()
    world.run_for(0.1)
    assert client.leases.applied == world.ledger.branch.head()
    world.run_for(0.5)
    see_that_it_is_cut(world, stream)
    see_that_it_is_fresh(world, client, 30)


def a_stream_of_the_generation_before(world: World) -> None:
    """A head that a load saw is lost in a restore, and the store asked: the stream goes on from the very same place."""
    client, stream = streaming(world)
    world.network.parts_held_until = world.loop.now + 2
    world.ledger.random.random = lambda: 1.0  # type: ignore[method-assign]
    world.write("user1", e.Withdrawn("marketing"))
    sent_load(world, client, "user1")(None)
    stream.is_silent = True
    world.ledger.restore(1, same_epoch=True)
    client.load("user0")
    world.run_for(0.5)
    assert client.leases.applied == world.ledger.branch.head()
    stream.is_silent = False
    world.run_for(4)
    see_that_it_is_cut(world, stream)


def a_stream_that_goes_silent(world: World) -> None:
    """Half-open: the connection stands, and nothing comes."""
    client, stream = streaming(world)
    stream.is_silent = True
    see_that_it_is_fresh(world, client, 3 * world.bound)


def a_proxy_that_holds_back(world: World) -> None:
    """No part ever comes: single polls keep the feed up, and streams are tried again less and less often."""
    world.network.parts_held_until = FOR_GOOD
    world.has_streams = True
    client = process(world)
    client.ask("user0", MAIL)
    see_that_it_is_fresh(world, client, 8 * world.bound)
    if world.tried["stream"] > 8:
        world.checks.fail("parts", f"{world.tried['stream']} streams were tried in {8 * world.bound} s")


def a_stream_that_lags_once(world: World) -> None:
    """For one look the service lags behind a write of this process, which an earlier part has shown."""
    client, stream = streaming(world)
    client.record("user1", e.Withdrawn("marketing"))
    world.run_for(1)
    generation = client.leases._history.generation
    world.ledger.begin_lag(Lag(changes=2.0, until=FOR_GOOD))
    world.write("user2", e.Withdrawn("marketing"))
    world.run_for(0.012)
    world.ledger.end_lag()
    world.run_for(2)
    see_that_it_is_cut(world, stream)
    if client.leases._history.generation is not generation:
        world.checks.fail("R6", "a look that lagged was taken for another history")


def many_heads_at_once(world: World) -> None:
    """Loads at many heads that one part goes past: four of them are asked about, and no more in B/4."""
    client, _ = streaming(world)
    world.network.parts_held_until = world.loop.now + 0.4
    for number in range(12):
        world.write("user1", e.Withdrawn("marketing") if number % 2 else e.Granted("marketing", "n", ["email"]))
        sent_load(world, client, "user2")(None)
    world.run_for(2)
    if world.tried["confirmation"] > 4:
        world.checks.fail("parts", f"{world.tried['confirmation']} heads were asked about at once")


def a_busy_service(world: World) -> None:
    """Between the look and the sending of a part, the service is busy."""
    client, _ = streaming(world)
    world.ledger.random.uniform = lambda a, b: b  # type: ignore[method-assign]
    world.ledger.random.random = lambda: 1.0  # type: ignore[method-assign]
    world.write("user0", e.Hidden("avatar"))
    see_that_it_is_fresh(world, client, 5)


def a_token_exchanged_beside_a_stream(world: World) -> None:
    """The token is exchanged for one of other asks while a stream goes on: nothing but its parts shows it."""
    client, stream = streaming(world)
    world.ledger.views.change(frozenset({AskScope.PROFILE}))
    for _ in range(2 * int(world.bound)):
        world.write("user1", e.Hidden("avatar"))
        world.run_for(1)
        look(world, client)
    see_that_it_is_cut(world, stream)


SCENARIOS: dict[str, Callable[[World], None]] = {
    "parts: of any stream": a_part_of_another_stream,
    "parts: after any place": a_part_that_is_lost,
    "parts: from their arrival": a_part_that_is_late,
    "parts: wherever the feed is": a_part_beside_a_poll,
    "parts: never cut": a_part_beside_a_poll,
    "parts: in another view": a_token_exchanged_beside_a_stream,
    "parts: in any generation": a_stream_of_the_generation_before,
    "parts: the first without a deadline": a_proxy_that_holds_back,
    "parts: silent for ever": a_stream_that_goes_silent,
    "parts: no single polls": a_proxy_that_holds_back,
    "parts: tried again at once": a_proxy_that_holds_back,
    "parts: pauses that do not grow": a_proxy_that_holds_back,
    "parts: heads seen since do not count": a_stream_that_lags_once,
    "parts: heads without a limit": many_heads_at_once,
    "parts: a clock read after the look": a_busy_service,
}
