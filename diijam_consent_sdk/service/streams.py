"""
Polls that are answered in parts: a thousand streams, for which each change costs one look at the store, one encoding
and a small write to each.

A *wave* gives a part to all streams that are due: with news, or without any for their beat. Streams at one cursor share
the look and its encoding. Those not at the newest head share them with their caller's alone, or a crowd that stands at
many cursors would keep all others waiting. Waves are apart, so that news that comes in quick succession is merged, and
so that streams that began at different times get their parts together.

Why `waited` of a part is sound (protocol.md, "A poll in parts"): the clock is read before the store is asked, and a
stream takes part only in looks that begin after its request arrived. A relay's look is a poll of its upstream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable

from ..errors import StoreUnavailable
from ..stores.answers import Changes, Cursor
from ..stores.message_fields import MAX_CHANGES
from .parts import Part
from .stream import Stream

PACE_SECONDS = 0.05  # no stream gets two parts sooner
WAVE_SECONDS = PACE_SECONDS + 0.01  # from the end of a wave to the next, so that most sockets took their parts before
SLICE = 50  # parts handed out before other work of the event loop has its turn
PATIENCE_SECONDS = 0.25  # that a wave waits for its looks; a slow one then ends on its own
RETRY_SECONDS = 1.0  # after a look that failed

Place = tuple[Cursor, int, Hashable]  # what is asked: after, limit, and for which caller; None: for all
Look = tuple[float, Changes]  # when the call began, on the monotonic clock, and what it returned


def shared_limit(limit: int) -> int:
    """Lower a limit to one of eleven, so that a crowd of streams with different limits still shares its looks."""
    return limit if limit >= MAX_CHANGES else 1 << limit.bit_length() - 1


class Streams:
    """
    All streams of one service. Use it on one event loop only.

    Args:
        look: Looks at the store.

        clock: A monotonic clock, in seconds.
    """

    def __init__(self, look: Callable[[Cursor, int, Hashable], Awaitable[Look]], clock: Callable[[], float]) -> None:
        self._look = look
        self._clock = clock
        self._streams: dict[Hashable, Stream] = {}
        self._heads: set[Cursor | None] = set()  # that were found since the last wave
        self._head: Cursor | None = None  # that the last look led to
        self._groups: dict[Place, list[Stream]] = {}  # whose look has not begun
        self._looking: set[asyncio.Task[None]] = set()
        self._is_due = asyncio.Event()
        self._wakes_at = float("inf")
        self._waves: asyncio.Task[None] | None = None
        self._is_stopped = False

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, name: Hashable, stream: Stream) -> None:
        """Add a stream. One that has its name already ends, and so does any after a stop."""
        if (old := self._streams.get(name)) is not None:
            old.end()
        self._streams[name] = stream
        if self._is_stopped:
            stream.end()

    def close(self, name: Hashable, stream: Stream) -> None:
        """Remove a stream, unless another has its name by now."""
        stream.end()
        if self._streams.get(name) is stream:
            del self._streams[name]

    def add_taker(self, stream: Stream) -> None:
        """Give a stream its next part when there is one, the first at once."""
        if stream.is_new:
            self._join_look(stream)
            return
        stream.await_turn(self._clock() + PACE_SECONDS)
        self._start_waves()
        if stream.due_at() < self._wakes_at:
            self._is_due.set()

    def wake(self, head: Cursor | None) -> None:
        """Let each stream look again, unless it waits for what comes after *head*; None: let all of them."""
        if self._streams and len(self._heads) < 2:  # with two, each stream lacks one of them
            self._heads.add(head)
            self._is_due.set()

    def stop(self) -> None:
        """End all streams, and those to come after their first part."""
        self._is_stopped = True
        for stream in self._streams.values():
            stream.end()
        if self._waves is not None:
            self._waves.cancel()

    def _start_waves(self) -> None:
        if self._waves is None or self._waves.done():
            self._waves = asyncio.create_task(self._run_waves())

    async def _run_waves(self) -> None:
        """Give parts to those who are due, as long as there are streams."""
        while self._streams:
            self._is_due.clear()
            if due := self._find_due(self._clock()):
                for stream in due:
                    self._join_look(stream)
                await asyncio.wait(self._looking, timeout=PATIENCE_SECONDS)
                await asyncio.sleep(WAVE_SECONDS)
                continue
            self._wakes_at = min((stream.due_at() for stream in self._streams.values()), default=0.0)
            try:
                async with asyncio.timeout(max(self._wakes_at - self._clock(), 0)):
                    await self._is_due.wait()
            except TimeoutError:
                pass

    def _find_due(self, now: float) -> list[Stream]:
        """Find the streams that are due; end those whose time is over."""
        heads, self._heads = self._heads, set()
        due = []
        for stream in self._streams.values():
            stream.has_news |= any(head != stream.cursor for head in heads)
            if stream.due_at() <= now:
                if now >= stream.ends_at:
                    stream.end()
                else:
                    due.append(stream)
        return due

    def _join_look(self, stream: Stream) -> None:
        """Join the look of those who stand at the same cursor, unless it has begun; then there is another one."""
        place = (stream.cursor, stream.limit, None if stream.cursor == self._head else stream.caller)
        if place not in self._groups:
            self._groups[place] = []
            task = asyncio.create_task(self._look_for(place))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)
        stream.begin_look()
        self._groups[place].append(stream)

    async def _look_for(self, place: Place) -> None:
        """Look once for all who stand at a place, and hand them the part."""
        members = self._groups.pop(place)
        try:
            part = Part(*await self._look(*place))
        except Exception as error:  # noqa: BLE001 - it is each stream's own
            for stream in members:
                self._put_off(stream, error)
        else:
            if part.found.complete:
                self._head = part.found.cursor
            for number, stream in enumerate(members, 1):
                stream.give(part, self._clock())
                if number % SLICE == 0:
                    await asyncio.sleep(0)
        if any(stream.due_at() < self._wakes_at for stream in members):  # the waves did not wait for a slow look
            self._is_due.set()

    def _put_off(self, stream: Stream, error: Exception) -> None:
        """Let a stream wait for a store that is away, but not for its first part."""
        if stream.is_new or not isinstance(error, StoreUnavailable):
            stream.fail(error)
        else:
            stream.has_news = True
            stream.await_turn(self._clock() + RETRY_SECONDS)
