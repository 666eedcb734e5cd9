"""What stands in the library's modules while a world runs: its leases, clocks and dice."""

from __future__ import annotations

import gc
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

from diijam_consent_sdk.cache import history, installs, memory, pending_writes
from diijam_consent_sdk.client import (
    batching,
    engine,
    exchanges,
    halving,
    health,
    limiter,
    poller,
    single_flight,
    stream,
    thread_pool,
    writes,
)
from diijam_consent_sdk.stores import _retry
from tests.simulator.batch_loads import SimLoad
from tests.simulator.hooked import SimGeneration, SimLeases, SimUser, SimUserCache

if TYPE_CHECKING:
    from tests.simulator.world import World


class _Time:
    """`time`, of the process whose code runs."""

    def __init__(self, world: World) -> None:
        self._world = world

    def monotonic(self) -> float:
        """CLOCK_MONOTONIC."""
        assert self._world.executing is not None, "some code of a client runs in none"
        return self._world.executing.monotonic()


class _Silence:
    """A logger that says nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def enter(stack: ExitStack, world: World) -> None:
    """Put them there, until the stack is closed."""
    gc.collect()  # clients that other tests dropped end before, by the real clock

    def put(module: Any, **names: Any) -> None:
        for name, value in names.items():
            stack.enter_context(mock.patch.object(module, name, value))

    put(engine, Leases=SimLeases)
    put(halving, time=_Time(world), log=_Silence())
    put(health, log=_Silence())
    put(limiter, time=_Time(world))
    put(thread_pool, time=_Time(world))
    put(writes, log=_Silence())
    put(_retry, random=world.random)
    put(single_flight, time=_Time(world), SharedLoad=partial(SimLoad, world))
    put(exchanges, time=_Time(world))
    put(history, Generation=SimGeneration)
    put(installs, UserConsent=SimUser)
    put(memory, UserCache=SimUserCache)
    put(poller, random=world.random)
    put(stream, random=world.random, time=_Time(world))
    if world.has_small_caps:
        put(pending_writes, MAX_MINIMUMS=2, MAX_WRITES=2, MAX_WITHDRAWALS=2)
        put(history, MAX_CONFIRMED=2, MAX_UNCONFIRMED=2)
        put(single_flight, MAX_IN_FLIGHT=2, MAX_QUEUED=2, BATCH=2)
        put(batching, BATCH=2)
