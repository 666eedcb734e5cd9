"""
Long polls: a thousand requests wait, while one watcher waits on the store for all of them.

The watcher only decides *when* to look. Each request looks up its own answer after it waited, so a watcher that is
late, hangs or fails makes an answer late (by no more than the request's own `wait`), never wrong.

Why `waited` is sound (protocol.md, rule 2). A client takes from a complete answer that no user changed, beyond those
named, up to an instant no earlier than its `sent_at + waited`. Let the request arrive at A (>= sent_at), and let its
last call of the store begin at C, both read from this machine's monotonic clock: A when the request is here, C before
the call is made. The store looked no earlier than C + its own `waited`. So `C - A + its waited` is never more than the
time from `sent_at` to the look. Reading A late or C early only makes it smaller; so does a suspend, which the monotonic
clock does not count; rates of clocks are what the client's factor 0.999 is for.

In a relay the store is another service. Its `waited` counts from the arrival there of an attempt sent at C or later, so
the sum holds by the same argument, hop by hop. The argument needs a client that refuses cached and replayed answers, as
`HttpStore` does. It is also why a request never shares a look that began before the request arrived: here, no request
joins a look after C was read. The same look makes a relay ask its upstream before it answers that a head is not in the
history (protocol.md, rule 6).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import attrs

from .._logging import log
from ..stores._retry import backoff
from ..stores.answers import Changes, Cursor
from .admission import Waiting
from .store_executor import StoreExecutor
from .stream import Stream
from .streams import Look, Place, Streams, shared_limit

WATCH_SECONDS = 5.0  # of one call of the watcher
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.05, 1.0  # of the watcher after a failed call


class ChangeFeed:
    """
    The requests for changes that wait. Use it on one event loop only.

    Args:
        store: The store to look at.

        clock: A monotonic clock, in seconds.

    Attributes:
        room: The polls that wait and the streams, of which there are not too many.

        held: How many requests wait for news.
    """

    def __init__(self, store: StoreExecutor, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[asyncio.Future[None], Cursor] = {}
        self._looks: dict[Place, asyncio.Task[Look]] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = False
        self._streams = Streams(self._look, clock)
        self.room = Waiting()
        self.held = 0

    @property
    def streams(self) -> int:
        """How many polls are being answered in parts."""
        return len(self._streams)

    @contextmanager
    def stream(
        self, name: Hashable, after: Cursor, *, wait: float, beat: float, limit: int, caller: Hashable = None
    ) -> Iterator[Stream]:
        """
        Open a stream of parts while the block runs.

        Args:
            name: Whose stream it is: one that is open under this name ends.

            after: The client's cursor.

            wait: After how many seconds the stream ends by itself.

            beat: How many seconds without news a part follows the one before.

            limit: How many entries each part goes on at most.

            caller: The one whose looks are made for this stream, unless it is at the newest head.
        """
        arrived = self._clock()
        stream = Stream(self._streams.add_taker, after, shared_limit(limit), beat, arrived, arrived + wait, caller)
        with self.room.counted(caller):
            self._streams.open(name, stream)
            self._start_watcher()
            try:
                yield stream
            finally:
                self._streams.close(name, stream)

    async def changes(
        self,
        after: Cursor,
        *,
        wait: float,
        limit: int,
        disconnected: asyncio.Future[None],
        caller: Hashable = None,
    ) -> Changes:
        """
        Look up the users changed since *after*, waiting up to *wait* seconds for news.

        Args:
            after: The client's cursor.

            wait: How long to wait for news, in seconds.

            limit: How many entries to go on at most.

            disconnected: Done once the client is gone, so nobody reads the answer.

            caller: The one that the looks are made for.

        Returns:
            The store's last answer; its `waited` counts from the arrival of the request.

        Raises:
            ConsentError: as the store raises it.
        """
        arrived = self._clock()
        while True:
            woken = asyncio.get_running_loop().create_future()
            self._waiting[woken] = after  # before the look, so that a later commit wakes this request
            try:
                looked_at, found = await self._look(after, limit, caller)
                found = attrs.evolve(found, waited=looked_at - arrived + found.waited)
                left = wait - found.waited
                if found.cursor != after or left <= 0 or self._stopping or disconnected.done():
                    return found
                self._start_watcher()
                with self.room.counted(caller):
                    self.held += 1
                    try:
                        await asyncio.wait((woken, disconnected), timeout=left, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        self.held -= 1
            finally:
                del self._waiting[woken]

    def wake(self, head: Cursor | None) -> None:
        """Make each waiting request look again, unless it waits for what comes after *head*; None: make all of them."""
        self._streams.wake(head)
        for woken, after in self._waiting.items():
            if after != head and not woken.done():
                woken.set_result(None)

    def stop(self) -> None:
        """Answer every request without waiting, and end all streams, from now on."""
        self._stopping = True
        self._streams.stop()
        self.wake(None)

    def close(self) -> None:
        """Stop, and end the watcher."""
        self.stop()
        if self._watcher is not None:
            self._watcher.cancel()

    async def _look(self, after: Cursor, limit: int, caller: Hashable) -> Look:
        """Call the store once for a caller's crowd that asks the same before the call begins."""
        key = (after, limit, caller)
        look = self._looks.get(key)
        if look is None:
            look = self._looks[key] = asyncio.create_task(self._start_look(key))
            look.add_done_callback(_mark_retrieved)
        return await asyncio.shield(look)

    async def _start_look(self, key: Place) -> Look:
        del self._looks[key]  # who comes from here on gets another look
        return self._clock(), await self._store.changes(*key)

    def _start_watcher(self) -> None:
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Wake the waiting requests whenever the head moved, as long as there are any."""
        head: Cursor | None = None
        failures = 0
        while (self._waiting or self._streams) and not self._stopping:
            try:
                known = head
                if known is None:
                    head = await self._store.head()
                else:
                    head = (await self._store.wait_for_changes(known, WATCH_SECONDS)).cursor
            except Exception as error:  # noqa: BLE001 - each waiting request meets it in its own look
                if not failures:
                    log.warning("service.watch_failed", error=type(error).__name__)
                await asyncio.sleep(backoff(failures, longest=MAX_PAUSE_SECONDS, least=MIN_PAUSE_SECONDS))
                failures += 1
            else:
                failures = 0
                if head != known:
                    self.wake(head)


def _mark_retrieved(task: asyncio.Task[Look]) -> None:
    """Retrieve an error, or asyncio would log it when all that asked are gone."""
    if not task.cancelled():
        task.exception()
