"""
A long run: `python -m tests.simulator.soak --steps 1000000 --seed 1 --processes 2`.

Prints the steps simulated, the faults tried by kind and every violation with what reproduces it; exits 1 on any.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial

import attrs

from tests.simulator.checks import Violation
from tests.simulator.healing import heal
from tests.simulator.profile import WILD, Profile
from tests.simulator.world import World

STEPS_OF_A_WORLD = 1000
HEALED = 4  # one world in so many is healed in the end, which takes as long as the rest


@attrs.define
class Result:
    """What one world, or all of them, came to."""

    steps: int = 0
    worlds: int = 0
    allowed: int = 0
    tried: Counter[str] = attrs.field(factory=Counter)
    violations: list[tuple[int, Violation]] = attrs.field(factory=list)

    def add(self, other: Result) -> None:
        """Count another world too."""
        self.steps += other.steps
        self.worlds += other.worlds
        self.allowed += other.allowed
        self.tried += other.tried
        self.violations += other.violations


def tell(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")


def simulate(seed: int) -> Result:
    """One world, from its seed alone."""
    with World(seed, Profile(storm=WILD, fault_every=0.2) if seed % 2 else None) as world:
        world.run(STEPS_OF_A_WORLD)
        if seed % HEALED == 0 and not world.violations:
            heal(world)
        violations = [(seed, violation) for violation in world.violations[:3]]
        checks = world.checks
        return Result(world.loop.steps, 1, checks.allowed_answers, world.tried, violations)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the steps are done or the user has seen enough."""
    parser = argparse.ArgumentParser(prog="tests.simulator.soak")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    total, began = Result(), time.monotonic()
    # Spawned, not forked, since a forked child would inherit locks that threads of this process may hold.
    spawning = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        run: Callable[..., Iterable[Result]] = map
        if options.processes > 1:
            pool = stack.enter_context(spawning.Pool(options.processes, signal.signal, (signal.SIGINT, signal.SIG_IGN)))
            run = partial(pool.imap_unordered, chunksize=4)
        try:
            for result in run(simulate, _seeds(options)):
                total.add(result)
                if total.steps >= options.steps:
                    break
        except KeyboardInterrupt:
            tell("stopped")
    _report(total, time.monotonic() - began)
    return 1 if total.violations else 0


def _seeds(options: argparse.Namespace) -> Sequence[int] | range:
    first: int = options.seed * 1_000_000
    return range(first, first + options.steps // 200 + 1)


def _report(total: Result, seconds: float) -> None:
    tell(f"{total.steps} steps in {total.worlds} worlds, {total.steps / seconds:.0f} a second")
    tell(f"{total.allowed} answers said yes, each with an instant that allowed it")
    tell("tried: " + (", ".join(f"{kind} {number}" for kind, number in sorted(total.tried.items())) or "none"))
    for seed, violation in itertools.islice(total.violations, 20):
        tell(f"VIOLATION seed {seed} step {violation.step}: {violation.invariant}: {violation.detail}")
    tell(f"{len(total.violations)} violations")


if __name__ == "__main__":
    sys.exit(main())
