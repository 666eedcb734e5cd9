"""
Group commit: appends that wait for the one writer's turn are written together, in one transaction with one flush.

The call whose turn it is writes for all who wait, so a store needs no extra thread. If the transaction surely failed,
the members are written one by one, so that none fails for another's fault. If it may have been committed, the outcome
is unknown to all members.
"""

from __future__ import annotations

import copy
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import takewhile

import attrs

from ...errors import OutcomeUnknown
from .._call_queue import LOOK_EVERY_SECONDS, CallQueue, Ticket
from .._retry import Failure
from .append_plans import AppendOutcome, PlannedAppend
from .statements import CommitBatch, Steps, Transaction, UnlockedBatch

MAX_APPENDS = 256  # in one group
MAX_GROUP_EVENTS = 1_000  # a larger append goes alone
LATE = "the writer's turn did not come in time"
GONE = "the call that wrote for several was interrupted"


@attrs.define(eq=False)
class Group:
    """
    Appends that are written together, and how far that came.

    Attributes:
        plans: The appends.

        until: When the attempt has to end, on the monotonic clock.

        has_begun: Whether the lock of the one writer was had, so that a failure may be one member's own.

        may_be_written: Whether the commit may have been carried out.
    """

    plans: list[PlannedAppend]
    until: float
    has_begun: bool = False
    may_be_written: bool = False

    def run(self, transaction: Transaction[list[AppendOutcome]]) -> Steps[list[AppendOutcome]]:
        """Run the transaction that writes the group."""
        steps = transaction.start()
        batch = next(steps)
        try:
            while True:
                self.may_be_written |= isinstance(batch, CommitBatch)
                rows = yield batch
                self.has_begun |= not isinstance(batch, UnlockedBatch)
                batch = steps.send(rows)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def is_tried_again(self, error: Exception) -> bool:
        """Whether the members are to be written one by one, after *error*."""
        is_definite = not isinstance(error, OutcomeUnknown) and not (isinstance(error, Failure) and error.maybe_written)
        return is_definite and self.has_begun and len(self.plans) > 1


@attrs.define
class GroupRoom:
    """How many appends a group has, and how many events."""

    appends: int = 0
    events: int = 0

    def takes(self, plan: PlannedAppend) -> bool:
        """Add an append, and say whether the group still has room for it; it always has for the first."""
        self.appends += 1
        self.events += len(plan.events)
        return self.appends == 1 or (self.appends <= MAX_APPENDS and self.events <= MAX_GROUP_EVENTS)


def count_fitting(plans: Iterable[PlannedAppend]) -> int:
    """Count how many of the appends that wait, in order, make a group."""
    return sum(1 for _ in takewhile(GroupRoom().takes, plans))


def error_of(error: Exception, plan: PlannedAppend) -> Exception:
    """Make a member's own error of the one that ended its group: threads that raise one object change it."""
    if isinstance(error, OutcomeUnknown):
        own: Exception = OutcomeUnknown(str(error), plan.idempotency_key or "")
    else:
        own = error.copy() if isinstance(error, Failure) else copy.copy(error)
    own.__cause__ = error.__cause__
    return own.with_traceback(error.__traceback__)


class Member(Ticket):
    """
    An append that waits in a thread. Several groups may claim it; the first of `claims` writes it. A claim is over when
    the call of the group's leader ends.
    """

    __slots__ = ("claims", "is_alone", "plan")

    def __init__(self, queue: CallQueue, plan: PlannedAppend) -> None:
        self.plan = plan
        self.claims: list[Claim] = []
        self.is_alone = False
        super().__init__(queue)

    def claim(self) -> Claim | None:
        """Find the group that writes this append; None while it waits."""
        return next(iter(self.claims), None)

    def is_won_by(self, claim: Claim) -> bool:
        """Claim this append for a group; False if another has it, or if it is over."""
        self.claims.append(claim)
        if self.claim() is claim and not self.over.done():
            return True
        self.unclaim(claim)
        return False

    def unclaim(self, claim: Claim) -> None:
        """Take a claim back."""
        with suppress(ValueError):
            self.claims.remove(claim)


class Claim:
    """
    A group's claim to its members, for as long as the call of its leader runs. If that call is interrupted anywhere,
    the claim is over, and the members go on without it.
    """

    def __init__(self, leader: Member) -> None:
        self.over = leader.over
        self._leader = weakref.ref(leader)
        self.group: Group | None = None
        self.is_given_up = False

    def is_over(self) -> bool:
        """Whether the leader writes no more."""
        return self.is_given_up or self.over.done() or self._leader() is None

    def may_be_written(self) -> bool:
        """Whether the commit may have been carried out."""
        return not self.is_given_up and self.group is not None and self.group.may_be_written


class GroupCommit:
    """
    The appends of a store for threads. Safe to use from several threads, and after a fork.

    Args:
        queue: Where the writers of the store wait.

        turn_seconds: How long an append waits for its turn; then it is written alone, beside the one whose turn it is.
            (The turn is fairness, no lock.)
    """

    def __init__(self, queue: CallQueue, turn_seconds: float) -> None:
        self._queue = queue
        self._turn_seconds = turn_seconds

    def append(self, plan: PlannedAppend, until: float, write: Callable[[Group], list[AppendOutcome]]) -> AppendOutcome:
        """
        Write an append together with those that wait beside it.

        Args:
            plan: The append.

            until: When to give up waiting, on the monotonic clock.

            write: Writes a group, and returns the outcomes.

        Raises:
            Failure: the time is up, or the call that wrote for this one was interrupted.

            Exception: what the write raises.
        """
        with Member(self._queue, plan) as member:
            alone_from = time.monotonic() + self._turn_seconds
            while not member.over.done():
                if self._is_turn(member, alone_from, until):
                    self._lead(member, until, write)
            outcome: AppendOutcome = member.over.result()
            return outcome

    def _is_turn(self, member: Member, alone_from: float, until: float) -> bool:
        """Wait a little, or find that this call has to write; False also if its append has an outcome."""
        claim = member.claim()
        if claim is not None and claim.is_over():
            if member.over.done():
                return False
            if claim.may_be_written():
                raise Failure(GONE, maybe_written=True)
            member.unclaim(claim)
            return False
        now = time.monotonic()
        if now > until:
            late = Failure(LATE, maybe_written=False, is_late=True)
            member.over.set_exception(late)  # first: from here on no group takes it
            late.maybe_written = member.claim() is not None
            return False
        first = self._queue.first()
        if claim is None and (first is member.over or now > alone_from):
            member.is_alone |= first is not member.over
            return True
        waits_for = first if claim is None else claim.over
        if waits_for is not None:
            waits_for.wait(min(LOOK_EVERY_SECONDS, until - now))
        return False

    def _lead(self, member: Member, until: float, write: Callable[[Group], list[AppendOutcome]]) -> None:
        claim = Claim(member)
        members = [each for each in self._gather(member) if each.is_won_by(claim)]
        if member not in members:  # another call writes it, or it is over
            claim.is_given_up = True
            return
        claim.group = group = Group([each.plan for each in members], until)
        try:
            outcomes = write(group)
        except Exception as error:  # noqa: BLE001 - each member raises its own
            if group.is_tried_again(error):
                for each in members:
                    each.is_alone = True
                claim.is_given_up = True
                return
            for each in reversed(members):
                each.over.set_exception(error_of(error, each.plan))
            return
        for each, outcome in reversed(list(zip(members, outcomes, strict=True))):  # the leader last, who wakes them
            each.over.set_result(outcome)

    def _gather(self, leader: Member) -> Sequence[Member]:
        """Find the appends that wait since the leader came, up to another kind of write."""
        if leader.is_alone:
            return [leader]
        members = [leader]
        for ticket in self._queue.behind(leader):
            if not isinstance(ticket, Member):
                break
            if not ticket.is_alone:
                members.append(ticket)
        return members[: count_fitting(each.plan for each in members)]
