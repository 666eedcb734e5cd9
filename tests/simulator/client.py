"""One simulated process: the real `Engine` on a virtual runner, used as `ConsentClient` uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from diijam_consent_sdk._threads import Promise
from diijam_consent_sdk.cache.user import UserConsent
from diijam_consent_sdk.client.engine import Engine
from diijam_consent_sdk.decisions import Ask, Decision, Market, Process, Show
from tests.simulator.batch_loads import Parts
from tests.simulator.hooked import LeaseClock, SimLeases, SimUser, inherit
from tests.simulator.runner import SimRunner

if TYPE_CHECKING:
    from diijam_consent_sdk.cache.leases import Leases
    from diijam_consent_sdk.events import Event
    from tests.simulator.streams import SimStream
    from tests.simulator.world import World

ASKS: tuple[Ask, ...] = (Market("email"), Process("surveys"), Show("avatar"))


def guard_of(user: UserConsent, ask: Ask) -> Decision:
    """The guard that a service would call."""
    match ask:
        case Market(channel):
            return user.can_market(channel)
        case Process(purpose):
            return user.can_process(purpose)
        case Show(field):
            return user.is_public(field)
    return user.decide(ask)


class SimClient:
    """A process with a client: what it asks, writes and holds, and what befalls it."""

    def __init__(self, world: World, number: int, clock: LeaseClock | None = None) -> None:
        self.world = world
        self.number = number
        self.loop = world.loop
        self.network = world.network
        self.checks = world.checks
        self.bound, self.deadline = world.bound, world.deadline
        random = world.random
        self.is_following = random.random() < 0.8
        self.can_stream = world.has_streams and (world.is_idle or random.random() < 0.7)
        self.streams: list[SimStream] = []  # those that it has not closed
        self.clock = LeaseClock(self, random.uniform(-1e4, 1e6), random.uniform(0.9995, 1.0005))
        if clock is not None:  # forked: the same machine
            self.clock.offset, self.clock.rate = clock.offset, clock.rate
        self.read_at = 0.0
        self.suspended_until = 0.0
        self.suspended_for = 0.0
        self.starved_until = 0.0
        self.closed = False
        self.has_closed = False  # `Leases.close` returned
        self.is_gone = False
        self.loads = 0
        self.held: list[UserConsent] = []
        self.pending: dict[str, str] = {}  # key: user, of writes whose outcome is not definite
        self.parts = Parts(world.deadline, world.slack)
        self.inherited: Leases | None = None  # by a fork whose hooks never ran
        self._preempts = 0
        self._is_watched = True
        self._begin()
        self._is_watched = False

    def _begin(self) -> None:
        self.runner = SimRunner(self)
        self.engine = Engine(
            clock=self.clock, max_staleness=self.bound, capacity=self.world.capacity, deadline=self.deadline,
            is_following=self.is_following, can_stream=self.can_stream, spawn=self.runner.spawn,
            limit=self.runner.limit,
        )  # fmt: skip
        self.leases = self.engine.leases

    # What happens to it.

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something in this process, in so many seconds, or when it is no longer suspended."""

        def run() -> None:
            if self.is_gone:
                return
            if self.suspended_until > self.loop.now:
                self.loop.after(self.suspended_until - self.loop.now, run)
            else:
                work()

        self.loop.after(seconds, run)

    def pause(self) -> float:
        """How long a thread of it waits for a processor."""
        random = self.world.random
        return random.uniform(0, 0.001) if random.random() < 0.97 else random.uniform(0, self.world.longest_pause)

    def is_starved(self) -> bool:
        """Whether no thread can be had."""
        return self.loop.now < self.starved_until

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: its lease clock goes on, its monotonic clock does not."""
        if self.suspended_until <= self.loop.now:
            self.suspended_until = self.loop.now + seconds
            self.suspended_for += seconds

    def monotonic(self) -> float:
        """CLOCK_MONOTONIC."""
        asleep = max(0.0, self.suspended_until - self.loop.now)
        return self.loop.now - self.suspended_for + asleep

    @contextmanager
    def executing(self) -> Iterator[None]:
        """Whatever runs meanwhile runs in this process."""
        world = self.world
        before, world.executing = world.executing, self
        try:
            yield
        finally:
            world.executing = before

    def preempt(self) -> None:
        """A reader of shared state is here: if this is where it is to be interrupted, others run first."""
        if self._preempts > 0:
            self._preempts -= 1
            if not self._preempts:
                self.world.run_others()

    def wrote(self) -> None:
        """A writer of shared state is here, under its lock: readers, who take none, may look now."""
        if not self._is_watched and self._preempts == 0 and self.world.random.random() < self.world.watchfulness:
            self._is_watched = True
            self.sweep(fraction=1.0)
            self._is_watched = False

    # What it does.

    def guard(self, user: UserConsent, ask: Ask, *, preempted: int = 0) -> Decision:
        """Call a guard, interrupted at its n-th read, and check what it says."""
        marks = self.checks.before_guard(self, user.user_id)
        self.read_at = self.loop.now
        self._preempts = preempted
        decision = guard_of(user, ask)
        self._preempts = 0
        if decision:
            self.checks.allowed(self, user, ask, self.read_at, marks)
        return decision

    def guard_in_one_step(self, user_id: str, ask: Ask, *, preempted: int = 0) -> Decision | None:
        """As `ConsentClient.decide` from memory; None: the user has to be fetched."""
        memory = self.memory()
        fast_path = memory.fast_path
        marks = self.checks.before_guard(self, user_id)
        self.read_at = self.loop.now
        self._preempts = preempted
        interrupted = fast_path.found
        answers, found = memory.answers(user_id), fast_path.found
        fast_path.found = interrupted
        self._preempts = 0
        if answers is None:
            return None
        decision = answers.decide(ask)
        if decision:
            self.checks.allowed(self, found, ask, self.read_at, marks)
        return decision

    def memory(self) -> SimLeases:
        """What its guards read: in a forked child, what it inherited until it begins anew."""
        leases = self.leases if self.inherited is None else self.inherited
        assert isinstance(leases, SimLeases)
        return leases

    def sweep(self, fraction: float) -> None:
        """Ask whatever this process could ask now."""
        if self.suspended_until > self.loop.now:
            return
        leases = self.memory()
        random = self.world.random
        for user in [*leases.users.values(), *self.held]:
            if fraction == 1.0 or random.random() < fraction:
                self.guard(user, random.choice(ASKS))
        for user_id in list(leases.fast_path.users):
            if fraction == 1.0 or random.random() < fraction:
                self.guard_in_one_step(user_id, random.choice(ASKS))

    def decide(self, user_id: str, ask: Ask, *, preempted: int = 0) -> None:
        """As `ConsentClient.decide`: from memory if that will do, else by the engine."""
        if self.guard_in_one_step(user_id, ask, preempted=preempted) is None:
            self.ask(user_id, ask)

    def ask(self, user_id: str, ask: Ask, token: str | None = None) -> Promise[Any]:
        """As `ConsentClient.user`, then a guard."""
        self._begin_in_child()
        began, slept, anchored = self.monotonic(), self.suspended_for, self.loop.now
        done = self.runner.run(self.engine.user(user_id, token))

        def answered(future: Promise[Any]) -> None:
            self.checks.answered(self, future, [user_id], began, token, is_calm=self.suspended_for == slept)
            if future.exception() is None and anchored <= self.loop.now:
                user = future.result()
                self.guard(user, ask)
                if isinstance(user, SimUser):
                    self.held = [*self.held[-4:], user]

        done.add_done_callback(answered)
        return done

    def ask_many(self, user_ids: list[str]) -> Promise[Any]:
        """As the first batch of `ConsentClient.users`."""
        self._begin_in_child()
        began, slept = self.monotonic(), self.suspended_for
        with self.executing():
            batch = next(self.engine.batches(user_ids))
        user_ids = batch.user_ids
        done = self.runner.run(self.engine.users(batch))
        check = self.checks.answered
        done.add_done_callback(lambda f: check(self, f, user_ids, began, None, is_calm=self.suspended_for == slept))
        return done

    def load(self, user_id: str) -> None:
        """As `ConsentClient.load`."""
        self._begin_in_child()
        self.loads += 1

        def loaded(done: Promise[Any]) -> None:
            self.checks.loaded(done)

        self.runner.run(self.engine.reads.load(user_id)).add_done_callback(loaded)

    def record(self, user_id: str, event: Event, expected_version: int | None = None) -> Promise[Any]:
        """As `ConsentClient.record`."""
        self._begin_in_child()
        key = f"key-{self.number}-{self.world.number()}"
        done = self.runner.run(self.engine.record(user_id, (event,), expected_version, key))
        done.add_done_callback(partial(self.checks.recorded, self, user_id, key))
        return done

    def poll_beside(self) -> None:
        """Poll beside whatever follows the feed, which no client does, to see that only one of them counts."""
        if self.leases.applied is not None and self.inherited is None:
            polling = self.engine._exchanges.poll(self.leases.applied, 0.0)
            self.runner.run(polling).add_done_callback(lambda done: done.exception())

    def close(self) -> None:
        """As `ConsentClient.close`."""
        self._begin_in_child()
        self.closed = True
        self.runner.run(self.engine.close()).add_done_callback(lambda _: self.runner.stop())

    def end_loop(self) -> None:
        """As the end of an `asyncio.run`, and another one after it. A suspended process ends nothing."""
        if self.suspended_until <= self.loop.now:
            self.runner.end_loop()

    def fork(self, number: int, *, with_hooks: bool) -> SimClient:
        """A child with a copy of this process's memory, begun anew by the hooks, or not yet."""
        child = SimClient(self.world, number, self.clock)
        child.closed, child.is_following, child.can_stream = self.closed, self.is_following, self.can_stream
        child._is_watched = True
        leases = inherit(self.leases, child, child.clock)
        child.held = list(leases.users.values())
        child.inherited = leases
        child._begin()
        child._is_watched = False
        if with_hooks:
            child._begin_in_child()
        return child

    def _begin_in_child(self) -> None:
        """As `BaseClient._begin_in_child`: in a forked child, by the hook or at its first operation."""
        if self.inherited is not None:
            self.inherited.abandon()
            was_closed = not self.inherited.abandoned
            self.inherited = None
            self._begin()
            if was_closed:
                self.leases.close()
