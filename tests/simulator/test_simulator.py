"""The real engine, leases and poller in worlds of faults: every invariant of protocol.md holds after every step."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.simulator import faults, soak
from tests.simulator.client import ASKS
from tests.simulator.healing import heal
from tests.simulator.profile import FAULTS, WILD, Profile
from tests.simulator.world import World

BLOCKS = 20
SEEDS_OF_A_BLOCK = 12
STEPS = 300


@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_invariants_hold_whatever_fails(block: int) -> None:
    """I1 to I5, I7 and rules 8 to 11 after each step of each seed; every fourth world is healed, for I6 and I8."""
    for seed in range(block * SEEDS_OF_A_BLOCK, (block + 1) * SEEDS_OF_A_BLOCK):
        with World(seed) as world:
            world.run(STEPS)
            if seed % 4 == 0 and not world.violations:
                heal(world)
            assert not world.violations, f"seed {seed}"


def test_worlds_try_every_fault_and_say_yes() -> None:
    """A hundred seeds try each kind of fault, preempt guards, and let thousands of guards allow."""
    tried: Counter[str] = Counter()
    allowed = 0
    for seed in range(100):
        with World(seed) as world:
            world.run(STEPS)
            tried += world.tried
            allowed += world.checks.allowed_answers
    exchanges = {"slow_request", "slow_answer", "lost_request", "lost_answer", "error_before", "error_after"}
    assert set(tried) >= {*FAULTS, *exchanges, "doubled", "wrong", "preempted"}
    assert allowed > 5000


def test_a_seed_tells_everything() -> None:
    """The same seed goes through the same steps to the same ledger; another one does not."""

    def outcome(seed: int) -> tuple[Any, ...]:
        with World(seed) as world:
            world.run(400)
            return world.ledger.branch.head(), world.loop.now, world.checks.allowed_answers, tuple(world.tried.items())

    assert outcome(7) == outcome(7) != outcome(8)


def test_no_client_reads_a_real_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a client's code asks `time` in a world is answered in virtual time, or waits would not be simulated."""
    callers: set[str] = set()
    thread = threading.get_ident()

    def spy(real: Any, *arguments: Any) -> Any:
        if threading.get_ident() == thread:  # others may be of other tests
            callers.add(sys._getframe(1).f_globals["__name__"])
        return real(*arguments)

    for name in ("monotonic", "monotonic_ns", "perf_counter", "time", "time_ns", "clock_gettime", "sleep"):
        monkeypatch.setattr(time, name, partial(spy, getattr(time, name)))
    for seed in range(40):
        with World(seed, Profile(storm=WILD)) as world:
            world.run(STEPS)
    assert not {caller for caller in callers if caller.startswith("diijam_consent_sdk")}


def test_a_soak_counts_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    """The command runs its steps and says what it tried."""
    assert soak.main(["--steps", "3000", "--processes", "1"]) == 0
    said = capsys.readouterr().out
    assert "0 violations" in said
    assert "preempted" in said


class Simulated(RuleBasedStateMachine):
    """The same worlds, with Hypothesis choosing what happens, so that it can shrink it."""

    world: World

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        """A world where nothing happens but what Hypothesis chooses."""
        self.world = World(seed, Profile(faults={}, fault_every=1000.0))
        self.world.__enter__()

    @rule(steps=st.integers(1, 40))
    def goes_on(self, steps: int) -> None:
        """Some steps pass."""
        self.world.run(steps)

    @rule(kind=st.sampled_from(FAULTS))
    def fails(self, kind: str) -> None:
        """A fault begins."""
        faults.begin(self.world, kind)

    @rule(user=st.integers(0, 9), ask=st.sampled_from(ASKS), client=st.integers(0, 9))
    def asks(self, user: int, ask: Any, client: int) -> None:
        """A client is asked."""
        world = self.world
        world.clients[client % len(world.clients)].decide(world.users[user % len(world.users)], ask)

    @rule(user=st.integers(0, 9))
    def another_service_writes(self, user: int) -> None:
        """A write that no client here made."""
        self.world.write(self.world.users[user % len(self.world.users)], self.world.an_event())

    @rule(user=st.integers(0, 9), client=st.integers(0, 9))
    def records(self, user: int, client: int) -> None:
        """A client writes."""
        world = self.world
        world.clients[client % len(world.clients)].record(world.users[user % len(world.users)], world.an_event())

    @invariant()
    def holds(self) -> None:
        """No invariant is violated."""
        if hasattr(self, "world"):
            assert not self.world.violations

    def teardown(self) -> None:
        """In the end the world is healed, and right again."""
        if hasattr(self, "world"):
            if not self.world.violations:
                heal(self.world)
            self.world.__exit__()
            assert not self.world.violations


TestSimulated = Simulated.TestCase
TestSimulated.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)
