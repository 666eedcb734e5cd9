"""
Makes one call of the store for appends that wait, so that a crowd of writers costs few threads and few commits.

The store writes them in one transaction as if they had come one by one (`stores/sql/group_commit.py`). Callers take
turns within a call, so that one caller's crowd delays its own appends and no others.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, TypeVar

import attrs

from ..stores.answers import Appended
from ..stores.sql.append_plans import PlannedAppend, SettledAppend
from ..stores.sql.group_commit import GroupRoom
from ..stores.sql.repeats import Repeat
from .lanes import Lane, settle

MAX_JOINED_EVENTS = 100  # of one append; a larger one goes alone
PATIENCE_SECONDS = 0.05  # after which the next call begins beside one that is slow

T = TypeVar("T")


@attrs.define(eq=False)
class _Member:
    """An append that waits, what converts its answer, and where that is waited for."""

    plan: PlannedAppend
    convert: Callable[[Appended], Any]
    done: asyncio.Future[Any]

    def converted(self, outcome: SettledAppend) -> Any:
        """Convert the answer, in the thread that wrote; a repeat or an error is returned as it is."""
        if not isinstance(outcome, Appended):
            return outcome
        try:
            return self.convert(outcome)
        except Exception as error:  # noqa: BLE001 - it is raised to this append alone
            return error


class JointAppends:
    """
    Appends that are written together. Use it on one event loop only.

    Args:
        lane: Runs the calls.

        write: The store's `append_together`.
    """

    def __init__(self, lane: Lane, write: Callable[[list[PlannedAppend]], list[SettledAppend]]) -> None:
        self._lane = lane
        self._write = write
        self._waiting: OrderedDict[Hashable, deque[_Member]] = OrderedDict()  # by caller
        self._tasks: set[asyncio.Task[None]] = set()
        self._patience: asyncio.TimerHandle | None = None  # set while somebody waits

    def append(self, caller: Hashable, plan: PlannedAppend, convert: Callable[[Appended], T]) -> Awaitable[T | Repeat]:
        """
        Write an append together with those that wait: at once, if none is under way.

        Args:
            caller: The one that it is made for.

            plan: The append. It erases nobody.

            convert: Called with the answer, off the event loop.

        Returns:
            A future of the converted answer, or of a repeat, which is still to be answered.

        Raises:
            Exception: as the store or *convert* raises it.
        """
        member = _Member(plan, convert, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(caller, deque()).append(member)
        if self._tasks:
            self._begin_in_time()
        else:
            self._begin()
        return member.done

    def _begin(self) -> None:
        """Begin a call for those who wait."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if members := self._take():
            task = asyncio.get_running_loop().create_task(self._call(members))
            self._tasks.add(task)
            task.add_done_callback(self._finish)
        if self._waiting:
            self._begin_in_time()

    def _begin_in_time(self) -> None:
        """Begin the next call also if the one under way is slow. One timer is for all who wait."""
        if self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._begin)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._waiting:
            self._begin()

    def _take(self) -> list[_Member]:
        """Take the appends of the next call, one of each caller in turn; those that were given up are left out."""
        taken, room = list[_Member](), GroupRoom()
        while self._waiting:
            caller, line = next(iter(self._waiting.items()))
            is_given_up = line[0].done.done()
            if not is_given_up and not room.takes(line[0].plan):
                break
            member = line.popleft()
            if not is_given_up:
                taken.append(member)
            self._waiting.move_to_end(caller)
            if not line:
                del self._waiting[caller]
        return taken

    async def _call(self, members: list[_Member]) -> None:
        try:
            results = await self._lane.run(None, partial(self._written, members))
        except Exception as error:  # noqa: BLE001 - it is raised to all whose call it ended
            results = [error] * len(members)
        for member, result in zip(members, results, strict=True):
            settle(member.done, result)

    def _written(self, members: list[_Member]) -> list[Any]:
        outcomes = self._write([member.plan for member in members])
        return [member.converted(outcome) for member, outcome in zip(members, outcomes, strict=True)]
