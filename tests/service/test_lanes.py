"""Work in the threads of a lane, and what comes of it on the event loop."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest

from diijam_consent_sdk.service.lanes import Lane
from tests.service.conftest import on_a_loop

PATIENCE_SECONDS = 20.0


@pytest.fixture
def lane() -> Iterator[Lane]:
    """A lane of two places, of which one caller may have both."""
    lane = Lane("test", 2, 2)
    yield lane
    lane.close()


@on_a_loop
async def test_work_is_done_in_a_thread_and_its_result_handed_over(lane: Lane) -> None:
    """The result, or the error, is that of the work, which never runs on the event loop's thread."""
    assert await lane.run("a", threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await lane.run("a", lambda: 1 // 0)
    with pytest.raises(SystemExit):
        await lane.run("a", sys.exit)
    with pytest.raises(RuntimeError, match="StopIteration") as raised:
        await asyncio.wait_for(lane.run("a", lambda: next(iter(()))), PATIENCE_SECONDS)
    assert isinstance(raised.value.__cause__, StopIteration)
    assert lane.semaphore._free == 2
    assert await lane.run("a", lambda: 7) == 7


@on_a_loop
async def test_one_piece_of_work_after_the_other_takes_one_thread(lane: Lane) -> None:
    """A thread that is free takes the next work, so a lane that is seldom busy has one thread."""
    assert len({await lane.run("a", threading.get_ident) for _ in range(20)}) == 1


@on_a_loop
async def test_as_much_runs_at_once_as_there_are_places(lane: Lane) -> None:
    """Two pieces of work run at once, and a third begins when one of them ends."""
    meeting, held, begun = threading.Barrier(2), threading.Event(), list[int]()

    def meet() -> bool:
        """Wait for the other one, then to be let go."""
        begun.append(meeting.wait(PATIENCE_SECONDS))
        return held.wait(PATIENCE_SECONDS)

    both = [asyncio.create_task(lane.run("a", meet)) for _ in range(2)]
    third = asyncio.create_task(lane.run("a", held.is_set))
    while len(begun) < 2:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0)
    await asyncio.sleep(0.02)
    assert not third.done()
    held.set()
    assert await asyncio.wait_for(asyncio.gather(*both, third), PATIENCE_SECONDS) == [True] * 3


@on_a_loop
async def test_a_place_is_held_until_the_work_is_over(lane: Lane) -> None:
    """Work that nobody waits for any more keeps its place until its thread is free."""
    held, begun = threading.Event(), threading.Event()

    def hang() -> bool:
        """Begin, then wait to be let go."""
        begun.set()
        return held.wait(PATIENCE_SECONDS)

    given_up = asyncio.create_task(lane.run("a", hang))
    while not begun.is_set():  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert lane.semaphore._free == 1
    held.set()
    while lane.semaphore._free != 2:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0)


@on_a_loop
async def test_a_closed_lane_begins_nothing_and_ends_its_threads() -> None:
    """After `close` work is refused and holds no place, and a thread ends once its work is over."""
    lane = Lane("test", 2, 2)
    thread = await lane.run("a", threading.current_thread)
    lane.close()
    with pytest.raises(RuntimeError, match="closed"):
        await lane.run("a", threading.get_ident)
    assert lane.semaphore._free == 2
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


@on_a_loop
async def test_a_lane_that_is_forgotten_ends_its_threads() -> None:
    """Threads keep no lane, and end with it."""
    lane = Lane("test", 2, 2)
    thread = await lane.run("a", threading.current_thread)
    del lane
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


@on_a_loop
async def test_without_a_thread_work_is_refused(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, the error is the caller's, and the place is free again."""

    def refuse(_: threading.Thread) -> None:
        """Start no thread."""
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            await lane.run("a", threading.get_ident)
    assert lane.semaphore._free == 2
    assert await lane.run("a", lambda: 7) == 7
