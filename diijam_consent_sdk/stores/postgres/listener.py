"""
Listen for appends on one connection of a store, from when a long poll first waits.

Notifications only wake a poll, which then reads what changed. A lost one makes the poll late by at most one interval.
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
from .._retry import backoff
from .connection import PEER, SETUP_SECONDS, AsyncDeadlineConnection, DeadlineConnection, is_shared
from .schema import CHANNEL

POLL_SECONDS, DEAF_POLL_SECONDS = 1.0, 0.1  # between looks at the ledger, with a listening connection and without
SILENCE_SECONDS = 1.0  # after which the listening connection is checked
MAX_PAUSE_SECONDS = 1.0  # between two attempts to listen
LISTEN = f"LISTEN {CHANNEL}"
POOLED = "the URL leads through a connection pool, so changes are looked for ten times a second: set listen_url"


class Listener:
    """
    Listens in a daemon thread. Safe to use from several threads.

    Args:
        connect: Makes a connection to listen on.

        may_be_shared: Whether to check that no pool is in between.
    """

    def __init__(self, connect: Callable[[], DeadlineConnection], *, may_be_shared: bool = True) -> None:
        self._connect = connect
        self._may_be_shared = may_be_shared
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._next_append: Promise[None] = Promise()
        self._closed: Promise[None] = Promise()  # an interrupted `Event` could stay locked: see `Promise`
        self._is_listening = False

    def next_append(self) -> Promise[None]:
        """Return what will be done at the next append. Take it before reading, so that no append falls in between."""
        with self._lock:
            if self._thread is None and not self._closed.done():
                self._thread = threading.Thread(target=self._listen, name="diijam-consent-news", daemon=True)
                self._thread.start()
        return self._next_append

    def wait(self, append: Promise[None], seconds: float) -> None:
        """Wait for an append at most so many seconds, or less: until it is time to read all the same."""
        append.wait(min(seconds, POLL_SECONDS if self._is_listening else DEAF_POLL_SECONDS))

    def close(self) -> None:
        """Stop listening, and wake those who wait."""
        self._closed.set_result(None)
        self._wake()

    def _wake(self) -> None:
        append, self._next_append = self._next_append, Promise()
        append.set_result(None)

    def _listen(self) -> None:
        failed = 0
        while not self._closed.done():
            try:
                with self._connect() as connection:
                    connection.until = time.monotonic() + SETUP_SECONDS
                    if self._may_be_shared and is_shared(connection, connection.execute(PEER).fetchone()):
                        log.warning("store.no_news", advice=POOLED)
                        return
                    connection.execute(LISTEN)
                    self._is_listening, failed = True, 0
                    self._wake_on_appends(connection)
            except psycopg.Error as error:
                if self._is_listening and not self._closed.done():
                    log.warning("store.news_lost", error=type(error).__name__)
                self._is_listening = False
                self._closed.wait(backoff(failed, longest=MAX_PAUSE_SECONDS))
                failed += 1

    def _wake_on_appends(self, connection: DeadlineConnection) -> None:
        self._wake()  # for what was appended before this connection listened
        while not self._closed.done():
            connection.until = time.monotonic() + SILENCE_SECONDS + SETUP_SECONDS
            if list(connection.notifies(timeout=SILENCE_SECONDS, stop_after=1)):
                self._wake()
            else:
                connection.execute("SELECT 1")


class AsyncListener:
    """
    `Listener` for asyncio: listens in a task.

    Args:
        connect: Makes a connection to listen on.

        may_be_shared: See `Listener`.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[AsyncDeadlineConnection]], *, may_be_shared: bool = True
    ) -> None:
        self._connect = connect
        self._may_be_shared = may_be_shared
        self._task: asyncio.Task[None] | None = None
        self._next_append = asyncio.Event()
        self._is_closed = False
        self._is_listening = False

    def next_append(self) -> asyncio.Event:
        """See `Listener.next_append`."""
        if self._task is None and not self._is_closed:
            self._task = asyncio.get_running_loop().create_task(self._listen())
        return self._next_append

    async def wait(self, append: asyncio.Event, seconds: float) -> None:
        """See `Listener.wait`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, POLL_SECONDS if self._is_listening else DEAF_POLL_SECONDS)):
                await append.wait()

    async def close(self) -> None:
        """See `Listener.close`."""
        self._is_closed = True
        self._wake()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=1)

    def _wake(self) -> None:
        append, self._next_append = self._next_append, asyncio.Event()
        append.set()

    async def _listen(self) -> None:
        failed = 0
        while not self._is_closed:
            try:
                async with await self._connect() as connection:
                    connection.until = time.monotonic() + SETUP_SECONDS
                    if self._may_be_shared and is_shared(connection, await (await connection.execute(PEER)).fetchone()):
                        log.warning("store.no_news", advice=POOLED)
                        return
                    await connection.execute(LISTEN)
                    self._is_listening, failed = True, 0
                    await self._wake_on_appends(connection)
            except psycopg.Error as error:
                if self._is_listening and not self._is_closed:
                    log.warning("store.news_lost", error=type(error).__name__)
                self._is_listening = False
                await asyncio.sleep(backoff(failed, longest=MAX_PAUSE_SECONDS))
                failed += 1

    async def _wake_on_appends(self, connection: AsyncDeadlineConnection) -> None:
        self._wake()
        while not self._is_closed:
            connection.until = time.monotonic() + SILENCE_SECONDS + SETUP_SECONDS
            if [one async for one in connection.notifies(timeout=SILENCE_SECONDS, stop_after=1)]:
                self._wake()
            else:
                await connection.execute("SELECT 1")
