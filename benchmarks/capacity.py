"""
What a fleet that two cores cannot run would do: a simulation of service processes, from costs that were measured.

Each process is one core with a queue, as an event loop is. The first row is the fleet of `benchmarks.fleet`, which was
measured as well, so that the two can be compared. Nothing of a network or a disk is in it.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from math import inf

import attrs

from diijam_consent_sdk.service.streams import SLICE, WAVE_SECONDS

from . import report
from .people import QUICK
from .server import percentile

SECONDS = 20.0 if QUICK else 120.0


@attrs.frozen
class Costs:
    """Processor time of one process, in seconds, by Python 3.11 on the machine of docs/performance.md."""

    part: float = 25e-6  # one part to one stream
    change: float = 1.0e-3  # looking and encoding, once for all streams
    load: float = 0.35e-3  # of one user's standing: `routes`, the server's processor time
    append: float = 0.75e-3  # of one event, to SQLite: the same


@attrs.frozen
class Fleet:
    """A fleet, and what it asks of all its service processes together."""

    name: str
    processes: int
    clients: int
    changes: float  # a second
    loads: float
    appends: float  # at the processes that are simulated; relays pass theirs on


@attrs.define
class Process:
    """One process: its jobs, in the order in which they came, and what was measured of them."""

    streams: int
    costs: Costs
    told: list[float] = attrs.field(factory=list)
    loaded: list[float] = attrs.field(factory=list)
    busy: float = 0.0

    def run(self, arrivals: list[tuple[float, str]]) -> None:
        """Serve the arrivals, in order of time, as the service does: parts in waves, and other work between slices."""
        jobs, pending, wave = deque(arrivals), list[float](), deque[list[float]]()
        now = next_wave_at = 0.0
        while jobs or pending or wave:
            if jobs and jobs[0][0] <= now:
                arrived, kind = jobs.popleft()
                if kind == "change":
                    pending.append(arrived)
                    continue
                now = self._work(now, self.costs.load if kind == "load" else self.costs.append)
                if kind == "load":
                    self.loaded.append(now - arrived)
            elif wave:
                now = self._work(now, self.costs.part * min(SLICE, self.streams))
                self.told += [now - written for written in wave.popleft()]
                next_wave_at = now + WAVE_SECONDS
            elif pending and next_wave_at <= now:
                now = self._work(now, self.costs.change)
                wave.extend([] for _ in range(0, self.streams, SLICE))
                for written in pending:
                    random.choice(wave).append(written)  # one stream of many, at random
                pending.clear()
            else:
                now = min(jobs[0][0] if jobs else inf, next_wave_at if pending else inf)

    def _work(self, now: float, cost: float) -> float:
        self.busy += cost
        return now + cost


def simulate(fleet: Fleet, costs: Costs, seed: int = 1) -> tuple[float, float, float]:
    """
    Run a fleet.

    Returns:
        The core that each process takes, and the 99th percentiles, in seconds, of a change until a client has it and of
        a load.
    """
    chance = random.Random(seed)
    changes = list(_poisson(chance, fleet.changes, "change"))
    processes = [Process(fleet.clients // fleet.processes, costs) for _ in range(min(fleet.processes, 8))]  # alike
    for process in processes:
        loads = _poisson(chance, fleet.loads / fleet.processes, "load")
        appends = _poisson(chance, fleet.appends / fleet.processes, "append")
        process.run(list(heapq.merge(changes, loads, appends)))
    told = [delay for process in processes for delay in process.told]
    loaded = [delay for process in processes for delay in process.loaded]
    busy = sum(process.busy for process in processes) / len(processes) / SECONDS
    return busy, percentile(told, 0.99), percentile(loaded, 0.99) if loaded else 0.0


def _poisson(chance: random.Random, rate: float, kind: str) -> list[tuple[float, str]]:
    found, at = [], chance.expovariate(rate) if rate else SECONDS
    while at < SECONDS:
        found.append((at, kind))
        at += chance.expovariate(rate)
    return found


FLEETS = (
    Fleet("1,000 clients on one process, as measured", 1, 1_000, 20, 50, 20),
    Fleet("2,000 clients on one process", 1, 2_000, 20, 100, 20),
    Fleet("2,000 clients on two workers", 2, 2_000, 20, 100, 20),
    Fleet("5,000 clients on 5 relays", 5, 5_000, 40, 2_500, 0),
    Fleet("5,000 clients on 4 relays, as one of 5 is down", 4, 5_000, 40, 2_500, 0),
    Fleet("5,000 clients on 10 relays", 10, 5_000, 40, 2_500, 0),
    Fleet("10 relays on one primary, which takes all writes", 1, 10, 40, 0, 40),
)


def main() -> None:
    """Simulate each fleet and publish the table."""
    rows = []
    for fleet in FLEETS:
        busy, told, loaded = simulate(fleet, Costs())
        rows.append(
            [fleet.name, f"{fleet.changes:g}", f"{fleet.loads:,g}", f"{busy:.2f}", f"{told * 1000:,.0f} ms",
             f"{loaded * 1000:,.0f} ms" if fleet.loads else ""]
        )  # fmt: skip
    costs = Costs()
    report.publish(
        "capacity", "A fleet, simulated",
        "Simulated, not measured: each process is one core with a queue. The costs were measured: a part"
        f" {costs.part * 1e6:.0f} µs, a change {costs.change * 1e3:.1f} ms, a load {costs.load * 1e3:.1f} ms, an append"
        f" {costs.append * 1e3:.1f} ms of processor time.",
        report.table(
            ["", "changes a second", "loads a second", "cores of each process", "a change told, 99 %", "a load, 99 %"],
            rows,
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
