"""Group commit for asyncio: a group belongs to no task, so none that is cancelled or late ends another's write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import OutcomeUnknown, StoreUnusable
from diijam_consent_sdk.stores import Appended, Cursor
from diijam_consent_sdk.stores._retry import Failure
from diijam_consent_sdk.stores.sql.append_plans import AppendOutcome, plan_append
from diijam_consent_sdk.stores.sql.async_group_commit import AsyncGroupCommit
from diijam_consent_sdk.stores.sql.group_commit import Group

DONE = Appended(Cursor("e", 1, "00"), 1, is_repeat=False, record=None)


@attrs.define(eq=False)
class Writers:
    """Tasks that append. What they write waits until it is let go."""

    fails: Callable[[Group], Exception | None] = lambda _: None
    turn_seconds: float = 20.0
    groups: list[list[str]] = attrs.field(factory=list)
    go_on: asyncio.Event = attrs.field(factory=asyncio.Event)
    _commit: AsyncGroupCommit = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._commit = AsyncGroupCommit(20, self.turn_seconds)

    async def begin_all(self, *user_ids: str, seconds: float = 20) -> list[asyncio.Task[AppendOutcome]]:
        """Append for each; the first is under way then."""
        tasks = []
        for user_id in user_ids:
            plan = plan_append(user_id, [e.Restricted()], None, f"k-{user_id}", None)
            tasks.append(asyncio.create_task(self._commit.append(plan, time.monotonic() + seconds, self._write)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return tasks

    async def _write(self, group: Group) -> list[AppendOutcome]:
        self.groups.append([plan.user_id for plan in group.plans])
        await self.go_on.wait()
        group.has_begun = True
        failure = self.fails(group)
        if failure is not None:
            raise failure
        return [DONE] * len(group.plans)


def test_those_who_wait_are_written_together_in_order() -> None:
    """The first goes alone at once, and whoever came meanwhile is the next group, without those that left."""

    async def main() -> None:
        """Run in a loop."""
        writers = Writers()
        tasks = await writers.begin_all("a", "b", "c", "d")
        tasks[2].cancel()
        await asyncio.sleep(0)
        writers.go_on.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [outcome == DONE for outcome in outcomes] == [True, True, False, True]
        assert writers.groups == [["a"], ["b", "d"]]

    asyncio.run(main())


def test_a_cancelled_member_ends_no_group() -> None:
    """Whoever leaves after the group began leaves it to the others."""

    async def main() -> None:
        """Run in a loop."""
        writers = Writers()
        tasks = await writers.begin_all("a", "b")
        tasks[0].cancel()
        await asyncio.sleep(0)
        writers.go_on.set()
        assert await tasks[1] == DONE
        assert writers.groups == [["a"], ["b"]]

    asyncio.run(main())


@pytest.mark.parametrize("error", [StoreUnusable("damaged"), OutcomeUnknown("disk", "")], ids=["definite", "unknown"])
def test_what_a_failure_means_to_each(error: Exception) -> None:
    """A definite one is tried again member by member; an unknown one is unknown to all, each with its key."""

    async def main() -> None:
        """Run in a loop."""
        writers = Writers(lambda group: error if "bad" in [plan.user_id for plan in group.plans] else None)
        tasks = await writers.begin_all("a", "b", "bad", "c")
        writers.go_on.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(error, OutcomeUnknown):
            keys = [each.idempotency_key for each in outcomes if isinstance(each, OutcomeUnknown)]
            assert keys == ["k-b", "k-bad", "k-c"]
            assert writers.groups == [["a"], ["b", "bad", "c"]]
        else:
            assert [each == DONE for each in outcomes] == [True, True, False, True]
            assert writers.groups == [["a"], ["b", "bad", "c"], ["b"], ["bad"], ["c"]]

    asyncio.run(main())


def test_the_time_may_pass_before_and_after_the_group_began() -> None:
    """Who waits in vain wrote nothing; who is in a group that began may have written."""

    async def main() -> None:
        """Run in a loop."""
        writers = Writers()
        tasks = await writers.begin_all("a", "b", seconds=0.05)
        late = await asyncio.gather(*tasks, return_exceptions=True)
        assert [each.maybe_written for each in late if isinstance(each, Failure)] == [True, False]
        writers.go_on.set()
        assert await asyncio.gather(*await writers.begin_all("c")) == [DONE]
        assert writers.groups == [["a"], ["c"]]

    asyncio.run(main())


def test_a_turn_that_does_not_come_is_not_waited_for() -> None:
    """Beside a group that hangs an append is written alone."""

    async def main() -> None:
        """Run in a loop."""
        writers = Writers(turn_seconds=0.05)
        tasks = await writers.begin_all("a", "b", "c")
        await asyncio.sleep(0.2)
        assert writers.groups == [["a"], ["b"], ["c"]]
        writers.go_on.set()
        assert await asyncio.gather(*tasks) == [DONE] * 3

    asyncio.run(main())


def test_the_next_event_loop_finds_no_writer_of_the_last() -> None:
    """A loop that ended while a group was under way leaves nothing that the next one would wait for."""
    commit = AsyncGroupCommit(20, 20)

    async def hang(_: Group) -> list[AppendOutcome]:
        """Never end."""
        await asyncio.sleep(60)
        return []

    async def write(group: Group) -> list[AppendOutcome]:
        """Write all."""
        return [DONE] * len(group.plans)

    async def append(write: Callable[[Group], object]) -> AppendOutcome:
        """Append for a moment."""
        plan = plan_append("u", [e.Restricted()], None, None, None)
        return await commit.append(plan, time.monotonic() + 0.05, write)  # type: ignore[arg-type]

    with pytest.raises(Failure):
        asyncio.run(append(hang))
    assert asyncio.run(append(write)) == DONE
