"""Group commit for asyncio: a task writes for those that wait, so that who is cancelled ends no one else's write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import attrs

from .._retry import Failure
from .append_plans import AppendOutcome, PlannedAppend
from .group_commit import LATE, Group, count_fitting, error_of

Write = Callable[[Group], Awaitable[list[AppendOutcome]]]


@attrs.define(eq=False)
class _Member:
    """An append that waits in a task."""

    plan: PlannedAppend
    outcome: asyncio.Future[AppendOutcome]


class AsyncGroupCommit:
    """
    The appends of a store for asyncio. Use it on one event loop only.

    Args:
        seconds: How long the attempt at a group may take.

        turn_seconds: How long an append waits for its turn; then it is written alone, beside the group under way.
    """

    def __init__(self, seconds: float, turn_seconds: float) -> None:
        self._seconds = seconds
        self._turn_seconds = turn_seconds
        self._waiting: dict[_Member, None] = {}  # in order
        self._writer: asyncio.Task[None] | None = None

    async def append(self, plan: PlannedAppend, until: float, write: Write) -> AppendOutcome:
        """
        Write an append together with those that wait beside it.

        Args:
            plan: The append.

            until: When to give up waiting, on the monotonic clock.

            write: Writes a group, and returns the outcomes.

        Raises:
            Failure: the time is up.

            Exception: what the write raises.
        """
        member = _Member(plan, asyncio.get_running_loop().create_future())
        self._waiting[member] = None
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting(write))
        try:
            left = until - time.monotonic()
            await asyncio.wait([member.outcome], timeout=min(left, self._turn_seconds))
            if left > self._turn_seconds and self._take_out(member):
                return (await write(Group([plan], until)))[0]
            await asyncio.wait([member.outcome], timeout=max(0.0, until - time.monotonic()))
        finally:
            was_waiting = self._take_out(member)
        if member.outcome.done():
            return member.outcome.result()
        raise Failure(LATE, maybe_written=not was_waiting, is_late=True)

    def _take_out(self, member: _Member) -> bool:
        """Take an append out of the queue; False if its group has begun."""
        was_waiting = member in self._waiting
        self._waiting.pop(member, None)
        return was_waiting

    async def _write_waiting(self, write: Write) -> None:
        while self._waiting:
            members = list(self._waiting)
            members = members[: count_fitting(member.plan for member in members)]
            for member in members:
                del self._waiting[member]
            await self._write_group(members, write)

    async def _write_group(self, members: list[_Member], write: Write) -> None:
        group = Group([member.plan for member in members], time.monotonic() + self._seconds)
        try:
            outcomes = await write(group)
        except asyncio.CancelledError:  # the event loop ends
            _fail(members, Failure(LATE, maybe_written=group.may_be_written))
            raise
        except Exception as error:  # noqa: BLE001 - each member raises its own
            if not group.is_tried_again(error):
                _fail(members, error)
                return
            for member in members:
                await self._write_group([member], write)
            return
        for member, outcome in zip(members, outcomes, strict=True):
            if not member.outcome.done():
                member.outcome.set_result(outcome)


def _fail(members: list[_Member], error: Exception) -> None:
    for member in members:
        if not member.outcome.done():
            member.outcome.set_exception(error_of(error, member.plan))
            member.outcome.exception()  # seen, as nobody may wait for it any more
