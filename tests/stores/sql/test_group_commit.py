"""Group commit for threads: who writes for whom, what a failure means to each, and whom an interruption concerns."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import OutcomeUnknown, StoreError, StoreUnavailable, StoreUnusable
from diijam_consent_sdk.stores import Appended, Cursor
from diijam_consent_sdk.stores._call_queue import CallQueue
from diijam_consent_sdk.stores._retry import Failure
from diijam_consent_sdk.stores.sql.append_plans import AppendOutcome, PlannedAppend, plan_append
from diijam_consent_sdk.stores.sql.group_commit import Claim, Group, GroupCommit, Member, count_fitting

from ..contract import eventually

DONE = Appended(Cursor("e", 1, "00"), 1, is_repeat=False, record=None)


def planned(user_id: str, events: int = 1, key: str | None = None) -> PlannedAppend:
    """An append of so many events."""
    return plan_append(user_id, [e.Restricted()] * events, None, key, None)


@attrs.define(eq=False)
class Writers:
    """Threads that append. What they write waits until it is let go, one group after the other."""

    fails: Callable[[Group], BaseException | None] = lambda _: None
    groups: list[list[str]] = attrs.field(factory=list)
    turn_seconds: float = 20.0
    queue: CallQueue = attrs.field(factory=CallQueue)
    go_on: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0))
    threads: dict[str, int] = attrs.field(factory=dict)
    _commit: GroupCommit = attrs.field(init=False)
    _pool: ThreadPoolExecutor = attrs.field(factory=lambda: ThreadPoolExecutor(300))

    def __attrs_post_init__(self) -> None:
        self._commit = GroupCommit(self.queue, self.turn_seconds)

    def begin(self, plan: PlannedAppend, seconds: float = 30) -> Future[AppendOutcome]:
        """Append in a thread, and wait until it is in the queue."""
        waiting = len(self.queue.entries)

        def append() -> AppendOutcome:
            self.threads[plan.user_id] = threading.get_ident()
            return self._commit.append(plan, time.monotonic() + seconds, self._write)

        future = self._pool.submit(append)
        assert eventually(lambda: len(self.queue.entries) > waiting or future.done())
        return future

    def begin_all(self, *user_ids: str) -> list[Future[AppendOutcome]]:
        """Append for each, one after the other; the first is under way then."""
        first = self.begin(planned(user_ids[0]))
        assert eventually(lambda: bool(self.groups))
        return [first, *(self.begin(planned(user_id)) for user_id in user_ids[1:])]

    def _write(self, group: Group) -> list[AppendOutcome]:
        self.groups.append([plan.user_id for plan in group.plans])
        assert self.go_on.acquire(timeout=20)
        group.has_begun = True
        failure = self.fails(group)
        if failure is not None:
            raise failure
        return [DONE] * len(group.plans)

    def let_go(self) -> None:
        """Let all groups go on, from now on."""
        self.go_on.release(1_000)


def test_those_who_wait_are_written_together_in_order() -> None:
    """The first goes alone at once, and whoever came meanwhile is the next group, longest waiting first."""
    writers = Writers()
    futures = writers.begin_all("a", "b", "c", "d")
    assert not any(future.done() for future in futures)
    writers.let_go()
    assert [future.result(20) for future in futures] == [DONE] * 4
    assert writers.groups == [["a"], ["b", "c", "d"]]
    assert not writers.queue.entries


@pytest.mark.parametrize(
    ("sizes", "fitting"),
    [
        ([1], 1), ([1_000, 1], 1), ([1, 1_000], 1), ([999, 1, 1], 2), ([500, 500, 1], 2), ([1] * 256, 256),
        ([1] * 300, 256), ([], 0),
    ],
)  # fmt: skip
def test_a_group_is_limited(sizes: list[int], fitting: int) -> None:
    """It has at most 256 appends and 1,000 events."""
    assert count_fitting(planned("u", size) for size in sizes) == fitting


def test_a_write_of_another_kind_keeps_its_place() -> None:
    """Appends behind a registration, say, are not written before it."""
    writers = Writers()
    futures = writers.begin_all("a", "b")
    with ThreadPoolExecutor(1) as pool:
        had_turn: Future[list[list[str]]] = pool.submit(_take_turn, writers)
        assert eventually(lambda: len(writers.queue.entries) == 3)
        futures.append(writers.begin(planned("c")))
        writers.let_go()
        assert had_turn.result(20) == [["a"], ["b"]]
    assert [future.result(20) for future in futures] == [DONE] * 3
    assert writers.groups == [["a"], ["b"], ["c"]]


def _take_turn(writers: Writers) -> list[list[str]]:
    with writers.queue.take_turn(20):
        time.sleep(0.05)
        return list(writers.groups)


def test_a_definite_failure_is_tried_again_member_by_member() -> None:
    """Only the member that the store cannot write fails."""
    writers = Writers(lambda group: StoreUnusable("damaged") if "bad" in [p.user_id for p in group.plans] else None)
    futures = writers.begin_all("a", "b", "bad", "c")
    writers.let_go()
    assert [future.exception(20) is None for future in futures] == [True, True, False, True]
    assert isinstance(futures[2].exception(), StoreUnusable)
    assert writers.groups == [["a"], ["b", "bad", "c"], ["b"], ["bad"], ["c"]]


def test_a_lock_that_was_not_had_fails_all_at_once() -> None:
    """No member could have it later: the group is not tried again member by member."""

    def refuse(group: Group) -> StoreError | None:
        group.has_begun = False
        return StoreUnavailable("locked") if len(group.plans) > 1 else None

    writers = Writers(refuse)
    futures = writers.begin_all("a", "b", "c")
    writers.let_go()
    assert futures[0].result(20) == DONE
    errors = [future.exception(20) for future in futures[1:]]
    assert [str(error) for error in errors] == ["locked", "locked"]
    assert errors[0] is not errors[1]
    assert writers.groups == [["a"], ["b", "c"]]


def test_an_unknown_outcome_is_unknown_to_all() -> None:
    """None is tried again, and each error has its member's key."""
    writers = Writers(lambda group: OutcomeUnknown("disk", "") if len(group.plans) > 1 else None)
    first = writers.begin_all("a")[0]
    futures = [writers.begin(planned(user_id, key=f"k-{user_id}")) for user_id in "bc"]
    writers.let_go()
    assert first.result(20) == DONE
    errors = [future.exception(20) for future in futures]
    assert [error.idempotency_key for error in errors if isinstance(error, OutcomeUnknown)] == ["k-b", "k-c"]
    assert writers.groups == [["a"], ["b", "c"]]


@pytest.mark.parametrize("may_be_written", [False, True])
def test_an_interrupted_leader_takes_nobody_along(may_be_written: bool) -> None:
    """The others are written by the next in line, or it is unknown if the commit was under way."""

    def interrupt(group: Group) -> BaseException | None:
        if len(group.plans) > 1 and group.plans[0].user_id == "b":
            group.may_be_written = may_be_written
            return KeyboardInterrupt()
        return None

    writers = Writers(interrupt)
    futures = writers.begin_all("a", "b", "c", "d")
    writers.let_go()
    assert isinstance(futures[1].exception(20), KeyboardInterrupt)
    for future in futures[2:]:
        if may_be_written:
            error = future.exception(20)
            assert isinstance(error, Failure)
            assert error.maybe_written
        else:
            assert future.result(20) == DONE
    assert writers.groups[:2] == [["a"], ["b", "c", "d"]]
    later = [*chain.from_iterable(writers.groups[2:])]  # together, or one by one
    assert later == ([] if may_be_written else ["c", "d"])
    assert not writers.queue.entries


class Left(Exception):
    """What interrupts a thread that waits."""


def test_who_leaves_before_the_group_begins_is_taken_out() -> None:
    """An interrupted caller's append is not written."""
    writers = Writers()
    futures = writers.begin_all("a", "b", "c")
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(writers.threads["b"]), ctypes.py_object(Left))
    assert isinstance(futures[1].exception(20), Left)
    writers.let_go()
    assert [futures[0].result(20), futures[2].result(20)] == [DONE] * 2
    assert writers.groups == [["a"], ["c"]]


def test_the_time_may_pass_before_and_after_the_group_began() -> None:
    """Who waits in vain wrote nothing; who is in a group that began may have written."""
    writers = Writers()
    first = writers.begin_all("a")[0]
    late = writers.begin(planned("b"), seconds=0.1).exception(20)
    assert isinstance(late, Failure)
    assert (late.maybe_written, late.is_late) == (False, True)
    leader, member = writers.begin(planned("c")), writers.begin(planned("d"), seconds=1)
    writers.go_on.release()
    assert first.result(20) == DONE
    late = member.exception(20)
    assert isinstance(late, Failure)
    assert (late.maybe_written, late.is_late) == (True, True)
    writers.let_go()
    assert leader.result(20) == DONE
    assert writers.groups == [["a"], ["c", "d"]]


class Overtaken(float):
    """A deadline that passes just as a group takes the append."""

    queue: CallQueue
    taken: list[Claim]

    def __lt__(self, now: float) -> bool:
        leader, late = [ticket() for ticket, _ in self.queue.entries]
        assert isinstance(leader, Member)
        assert isinstance(late, Member)
        claim = Claim(leader)
        if late.is_won_by(claim):
            self.taken.append(claim)
        return True


def test_a_group_that_begins_at_the_deadline_may_have_written() -> None:
    """Who is late looks for a group once none can take the append any more, or it hears that nothing was written."""
    queue = CallQueue()
    until = Overtaken(0)
    until.queue, until.taken = queue, []
    with Member(queue, planned("a")), pytest.raises(Failure) as late:
        GroupCommit(queue, 20).append(planned("b"), until, lambda _: [])
    assert late.value.maybe_written == bool(until.taken)
    assert until.taken


def test_a_turn_that_does_not_come_is_not_waited_for() -> None:
    """The turn is fairness, no lock: beside a call that hangs an append is written alone."""
    writers = Writers(turn_seconds=0.1)
    futures = writers.begin_all("a", "b", "c")
    assert eventually(lambda: len(writers.groups) == 3)
    writers.let_go()
    assert [future.result(20) for future in futures] == [DONE] * 3
    assert sorted(writers.groups) == [["a"], ["b"], ["c"]]
