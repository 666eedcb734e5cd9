"""
Whether something was appended: one connection of a store that listens, begun when somebody first waits for news.

News only wake: what happened is looked up. So news that get lost make an answer late, by no more than a poll.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psycopg

from ..._logging import log
from ..._threads import Promise
from .connection import PEER, SETUP_SECONDS, AsyncLine, Line, is_shared
from .schema import CHANNEL

POLL_SECONDS, DEAF_POLL_SECONDS = 1.0, 0.1  # between looks, while somebody listens and while nobody can
SILENCE_SECONDS = 1.0  # after which a listener asks whether its connection still lives
MAX_PAUSE_SECONDS = 1.0  # between two attempts to listen
LISTEN = f"LISTEN {CHANNEL}"
POOLED = "the URL leads through a connection pool, so changes are looked for ten times a second: set listen_url"


class News:
    """
    Listens in a daemon thread.

    Args:
        connect: Makes a connection to listen on.

        may_be_shared: Whether a pool may be in between, so that it has to be seen that none is.
    """

    def __init__(self, connect: Callable[[], Line], *, may_be_shared: bool = True) -> None:
        self._connect = connect
        self._may_be_shared = may_be_shared
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._next: Promise[None] = Promise()
        self._closed: Promise[None] = Promise()  # no Event: see there
        self._is_listening = False

    def next(self) -> Promise[None]:
        """What will be set at the next news. To be taken before looking: nothing falls in between."""
        with self._lock:
            if self._thread is None and not self._closed.done():
                self._thread = threading.Thread(target=self._listen, name="diijam-consent-news", daemon=True)
                self._thread.start()
        return self._next

    def wait(self, news: Promise[None], seconds: float) -> None:
        """Wait for news, for so many seconds, or until it is time to look all the same."""
        news.wait(min(seconds, POLL_SECONDS if self._is_listening else DEAF_POLL_SECONDS))

    def close(self) -> None:
        """Listen no more, and let those who wait look again."""
        self._closed.set_result(None)
        self._tell()

    def _tell(self) -> None:
        news, self._next = self._next, Promise()
        news.set_result(None)

    def _listen(self) -> None:
        pause = 0.05
        while not self._closed.done():
            try:
                with self._connect() as line:
                    line.until = time.monotonic() + SETUP_SECONDS
                    if self._may_be_shared and is_shared(line, line.execute(PEER).fetchone()):
                        log.warning("store.no_news", advice=POOLED)
                        return
                    line.execute(LISTEN)
                    self._is_listening, pause = True, 0.05
                    self._hear(line)
            except psycopg.Error as error:
                if self._is_listening and not self._closed.done():
                    log.warning("store.news_lost", error=type(error).__name__)
                self._is_listening = False
                self._closed.wait(pause)
                pause = min(2 * pause, MAX_PAUSE_SECONDS)

    def _hear(self, line: Line) -> None:
        self._tell()  # there may have been news while nobody listened
        while not self._closed.done():
            line.until = time.monotonic() + SILENCE_SECONDS + SETUP_SECONDS
            heard = list(line.notifies(timeout=SILENCE_SECONDS, stop_after=1))
            if heard:
                self._tell()
            else:
                line.execute("SELECT 1")


class AsyncNews:
    """
    `News` for asyncio: listens in a task.

    Args:
        connect: Makes a connection to listen on.

        may_be_shared: See `News`.
    """

    def __init__(self, connect: Callable[[], Awaitable[AsyncLine]], *, may_be_shared: bool = True) -> None:
        self._connect = connect
        self._may_be_shared = may_be_shared
        self._task: asyncio.Task[None] | None = None
        self._next = asyncio.Event()
        self._is_closed = False
        self._is_listening = False

    def next(self) -> asyncio.Event:
        """See `News.next`."""
        if self._task is None and not self._is_closed:
            self._task = asyncio.get_running_loop().create_task(self._listen())
        return self._next

    async def wait(self, news: asyncio.Event, seconds: float) -> None:
        """See `News.wait`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, POLL_SECONDS if self._is_listening else DEAF_POLL_SECONDS)):
                await news.wait()

    async def close(self) -> None:
        """See `News.close`."""
        self._is_closed = True
        self._tell()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=1)

    def _tell(self) -> None:
        news, self._next = self._next, asyncio.Event()
        news.set()

    async def _listen(self) -> None:
        pause = 0.05
        while not self._is_closed:
            try:
                async with await self._connect() as line:
                    line.until = time.monotonic() + SETUP_SECONDS
                    if self._may_be_shared and is_shared(line, await (await line.execute(PEER)).fetchone()):
                        log.warning("store.no_news", advice=POOLED)
                        return
                    await line.execute(LISTEN)
                    self._is_listening, pause = True, 0.05
                    await self._hear(line)
            except psycopg.Error as error:
                if self._is_listening and not self._is_closed:
                    log.warning("store.news_lost", error=type(error).__name__)
                self._is_listening = False
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE_SECONDS)

    async def _hear(self, line: AsyncLine) -> None:
        self._tell()
        while not self._is_closed:
            line.until = time.monotonic() + SILENCE_SECONDS + SETUP_SECONDS
            heard = [one async for one in line.notifies(timeout=SILENCE_SECONDS, stop_after=1)]
            if heard:
                self._tell()
            else:
                await line.execute("SELECT 1")
