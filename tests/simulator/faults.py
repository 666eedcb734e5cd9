"""What befalls the store, the network and the processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from diijam_consent_sdk.client.effects import Append, ChangesSince, Load, LoadStandings, StoreCall, StreamChanges
from tests.simulator.ledger import Lag
from tests.simulator.network import CALM, BatchLimit
from tests.simulator.profile import STREAM_FAULTS
from tests.simulator.views import VIEWS

if TYPE_CHECKING:
    from tests.simulator.client import SimClient
    from tests.simulator.world import World

BROKEN: dict[str, tuple[type[StoreCall[Any]], ...]] = {
    "freeze_feed": (ChangesSince, StreamChanges),
    "break_loads": (Load, LoadStandings),
    "break_all": (Load, LoadStandings, ChangesSince, StreamChanges, Append),
}

OF_STORE = ("restart", "new_epoch", "wall", "old_standings")


def begin(world: World, kind: str) -> None:
    """A fault of this kind; some of them end by themselves."""
    random, network, bound = world.random, world.network, world.bound
    client = random.choice(world.clients)
    lasts = random.uniform(0, 2) * bound
    if kind in OF_STORE:
        _of_store(world, kind, lasts)
    elif kind.startswith("restore"):
        _restore(world, same_epoch=kind == "restore_same_epoch")
    elif kind.startswith("lag"):
        _lag(world, kind, lasts)
    elif kind in BROKEN:
        network.broken |= dict.fromkeys(BROKEN[kind], world.loop.now + lasts)
    elif kind.startswith("large"):
        network.batch_limit = BatchLimit(random.choice([0, 1, 1, 2]), kind == "large_refused", world.loop.now + lasts)
    elif kind.endswith("token"):
        _of_token(world, kind, lasts)
    elif kind == "storm":
        network.weather = attrs.evolve(world.profile.storm, slow_up_to=random.choice([0.1, 1.5]))
        world.loop.after(lasts, lambda: setattr(network, "weather", CALM))
    elif kind in STREAM_FAULTS:
        _of_streams(world, client, kind, lasts)
    else:
        _of_client(world, client, kind, lasts)


def _of_streams(world: World, client: SimClient, kind: str, lasts: float) -> None:
    """A proxy holds parts back, or a client's stream goes silent, is cut, or has a poll beside it."""
    if kind == "hold_parts":
        world.network.parts_held_until = world.loop.now + lasts
    elif kind == "poll_beside":
        client.poll_beside()
    for stream in list(client.streams):
        if kind == "silent_streams":
            stream.is_silent = True
        elif kind == "cut_streams":
            stream.cut()


def _of_token(world: World, kind: str, lasts: float) -> None:
    """Appends are refused for the token, or another token is for other asks: unknown writes are repeated with it."""
    random = world.random
    if kind == "rotate_token":
        world.ledger.views.change(random.choice(VIEWS), random.choice([0.0, lasts]))
    if kind == "refuse_token" or random.random() < 0.5:
        world.network.token_refused_until = world.loop.now + lasts


def _of_store(world: World, kind: str, lasts: float) -> None:
    ledger = world.ledger
    if kind == "restart":
        ledger.restart()
    elif kind == "new_epoch":
        ledger.begin_epoch()
    elif kind == "wall":
        ledger.wall.set(world.random.uniform(-3, 3) * world.bound)
    else:  # what is stored is given out although some end in it is over
        ledger.keeps_standings_until = world.loop.now + lasts


def _restore(world: World, *, same_epoch: bool) -> None:
    """An older copy is put in place; half the time it is written on before anybody looks."""
    random = world.random
    lost = random.randint(0, 4)
    world.ledger.restore(lost, same_epoch=same_epoch)
    if random.random() < 0.5:
        for _ in range(random.randint(0, lost + 2)):
            world.write(random.choice(world.users), world.an_event())


def _lag(world: World, kind: str, lasts: float) -> None:
    """The store answers from some time ago, by less than B."""
    random = world.random
    seconds = random.uniform(0.01, 0.8) * world.bound
    loads, changes = seconds * (kind != "lag_changes"), seconds * (kind != "lag_loads")
    world.ledger.begin_lag(Lag(loads, changes, world.loop.now + lasts, random.choice([0.7, 1.0])))


def _of_client(world: World, client: SimClient, kind: str, lasts: float) -> None:
    if kind.startswith("fork"):
        if client.suspended_until <= world.loop.now:
            world.add(client.fork(world.number(), with_hooks=kind == "fork"))
    elif kind == "suspend":
        client.suspend(lasts)
    elif kind == "starve":
        client.starved_until = world.loop.now + lasts / 4
    elif kind == "end_loop":
        client.end_loop()
    elif kind == "close":
        client.close()
        world.loop.after(world.bound, lambda: _replace(world, client))


def _replace(world: World, client: SimClient) -> None:
    if client in world.clients and not world.is_quiet:
        client.is_gone = True
        world.clients.remove(client)
        world.begin()
