"""The invariants of protocol.md, held against what the simulated processes do and say."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs

from diijam_consent_sdk._threads import Lost, Promise
from diijam_consent_sdk.cache import history, pending_writes
from diijam_consent_sdk.cache.in_flight import Poll
from diijam_consent_sdk.cache.user import UserConsent
from diijam_consent_sdk.client import batching, limiter, single_flight
from diijam_consent_sdk.client.effects import Append, StoreCall
from diijam_consent_sdk.decisions import Ask
from diijam_consent_sdk.errors import (
    ClientClosed,
    NotEntitled,
    StoreError,
    StoreUnavailable,
    StoreUnusable,
    VersionConflict,
)
from diijam_consent_sdk.events import takes_away
from diijam_consent_sdk.stores.protocol import Appended, Cursor
from tests.simulator.hooked import SimGeneration, SimLeases, SimUser, Source
from tests.simulator.ledger import Branch, SimChanges, SimStandings

if TYPE_CHECKING:
    from tests.simulator.client import SimClient
    from tests.simulator.world import World

EPSILON = 1e-6


@attrs.frozen
class Violation:
    """What went wrong, and where to look: the same seed gets to the same step."""

    invariant: str
    detail: str
    step: int
    now: float


@attrs.frozen
class Ack:
    """A write of this process that the store acknowledged."""

    cursor: Cursor
    branch: Branch

    def is_in(self, source: Source) -> bool:
        """Whether answers from there include the write, or are of a history that lost it since."""
        held = source.branch.holds(self.cursor.position, self.cursor.hash)
        return source.position >= self.cursor.position if held else source.branch.number > self.branch.number


@attrs.frozen
class Marks:
    """What was so when a guard began: it may say yes on what ended while it ran."""

    pending: frozenset[str]  # keys of writes of the user
    is_closed: bool
    is_anew: bool
    acks: tuple[Ack, ...]


class Checks:
    """Collects violations; raising here could be swallowed by the code under test."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.violations: list[Violation] = []
        self.allowed_answers = 0
        self.reached: Counter[str] = Counter()
        self._acks: dict[tuple[int, str], tuple[Ack, ...]] = {}
        self._acks_by_key: dict[str, Ack] = {}
        self._unknown: set[str] = set()
        self._ended: dict[str, float] = {}  # when a write's outcome became definite, by its key
        self._applied: dict[int, tuple[object, int]] = {}
        self._tops: dict[int, tuple[object, dict[str, int]]] = {}

    def fail(self, invariant: str, detail: str) -> None:
        """Note a violation."""
        self.violations.append(Violation(invariant, detail, self._world.loop.steps, self._world.loop.now))

    # Writes.

    def sent(self, client: SimClient, call: StoreCall[Any]) -> None:
        """A call leaves: from now on its user is denied."""
        if isinstance(call, Append):
            if call.idempotency_key in client.pending:  # what was sent before may have been written
                self._unknown.add(call.idempotency_key)
            client.pending[call.idempotency_key] = call.user_id

    def delivered(self, client: SimClient, call: StoreCall[Any], answer: object, branch: Branch | None) -> None:
        """An answer arrives: is the outcome of the write definite now?"""
        client.parts.answered(answer, client.monotonic())
        if not isinstance(call, Append):
            return
        key = call.idempotency_key
        if isinstance(answer, Appended) and answer.record is not None and answer.record.user_id == call.user_id:
            assert branch is not None
            of = client.number, call.user_id
            ack = self._acks_by_key[key] = Ack(answer.cursor, branch)
            self._acks[of] = (*self._acks.get(of, ())[-3:], ack)
            self._end(client, key)
        elif (
            isinstance(answer, (ValueError, TypeError, VersionConflict))
            or (isinstance(answer, (NotEntitled, StoreUnavailable, StoreUnusable)) and key not in self._unknown)
            or (isinstance(answer, NotEntitled) and not takes_away(call.events))
        ):
            self._end(client, key)
        else:
            self.reached["unknown outcome"] += 1
            self._unknown.add(key)

    def _end(self, client: SimClient, key: str) -> None:
        if client.pending.pop(key, None) is not None:
            self._ended[key] = self._world.loop.now

    def end_given_up(self, client: SimClient) -> None:
        """End the yeses that the client gave up for a later no, though a try may still arrive: they deny nobody."""
        for keys in client.engine._writes._in_doubt.values():
            for key in keys:
                self._end(client, key)

    def recorded(self, client: SimClient, user_id: str, key: str, done: Promise[Any]) -> None:
        """A `record` ended."""
        error = done.exception()
        if isinstance(error, Lost):  # its event loop ended
            return
        if error is None:
            self._world.tokens.append((user_id, done.result().token))
        elif not isinstance(
            error, (StoreError, ValueError, VersionConflict, ClientClosed, RuntimeError, ConnectionError)
        ):
            self.fail("raises", f"record raised {error!r}")

    # Guards.

    def before_guard(self, client: SimClient, user_id: str) -> Marks:
        """A guard begins."""
        self.end_given_up(client)
        pending = frozenset(key for key, of_user in client.pending.items() if of_user == user_id)
        acks = self._acks.get((client.number, user_id), ())
        return Marks(pending, client.has_closed, client.inherited is None, acks)

    def allowed(self, client: SimClient, user: UserConsent | None, ask: Ask, at: float, marks: Marks) -> None:
        """A guard said yes at this instant: I1, I4, I5, and rule 9."""
        self.allowed_answers += 1
        world, who = self._world, f"client {client.number} said yes to {ask}"
        if not isinstance(user, SimUser) or user.source is None:
            return self.fail("I5", f"{who} from no record")
        who += f" of {user.user_id}"
        if user.source.of_user != user.user_id:
            self.fail("I5", f"{who} from the record of {user.source.of_user}")
        if not world.ledger.committed.allows_within(user.user_id, ask, at - world.bound - world.ledger.longest_lag, at):
            self.fail("I1", f"{who} at {at}, position {user.position}")
        if not world.ledger.views.held_within(ask, at - world.bound - world.ledger.longest_lag, at):
            self.fail("V", f"{who} at {at}, which no token of the last B seconds was for")
        if marks.is_closed and marks.is_anew:
            self.fail("R9", f"{who} although it is closed")
        if user.is_inherited and marks.is_anew:
            self.fail("R9", f"{who} from what a forked child inherited")
        self.end_given_up(client)
        # A write that ended before the guard's last read denies no more, but what is read then must include it.
        if any(key in client.pending or self._ended[key] > at for key in marks.pending):
            self.fail("I4", f"{who} while a write of its own is under way or of unknown outcome")
        acks = [*marks.acks, *(self._acks_by_key[key] for key in marks.pending if key in self._acks_by_key)]
        if not all(ack.is_in(user.source) for ack in acks):
            self.fail("I4", f"{who} as of before a write of its own, position {user.position} of {acks}")
        return None

    def answered(
        self, client: SimClient, done: Promise[Any], asked: list[str], began: float, token: str | None, *, is_calm: bool
    ) -> None:
        """`user` or `users` ended: within the deadline, with whom was asked for, raising nothing (rules 8, 10, 11)."""
        if isinstance(done.exception(), Lost):  # its event loop ended
            return None
        if done.exception() is not None:
            return self.fail("raises", f"user raised {done.exception()!r}")
        took, allowed = client.monotonic() - began, client.parts.until(asked, began) - began
        if is_calm and took > allowed + self._world.slack:
            self.fail("R11", f"a miss of {len(asked)} users took {took} s of {allowed}")
        users = done.result() if isinstance(done.result(), list) else [done.result()]
        if [user.user_id for user in users] != asked:
            self.fail("I5", f"asked for {asked}, got {users}")
        if token is not None and isinstance(users[0], SimUser) and users[0].source is not None and users[0].is_live():
            cursor, branch = Cursor.parse(token), users[0].source.branch
            if branch.epoch != cursor.epoch or not branch.holds(cursor.position, cursor.hash):
                self.fail("R8", "at_least was of another history than the answer")
            elif users[0].position < cursor.position:
                self.fail("R8", "at_least was later than the answer")
        return None

    def part_ended(self, client: SimClient, user_ids: dict[str, None]) -> None:
        """A part of a load of these users ended."""
        if not client.parts.end(user_ids, client.monotonic()):
            self.fail("R11", "a part of a load ended although the store did not answer")

    @staticmethod
    def loaded(done: Promise[Any]) -> None:
        """A `load` ended; whatever the store said is its caller's."""
        done.exception()

    # Leases.

    def installed(self, leases: SimLeases, user: SimUser, loaded: SimStandings) -> None:
        """A standing was installed: I2 and I3."""
        generation, tops = self._tops.setdefault(id(leases), (leases._history.generation, {}))
        if generation is not leases._history.generation:
            self._tops[id(leases)] = leases._history.generation, (tops := {})
        if user.position < tops.get(user.user_id, 0):
            self.fail("I2", f"{user.user_id} went back from {tops[user.user_id]} to {user.position}")
        tops[user.user_id] = user.position
        if user._basis.own_until > max(user.longest, loaded.sent + leases.length) + EPSILON:
            self.fail("I3", f"a lease ends {user._basis.own_until - loaded.sent} after it was sent")
        user.longest = max(user.longest, loaded.sent + leases.length)

    @staticmethod
    def justify(poll: Poll, changes: SimChanges, length: float) -> None:
        """What this poll justifies."""
        generation = poll.generation
        assert isinstance(generation, SimGeneration)
        if changes.complete and changes.after == poll.after and (changes.user_ids or changes.cursor == poll.after):
            generation.justified = max(generation.justified, changes.sent + changes.waited + length)

    def renewed(self, leases: SimLeases) -> None:
        """A poll was applied: I3, and I2 of the feed's place."""
        generation = leases._history.generation
        position = leases.applied.position if leases.applied else 0
        before, highest = self._applied.get(id(leases), (generation, 0))
        if before is generation and position < highest:
            self.fail("I2", f"the feed went back from {highest} to {position}")
        self._applied[id(leases)] = generation, position
        assert isinstance(generation, SimGeneration)
        if generation.until > generation.justified + EPSILON:
            self.fail("I3", f"the feed renews {generation.until - generation.justified} s too far")

    def bounded(self, client: SimClient) -> None:
        """I7: every container of the client."""
        leases, engine, loads = client.leases, client.engine, client.engine._single_flight
        sizes = {
            "entries": (len(leases.users), leases.capacity),
            "fast path": (len(leases.fast_path), len(leases.users)),
            "turns": (len(leases.fast_path._ends), len(leases.fast_path)),
            "floors": (max(leases._minimums.sizes()), pending_writes.MAX_MINIMUMS),
            "confirming": (len(engine._exchanges._confirming), single_flight.MAX_IN_FLIGHT + limiter.MAX_CALLS + 1),
            "writes": (leases._writes.count(takes_away=False), pending_writes.MAX_WRITES),
            "noes": (leases._writes.count(takes_away=True), pending_writes.MAX_WITHDRAWALS),
            "proven": (len(leases._history._confirmed), history.MAX_CONFIRMED),
            "ahead": (len(leases._history._unconfirmed), history.MAX_UNCONFIRMED),
            "waiting": (sum(len(head.waiting) for head in leases._history._unconfirmed.values()), leases.capacity),
            "in flight": (len(loads._in_flight), single_flight.MAX_IN_FLIGHT),
            "queue": (len(loads._queue), single_flight.MAX_QUEUED),
            "loads": (len(loads._by_user), (single_flight.MAX_IN_FLIGHT + single_flight.MAX_QUEUED) * batching.BATCH),
            "fetches": (len(leases._fetches), single_flight.MAX_IN_FLIGHT + limiter.MAX_CALLS),
            "streams": (len(client.streams), 1),
            "calls": (len(engine._writes), pending_writes.MAX_WRITES + pending_writes.MAX_WITHDRAWALS),
        }
        for name, (size, most) in sizes.items():
            if size > most:
                self.fail("I7", f"{size} {name}, at most {most}")
