"""The real leases, generations and users, with hooks where a thread could be preempted and where a check must look."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any
from unittest import mock

import attrs

from diijam_consent_sdk.cache import memory
from diijam_consent_sdk.cache.compiled import Answers
from diijam_consent_sdk.cache.entries import UserCache
from diijam_consent_sdk.cache.fast_path import FastPath
from diijam_consent_sdk.cache.generation import Generation
from diijam_consent_sdk.cache.in_flight import Fetches, Poll
from diijam_consent_sdk.cache.installs import Arrival
from diijam_consent_sdk.cache.leases import Leases
from diijam_consent_sdk.cache.user import UserConsent
from diijam_consent_sdk.stores.protocol import Changes, StandingRow
from tests.simulator.ledger import Branch, SimChanges, SimStandings

if TYPE_CHECKING:
    from tests.simulator.client import SimClient


class LeaseClock:
    """A client's lease clock: its own start, nearly the true rate, going on while the client is suspended."""

    def __init__(self, client: SimClient, offset: float, rate: float) -> None:
        self.client = client
        self.offset = offset
        self.rate = rate

    def show(self) -> float:
        """What it shows, read by nobody."""
        return self.offset + self.rate * self.client.loop.now

    def __call__(self) -> float:
        """Read it; the reader may be preempted before, and after."""
        self.client.preempt()
        shown, read_at = self.show(), self.client.loop.now
        self.client.preempt()
        self.client.read_at = read_at
        return shown

    def read(self) -> None:
        """Other memory is read; the reader may be preempted before."""
        self.client.preempt()
        self.client.read_at = self.client.loop.now


@attrs.frozen
class Source:
    """What a user's answers were made from."""

    branch: Branch
    position: int
    of_user: str


class SimGeneration(Generation):
    """A generation whose reader may be preempted, and whose writer may be overtaken by readers."""

    until = justified = -inf

    @property
    def fresh_until(self) -> float:
        """Until when the feed keeps everybody fresh."""
        _read(self)
        return self.until

    @fresh_until.setter
    def fresh_until(self, value: float) -> None:
        self.until = value
        if isinstance(self.clock, LeaseClock):
            self.clock.client.wrote()


class SimUser(UserConsent, gc=True, dict=True):  # a simulated clock knows its client, and so its users
    """A user whose reader may be preempted between two reads."""

    source: Source | None = None
    is_inherited: bool = False
    longest: float = -inf

    @property
    def kept(self) -> Answers:
        """Its answers, not preempted."""
        answers: Answers = KEPT.__get__(self)
        return answers

    def compiled(self) -> tuple[Answers, float]:
        """See `UserConsent.compiled`: read under the lock."""
        return self.kept, self._ends_at


KEPT: Any = UserConsent._answers


def _answers(user: SimUser) -> Answers:
    _read(user._generation)
    return user.kept


# After the class: a Struct would have no field of that name.
SimUser._answers = property(_answers, KEPT.__set__)  # type: ignore[assignment]


def _read(generation: Generation) -> None:
    if isinstance(generation.clock, LeaseClock):
        generation.clock.read()


class SimFastAnswers(dict[str, Answers]):
    """The answers on a `SimFastPath`."""

    def __init__(self, fast_path: SimFastPath) -> None:
        super().__init__()
        self._fast_path = fast_path

    def get(self, user_id: str) -> Answers | None:  # type: ignore[override]
        """What a reader finds, which may be preempted before."""
        self._fast_path.clock.read()
        self._fast_path.found = self._fast_path.users.get(user_id)
        return super().get(user_id)


class SimFastPath(FastPath):
    """A fast path whose reader may be preempted, and whose writer may be overtaken by readers."""

    until = -inf

    def __init__(self, clock: LeaseClock) -> None:
        self.clock = clock
        self.users: dict[str, SimUser] = {}
        self.found: SimUser | None = None  # by the last reader
        super().__init__()
        self.answers = SimFastAnswers(self)

    @property
    def fresh_until(self) -> float:
        """Until when the feed keeps everybody fresh."""
        self.clock.read()
        return self.until

    @fresh_until.setter
    def fresh_until(self, value: float) -> None:
        self.until = value
        self.clock.client.wrote()

    def add(self, user: UserConsent) -> None:
        """See `FastPath.add`."""
        assert isinstance(user, SimUser)
        self.users[user.user_id] = user
        super().add(user)
        self.clock.client.wrote()

    def remove(self, user_id: str) -> bool:
        """See `FastPath.remove`."""
        was_here = super().remove(user_id)
        self.clock.client.wrote()
        return was_here


class SimUserCache(UserCache):
    """The users in memory, whose writer may be overtaken by readers."""

    def __init__(self, capacity: int, fast_path: SimFastPath, fetches: Fetches) -> None:
        super().__init__(capacity, fast_path, fetches)
        self._client = fast_path.clock.client

    def __delitem__(self, user_id: str) -> None:
        super().__delitem__(user_id)
        self._client.wrote()


class SimLeases(Leases):
    """Leases that show the checks what is installed and renewed, and let readers in between their writes."""

    client: SimClient
    fast_path: SimFastPath

    def __init__(self, **options: Any) -> None:
        self.client = options["clock"].client
        with mock.patch.object(memory, "FastPath", partial(SimFastPath, options["clock"])):
            super().__init__(**options)

    def _own_answers(self, user_id: str) -> Answers | None:
        user = self.users.get(user_id)
        assert user is None or isinstance(user, SimUser)
        self.fast_path.found = user
        return super()._own_answers(user_id)

    def _install(self, arrival: Arrival, user_id: str, row: StandingRow, user: UserConsent | None) -> UserConsent:
        user = super()._install(arrival, user_id, row, user)
        answer = arrival.answer
        assert isinstance(answer, SimStandings)
        assert isinstance(user, SimUser)
        user.source = Source(answer.branch, answer.cursor.position, row.user_id)
        self.client.checks.installed(self, user, answer)
        self.client.wrote()
        return user

    def finish_poll(self, poll: Poll, changes: Changes, now: float) -> bool:
        """See `Leases.finish_poll`."""
        assert isinstance(changes, SimChanges)
        self.client.checks.justify(poll, changes, self.length)
        has_counted = super().finish_poll(poll, changes, now)
        self.client.checks.renewed(self)
        return has_counted

    def close(self) -> None:
        """See `Leases.close`."""
        super().close()
        self.client.has_closed = True

    def _change(self, user_id: str, position: int) -> None:
        self.client.wrote()
        super()._change(user_id, position)
        self.client.wrote()


def inherit(parent: Leases, client: SimClient, clock: LeaseClock) -> SimLeases:
    """A fork's copy of its parent's memory, as it lay when it was forked."""
    copy = SimLeases(max_staleness=client.bound, capacity=parent.capacity, clock=clock, follow=True)
    copy.applied, copy.closed = parent.applied, parent.closed
    copy._history.latest_head = parent._history.latest_head
    generations: dict[int, SimGeneration] = {}
    users: dict[str, UserConsent] = {}
    for user_id, user in parent.users.items():
        users[user_id] = inherit_user(user, clock, generations)
    copy.users.update(users)
    copy._history.generation = inherit_generation(parent._history.generation, clock, generations)
    assert isinstance(parent.fast_path, SimFastPath)
    for user_id in parent.fast_path.answers:  # also one that should not be there any more: that is for the checks
        known = users.get(user_id)
        copy.fast_path.add(
            known if known is not None else inherit_user(parent.fast_path.users[user_id], clock, generations)
        )
    copy.fast_path.until = parent.fast_path.until
    return copy


def inherit_generation(old: Generation, clock: LeaseClock, known: dict[int, SimGeneration]) -> SimGeneration:
    """A fork's copy of what its users share."""
    assert isinstance(old, SimGeneration)
    if id(old) not in known:
        copy = known[id(old)] = SimGeneration(clock, old.counters)
        copy.until, copy.justified = old.until, old.justified
    return known[id(old)]


def inherit_user(user: UserConsent, clock: LeaseClock, generations: dict[int, SimGeneration]) -> SimUser:
    """A fork's copy of one user."""
    assert isinstance(user, SimUser)
    copy = SimUser(
        user_id=user.user_id, version=user.version, _answers=user.kept, _basis=user._basis, _ends_at=user._ends_at,
        _generation=inherit_generation(user._generation, clock, generations),
    )  # fmt: skip
    copy.source, copy.is_inherited = user.source, True
    return copy
