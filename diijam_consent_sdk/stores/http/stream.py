"""
The change feed of a consent service as a stream of parts, for threads and for tasks.

A stream is sent when its first part is asked for, ends within its time limits however slowly bytes come, and is never
repeated: the client goes on by single polls instead.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import suppress
from functools import partial

from .._retry import Attempts
from ..answers import Changes
from .parts import Parts
from .response import AsyncResponse, Response
from .transport import AsyncTransport, Transport


class HttpChangesStream:
    """See `ChangesStream`. One thread iterates; any thread may close it at any time, also while that one waits."""

    def __init__(self, transport: Transport, parts: Parts) -> None:
        self._transport = transport
        self._parts = parts
        self._response: Response | None = None
        self._is_over = False
        self._reading = threading.Lock()
        self._pid = os.getpid()

    def __iter__(self) -> HttpChangesStream:
        return self

    def __next__(self) -> Changes:
        attempts = Attempts(self._parts.seconds(time.monotonic()), is_repeatable=False)
        part = attempts.run(partial(self._next, attempts))
        if part is None:
            raise StopIteration
        return part

    def close(self) -> None:
        """See `ChangesStream.close`."""
        self._is_over = True
        response = self._response
        if response is None or self._pid != os.getpid():  # a forked child would cut its parent's connection
            return
        response.cut()
        if self._reading.acquire(blocking=False):  # else the thread that reads closes the response
            try:
                response.close()
            finally:
                self._reading.release()

    def _next(self, attempts: Attempts) -> Changes | None:
        with self._reading:
            try:
                part = None if self._is_over or self._pid != os.getpid() else self._read(attempts)
            except BaseException as error:
                was_closed, self._is_over = self._is_over, True
                if not (was_closed and isinstance(error, Exception)):
                    raise
                return None
            finally:
                if self._is_over and self._response is not None and self._pid == os.getpid():
                    self._response.close()
            return part

    def _read(self, attempts: Attempts) -> Changes | None:
        response = self._response
        if response is None:
            response = self._response = self._transport.open(self._parts.exchange, self._parts.body, attempts)
            refusal = b"" if response.status == 200 else response.read_all(attempts)
            self._parts.begin(response.status, response.headers, refusal)
        while not self._is_over:  # it may have been closed while the response was opened
            if (part := self._parts.take()) is not None:
                return part
            self._is_over = not self._parts.receive(response.read(attempts))
        return None


class AsyncHttpChangesStream:
    """See `AsyncChangesStream`. One task iterates; any task may close it at any time, also while that one waits."""

    def __init__(self, transport: AsyncTransport, parts: Parts) -> None:
        self._transport = transport
        self._parts = parts
        self._response: AsyncResponse | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_over = False

    def __aiter__(self) -> AsyncHttpChangesStream:
        return self

    async def __anext__(self) -> Changes:
        attempts = Attempts(self._parts.seconds(time.monotonic()), is_repeatable=False)
        part = await attempts.run_async(partial(self._next, attempts))
        if part is None:
            raise StopAsyncIteration
        return part

    async def aclose(self) -> None:
        """End the stream. A task that waits for a part is woken, and finds the end."""
        self._is_over = True
        if self._response is not None:
            await self._response.close()

    def close(self) -> None:
        """See `AsyncChangesStream.close`."""
        self._is_over = True
        if self._response is not None and self._loop is not None:
            loop, response = self._loop, self._response
            with suppress(RuntimeError):  # the loop was closed, and its connections with it
                loop.call_soon_threadsafe(lambda: loop.create_task(response.close()))

    async def _next(self, attempts: Attempts) -> Changes | None:
        try:
            part = None if self._is_over else await self._read(attempts)
        except BaseException as error:
            was_closed, self._is_over = self._is_over, True
            if not (was_closed and isinstance(error, Exception)):
                raise
            return None
        finally:
            if self._is_over and self._response is not None:
                response, self._response = self._response, None
                await response.close()
        return part

    async def _read(self, attempts: Attempts) -> Changes | None:
        response = self._response
        if response is None:
            self._loop = asyncio.get_running_loop()
            response = await self._transport.open(self._parts.exchange, self._parts.body, attempts)
            self._response = response
            refusal = b"" if response.status == 200 else await response.read_all(attempts)
            self._parts.begin(response.status, response.headers, refusal)
        while not self._is_over:
            if (part := self._parts.take()) is not None:
                return part
            self._is_over = not self._parts.receive(await response.read(attempts))
        return None
