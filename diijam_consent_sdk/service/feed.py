"""
Long polls: a thousand requests wait, one watcher waits on the store for all of them.

The watcher only says *when* to look. What a request answers, it has looked up itself, after it waited, so a watcher
that is late, hangs or dies makes an answer late (by no more than the request's own `wait`), never wrong.

Why `waited` is sound (protocol.md, rule 2). A client takes from a complete answer that no user changed, beyond those
named, up to an instant no earlier than its `sent_at + waited`. Let the request arrive at A (>= sent_at), and let its
last call of the store begin at C, both read from this machine's monotonic clock: A when the request is here, C before
the call is made. The store looked no earlier than C + its own `waited`. So `C - A + its waited` is never more than the
time from `sent_at` to the look. Reading A late or C early only makes it smaller; so does a suspend, which the monotonic
clock does not count; rates of clocks are what the client's factor 0.999 is for.

In a relay the store is another service: its `waited` counts from the arrival there of an attempt sent at C or later, so
the sum holds by the same argument, hop by hop. It needs that the client of that service refuses cached and replayed
answers, as `HttpStore` does, and it is why a look that began before a request arrived is never shared with it: here, no
request joins a look after C was read. By the same look a relay has asked its upstream before it says that a head is not
in the history (protocol.md, rule 6).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import attrs

from .._logging import log
from ..stores.protocol import Changes, Cursor
from .store_executor import Calls

WATCH_SECONDS = 5.0  # of one call of the watcher
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.05, 1.0  # of the watcher after a failed call

Look = tuple[float, Changes]  # when the call began, on the monotonic clock, and what it gave


class Polls:
    """
    The requests for changes under way, on one event loop.

    Args:
        calls: The store.

        clock: A monotonic clock, in seconds.
    """

    def __init__(self, calls: Calls, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._calls = calls
        self._clock = clock
        self._waiting: dict[asyncio.Future[None], Cursor] = {}
        self._looks: dict[tuple[Cursor, int], asyncio.Task[Look]] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = False
        self.held = 0  # requests that wait for news

    async def changes(self, after: Cursor, *, wait: float, limit: int, gone: asyncio.Future[None]) -> Changes:
        """
        Who changed since *after*: at once, or when there is news, or after *wait* seconds.

        Args:
            after: Where the client stands.

            wait: How long to wait for news, in seconds.

            limit: How many entries to go on at most.

            gone: Done when the client is: nobody reads the answer then.

        Returns:
            What the store said last; `waited` counts from the arrival of the request.

        Raises:
            ConsentError: as the store raises it.
        """
        arrived = self._clock()
        while True:
            woken = asyncio.get_running_loop().create_future()
            self._waiting[woken] = after  # before the look: what is committed after it will wake this request
            try:
                looked_at, found = await self._look(after, limit)
                found = attrs.evolve(found, waited=looked_at - arrived + found.waited)
                left = wait - found.waited
                if found.cursor != after or left <= 0 or self._stopping or gone.done():
                    return found
                self._watch()
                self.held += 1
                try:
                    await asyncio.wait((woken, gone), timeout=left, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    self.held -= 1
            finally:
                del self._waiting[woken]

    def wake(self, head: Cursor) -> None:
        """Let those look again who wait for what comes after another entry than *head*."""
        for woken, after in self._waiting.items():
            if after != head and not woken.done():
                woken.set_result(None)

    def stop(self) -> None:
        """Have every request, now and from now on, answered without waiting."""
        self._stopping = True
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)

    def close(self) -> None:
        """Stop, and end the watcher."""
        self.stop()
        if self._watcher is not None:
            self._watcher.cancel()

    async def _look(self, after: Cursor, limit: int) -> Look:
        """One call of the store, shared by those who ask the same before it begins: a woken crowd costs one call."""
        key = (after, limit)
        look = self._looks.get(key)
        if look is None:
            look = self._looks[key] = asyncio.create_task(self._begin(key))
            look.add_done_callback(_retrieve)
        return await asyncio.shield(look)

    async def _begin(self, key: tuple[Cursor, int]) -> Look:
        del self._looks[key]
        return self._clock(), await self._calls.look(*key)

    def _watch(self) -> None:
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        """Wake those who wait whenever the head has moved, as long as there are any."""
        head: Cursor | None = None
        pause = 0.0
        while self._waiting and not self._stopping:
            try:
                known = head
                if known is None:
                    head = await self._calls.head()
                else:
                    head = (await self._calls.watch(known, WATCH_SECONDS)).cursor
            except Exception as error:  # noqa: BLE001 - those who wait will hear of it when they look themselves
                if not pause:
                    log.warning("service.watch_failed", error=type(error).__name__)
                pause = min(max(2 * pause, MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS)
                await asyncio.sleep(pause)
            else:
                pause = 0.0
                if head != known:
                    self.wake(head)


def _retrieve(task: asyncio.Task[Look]) -> None:
    """Have an error count as seen although those who asked may have gone."""
    if not task.cancelled():
        task.exception()
