"""
Makes one call of the store for loads that arrive at the same time, so that a crowd of small loads costs a few calls.

A call holds the loads that had arrived before it began, and no other, since a load is evaluated after it arrived
(protocol.md). Each caller's loads are joined apart, so one caller's huge or failing load delays and repeats its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import attrs

from ..stores.answers import Loaded, Standings
from ..stores.message_fields import MAX_ANSWER_BYTES, MAX_USERS
from .lanes import settle

MAX_JOINED_USERS = 100  # of one load; a larger one goes alone, beside the joint calls
PATIENCE_SECONDS = 0.05  # after which the next call begins beside one that is slow

Found = TypeVar("Found")
T = TypeVar("T")


class Run(Protocol):
    """Makes a call of the store once it is the caller's turn, and converts what was found where that delays nobody."""

    def __call__(self, caller: Hashable, call: Callable[[], Any], convert: Callable[[Any], T], /) -> Awaitable[T]:
        """Give the converted answer."""


@attrs.frozen(eq=False)
class Member(Generic[Found]):
    """A load that waits for the next joint call."""

    user_ids: list[str] = attrs.field(repr=False)
    convert: Callable[[Found], Any]
    done: asyncio.Future[Any] = attrs.field(factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, outcome: Any) -> None:
        """Give the load its result or error, unless it was given up."""
        settle(self.done, outcome)


@attrs.define(eq=False)
class Line(Generic[Found]):
    """One caller's loads."""

    under_way: int = 0  # calls
    waiting: deque[Member[Found]] = attrs.field(factory=deque)
    is_next_queued: bool = False  # a call that will take those who wait, once it is its turn

    def take(self) -> list[Member[Found]]:
        """Take the loads that make one call. It may run in a thread while the event loop adds loads."""
        taken: list[Member[Found]] = []
        users = 0
        while self.waiting and users + len(self.waiting[0].user_ids) <= MAX_USERS:
            member = self.waiting.popleft()
            if not member.done.done():
                taken.append(member)
                users += len(member.user_ids)
        self.is_next_queued = False
        return taken


class JointLoads(Generic[Found]):
    """
    Loads of one kind. Use it on one event loop only.

    Args:
        run: Makes calls of the store.

        load: Calls the store for some users.

        cutter: Makes of what the store found a function that cuts it down to some of the users.
    """

    def __init__(
        self, run: Run, load: Callable[[list[str]], Any], cutter: Callable[[Found], Callable[[list[str]], Found]]
    ) -> None:
        self._run = run
        self.call = load
        self._cutter = cutter
        self._lines: dict[Hashable, Line[Found]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def load(self, caller: Hashable, user_ids: list[str], convert: Callable[[Found], T]) -> T:
        """
        Load some users for a caller: at once if none of its loads is under way, else by the next joint call.

        Args:
            caller: The one that the load is made for.

            user_ids: At most `MAX_JOINED_USERS` well-formed ids, each once.

            convert: Called with what was found; see `Run`.

        Raises:
            Exception: as the store or *convert* raises it.
        """
        line = self._lines.setdefault(caller, Line())
        if not line.under_way:
            line.under_way += 1
            try:
                return await self._run(caller, partial(self.call, user_ids), convert)
            finally:
                self._end_call(caller, line)
        member = Member(user_ids, convert)
        line.waiting.append(member)
        if len(line.waiting) == 1:
            self._begin_later(caller, line)
        result: T = await member.done
        return result

    def _end_call(self, caller: Hashable, line: Line[Found]) -> None:
        line.under_way -= 1
        self._begin_next(caller, line)
        if not line.under_way:
            self._lines.pop(caller, None)

    def _begin_later(self, caller: Hashable, line: Line[Found]) -> None:
        asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._begin_next, caller, line)

    def _begin_next(self, caller: Hashable, line: Line[Found]) -> None:
        """Queue a call for the loads that wait, unless one is queued."""
        if line.waiting and not line.is_next_queued:
            line.is_next_queued = True
            line.under_way += 1
            self._start(self._call(caller, line))
            self._begin_later(caller, line)

    async def _call(self, caller: Hashable, line: Line[Found]) -> None:
        """Make one call for the loads that wait when it begins."""
        members: list[Member[Found]] = []

        def load() -> Any:
            """Take the loads at the last moment, then call the store."""
            members.extend(line.take())
            return self.call(list(dict.fromkeys(user_id for member in members for user_id in member.user_ids)))

        def convert(found: Found) -> list[Any]:
            """Convert what was found for each load by itself, for as many as are not too large together."""
            cut, outcomes, size = self._cutter(found), list[Any](), 0
            for member in members:
                outcomes.append(outcome := _outcome(member, cut))
                size += len(outcome) if isinstance(outcome, bytes) else 0
                if size > MAX_ANSWER_BYTES:
                    break
            return outcomes

        try:
            outcomes = await self._run(caller, load, convert)
        except Exception as error:  # noqa: BLE001 - it is raised to those whose loads it ended
            self._repeat(caller, members or line.take(), error)
        else:
            for member, outcome in zip(members, outcomes, strict=False):
                member.settle(outcome)
            for member in members[len(outcomes) :]:
                self._start(self._call_alone(caller, member))
        finally:
            self._end_call(caller, line)

    def _repeat(self, caller: Hashable, members: list[Member[Found]], error: Exception) -> None:
        """Ask again for each load of a joint call that failed, by itself: one of them may be what failed."""
        if len(members) == 1:
            members[0].settle(error)
            return
        for member in members:
            self._start(self._call_alone(caller, member))

    async def _call_alone(self, caller: Hashable, member: Member[Found]) -> None:
        try:
            member.settle(await self._run(caller, partial(self.call, member.user_ids), member.convert))
        except Exception as error:  # noqa: BLE001 - it is raised to the one who loads
            member.settle(error)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # asyncio itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)


def _outcome(member: Member[Found], cut: Callable[[list[str]], Found]) -> Any:
    try:
        return member.convert(cut(member.user_ids))
    except Exception as error:  # noqa: BLE001 - it is raised to this load alone
        return error


def cutter_of_records(loaded: Loaded) -> Callable[[list[str]], Loaded]:
    """Make a function that cuts what was loaded down to the records of some users, in their order."""
    by_id = {record.user_id: record for record in loaded.records}
    return lambda user_ids: attrs.evolve(loaded, records=tuple(by_id[user_id] for user_id in user_ids))


def cutter_of_standings(found: Standings) -> Callable[[list[str]], Standings]:
    """Make a function that cuts standings down to the rows of some users, in their order."""
    by_id = {row.user_id: row for row in found.users}
    return lambda user_ids: attrs.evolve(found, users=tuple(by_id[user_id] for user_id in user_ids))
