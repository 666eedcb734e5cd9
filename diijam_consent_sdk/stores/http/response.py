"""Responses that are read as they come, each read within the call's deadline."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol

from .._retry import Attempts
from .exchange import Exchange
from .network import end_calls_of_this_thread_at

Translated = Callable[[], AbstractContextManager[None]]


class Received(Protocol):
    """What is needed of an HTTP client's response, as httpx has it."""

    status_code: int
    extensions: Any

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by names in any case."""

    def iter_raw(self) -> Iterator[bytes]:
        """Iterate over the body in a thread."""

    def aiter_raw(self) -> AsyncIterator[bytes]:
        """Iterate over the body in a task."""

    def close(self) -> None:
        """Close the response in a thread."""

    async def aclose(self) -> None:
        """Close the response in a task."""


class Response:
    """
    A response that is read as it comes. One thread reads it; any other may cut it.

    Args:
        response: What is read.

        exchange: What it answers.

        translated: Raises errors within its block as failures of the attempt.

    Raises (`read` and `read_all`): Failure, as `Transport.send` raises it.
    """

    def __init__(self, response: Received, exchange: Exchange, translated: Translated) -> None:
        self.status, self.headers = response.status_code, response.headers
        self._response, self._exchange, self._translated = response, exchange, translated
        self._chunks = response.iter_raw()

    def read(self, attempts: Attempts) -> bytes:
        """Read what comes next, within the time of *attempts*; empty at the end."""
        with self._translated():
            end_calls_of_this_thread_at(attempts.until)
            return next(self._chunks, b"")

    def read_all(self, attempts: Attempts) -> bytes:
        """Read to the end, and give the connection back."""
        received = bytearray()
        try:
            while chunk := self.read(attempts):
                self._exchange.receive(received, chunk)
        finally:
            self.close()
        return bytes(received)

    def cut(self) -> None:
        """End the connection under the thread that reads: closing a socket would not wake the thread."""
        connection = self._response.extensions["network_stream"].get_extra_info("socket")
        with suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # past TLS, whose own `shutdown` the reader would see

    def close(self) -> None:
        """Give the connection back, or close it if the end was not read."""
        self._response.close()


class AsyncResponse:
    """`Response` for tasks. A close wakes the task that reads."""

    def __init__(self, response: Received, exchange: Exchange, translated: Translated) -> None:
        self.status, self.headers = response.status_code, response.headers
        self._response, self._exchange, self._translated = response, exchange, translated
        self._chunks = response.aiter_raw()

    async def read(self, attempts: Attempts) -> bytes:
        """See `Response.read`."""
        with self._translated():
            async with asyncio.timeout(attempts.seconds_left()):
                return await anext(self._chunks, b"")

    async def read_all(self, attempts: Attempts) -> bytes:
        """See `Response.read_all`."""
        received = bytearray()
        try:
            while chunk := await self.read(attempts):
                self._exchange.receive(received, chunk)
        finally:
            await self.close()
        return bytes(received)

    async def close(self) -> None:
        """See `Response.close`."""
        await self._response.aclose()
