"""A world of processes with clients over one store; what they do, and which faults they meet, follow from a seed."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from random import Random
from typing import Self

from diijam_consent_sdk import events as e
from diijam_consent_sdk.cache.user import UserConsent
from diijam_consent_sdk.events import Event
from diijam_consent_sdk.record import ConsentRecord, unopened
from tests.simulator import faults, patches
from tests.simulator.checks import Checks, Violation
from tests.simulator.client import ASKS, SimClient
from tests.simulator.ledger import Ledger
from tests.simulator.loop import Loop
from tests.simulator.network import Network
from tests.simulator.profile import Profile
from tests.simulator.wall import instant

MAX_CLIENTS = 4


class World:
    """
    Everything that is simulated. Use it in a `with`: while one is entered, the library's modules are its own.

    Args:
        seed: Tells all that happens.

        profile: Which faults and which work there are.

        is_idle: Whether nothing happens but what the caller does; the chances of preemption remain.
    """

    def __init__(self, seed: int, profile: Profile | None = None, *, is_idle: bool = False) -> None:
        self.seed = seed
        self.profile = profile or Profile()
        random = self.random = Random(seed)
        self.bound = random.choice(self.profile.bound)
        self.deadline = self.bound * random.uniform(0.05, 0.25)
        self.longest_pause = 0.0 if is_idle else self.bound * random.choice([0.0, 0.001, 0.02])
        self.slack = 5 * self.longest_pause + 0.03
        self.watchfulness = random.choice([0.1, 0.5])
        self.has_small_caps = not is_idle and random.random() < self.profile.small_caps
        self.users = [f"user{number}" for number in range(random.randint(*self.profile.users))]
        self.capacity = random.choice([2, 100]) if self.has_small_caps else 100
        self.tried: Counter[str] = Counter()
        self.tokens: list[tuple[str, str]] = []
        self.faults = {} if is_idle else self.profile.choose(random)
        self.executing: SimClient | None = None
        self.is_idle = is_idle
        self.has_streams = not is_idle
        self.is_quiet = is_idle  # no work and no faults begin any more
        self._depth = 0
        self._numbers = 0
        self._patches = ExitStack()
        self.loop = Loop()
        self.ledger = Ledger(self.loop, random, self.bound, page=random.choice([1, 3, 1000]))
        self.checks = Checks(self)
        self.network = Network(self.loop, random, self.ledger, self.bound, self.tried)
        self.clients: list[SimClient] = []
        self.everyone: list[SimClient] = []

    def __enter__(self) -> Self:
        patches.enter(self._patches, self)
        for user_id in self.users:
            self.write(user_id, e.AccountOpened(), e.Granted("marketing", "n", ["email"]), e.Published("avatar"))
        if not self.is_idle:
            for _ in range(self.random.randint(*self.profile.clients)):
                self.begin()
            self._again(self.bound / 6, self._write)
            self._again(self.bound * self.profile.fault_every, self._fault)
        return self

    def __exit__(self, *_: object) -> None:
        self.is_quiet = True
        for client in self.everyone:
            client.is_gone = True
            client.starved_until = float("inf")
            with client.executing():
                client.runner.end()
        self._patches.close()

    @property
    def violations(self) -> list[Violation]:
        """What went wrong so far."""
        return self.checks.violations

    def number(self) -> int:
        """A number that was not given before."""
        self._numbers += 1
        return self._numbers

    # Time.

    def run(self, steps: int) -> int:
        """So many steps, or as many as there are before something goes wrong."""
        begun = self.loop.steps
        while self.loop.steps - begun < steps and not self.violations:
            self.step()
        return self.loop.steps - begun

    def run_for(self, seconds: float) -> None:
        """Steps, for so many seconds or until something goes wrong."""
        until = self.loop.now + seconds
        while self.loop.is_due(until) and not self.violations:
            self.step()
        self.loop.now = max(self.loop.now, until)

    def step(self) -> None:
        """One event, and then every check."""
        self.loop.step()
        random = self.random
        for client in self.clients:
            client.sweep(fraction=0.3)
            self.checks.bounded(client)
        if self.clients and not self.is_idle and random.random() < 0.05:
            client = random.choice(self.clients)
            if client.suspended_until <= self.loop.now:
                self.preempted(client)

    def preempted(self, client: SimClient) -> None:
        """A guard of a user that the process has, interrupted at one of its reads."""
        memory, random = client.memory(), self.random
        guarded: list[UserConsent | str] = [*memory.users.values(), *client.held, *memory.fast_path.users]
        if guarded and self._depth == 0:
            self._depth = 1
            self.tried["preempted"] += 1
            of, ask, preempted = random.choice(guarded), random.choice(ASKS), random.randint(1, 4)
            if isinstance(of, str):
                client.guard_in_one_step(of, ask, preempted=preempted)
            else:
                client.guard(of, ask, preempted=preempted)
            self._depth = 0

    def run_others(self) -> None:
        """What other threads and machines do while one thread is interrupted: not for as long as nothing happens."""
        for _ in range(self.random.randint(1, 8)):
            if self.loop.is_due(self.loop.now + 2 * self.bound):
                self.loop.step()

    # What happens in it.

    def begin(self) -> SimClient:
        """One more process."""
        return self.add(SimClient(self, self.number()))

    def add(self, client: SimClient) -> SimClient:
        """A process that begins to work; the oldest makes room."""
        if len(self.clients) >= MAX_CLIENTS:
            self.clients.pop(0).is_gone = True
        self.clients.append(client)
        self.everyone.append(client)
        if not self.is_idle:
            self._again(self.bound / self.random.choice([8, 20, 40]), lambda: self._work(client), client)
        return client

    def write(self, user_id: str, *written: Event) -> None:
        """Another service writes."""
        try:
            self.ledger.append(user_id, written, None, f"other-{self.number()}")
        except ValueError:
            self.tried["refused"] += 1

    def record_of(self, user_id: str) -> ConsentRecord:
        """What the ledger holds of a user."""
        return self.ledger.records.get(user_id) or unopened(user_id)

    def an_event(self) -> Event:
        """Something that a user may do."""
        ends = instant(self.ledger.wall.peek() + self.random.uniform(0.2, 4) * self.bound)
        return self.random.choices(EVENTS(ends), weights=WEIGHTS)[0]

    def _again(self, mean: float, work: object, client: SimClient | None = None) -> None:
        def run() -> None:
            if not self.is_quiet and not (client and client.is_gone):
                work()  # type: ignore[operator]
                schedule()

        def schedule() -> None:
            (client.later if client else self.loop.after)(self.random.expovariate(1 / mean), run)

        schedule()

    def _write(self) -> None:
        self.write(self.random.choice(self.users), self.an_event())

    def _fault(self) -> None:
        if self.faults:
            kind = self.random.choices(list(self.faults), weights=list(self.faults.values()))[0]
            self.tried[kind] += 1
            faults.begin(self, kind)

    def _work(self, client: SimClient) -> None:
        random = self.random
        work = random.choices(list(self.profile.work), weights=list(self.profile.work.values()))[0]
        user_id, ask = random.choice(self.users), random.choice(ASKS)
        if work == "many":
            client.ask_many(random.sample(self.users, k=len(self.users)))
        elif work == "record":
            version = random.randint(0, 5) if random.random() < 0.2 else None
            client.record(user_id, self.an_event(), version)
        elif work == "load":
            client.load(user_id)
        elif work == "token" and self.tokens:
            user_id, token = random.choice(self.tokens[-5:])
            client.ask(user_id, ask, token)
        elif work == "guard":
            self.preempted(client)
        else:
            client.decide(user_id, ask)


def EVENTS(ends: object) -> list[Event]:  # noqa: N802
    """What users do."""
    return [
        e.Granted("marketing", "n", ["email"]), e.Granted("marketing", "n", ["email"], ends),  # type: ignore[arg-type]
        e.Granted("surveys", "n", (), ends), e.Withdrawn("marketing"), e.Withdrawn("surveys"),  # type: ignore[arg-type]
        e.Objected("marketing"), e.ObjectionLifted("marketing"), e.Restricted(), e.RestrictionLifted(),
        e.Published("avatar"), e.Hidden("avatar"), e.AccountClosed(), e.AccountOpened(),
    ]  # fmt: skip


WEIGHTS = [3, 3, 3, 3, 1, 1, 2, 1, 2, 2, 2, 0.5, 1]
