"""The HTTP clients of one store: one for each process and each event loop, because none can be shared between them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from ...errors import StoreUnavailable
from .._fork_safety import leak


class AsyncClosable(Protocol):
    """A client whose connections belong to an event loop."""

    async def aclose(self) -> None:
        """Close the connections."""


C = TypeVar("C")
A = TypeVar("A", bound=AsyncClosable)


class Clients(Generic[C]):
    """
    A client for each owner, made when it is first needed. Safe to use from several threads, and after a fork.

    Args:
        make: Makes a client.
    """

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._is_closed = False
        self._reset()

    def _reset(self) -> None:
        self._pid, self._lock = os.getpid(), threading.Lock()
        self._clients: WeakKeyDictionary[object, C] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._clients)

    def of(self, owner: object) -> C:
        """
        Return the client of *owner* in this process.

        Raises:
            StoreUnavailable: the store is closed, or no client can be made.
        """
        if self._is_closed:
            raise StoreUnavailable("the store is closed: make a new one")
        if self._pid != os.getpid():
            leak(*self._clients.values())
            self._reset()
        with self._lock:
            if owner not in self._clients:
                try:
                    self._clients[owner] = self._make()
                except Exception as error:  # noqa: BLE001 - it quotes the proxy's URL, which may hold a password
                    why = "no HTTP client can be made: look at the proxy variables of the environment (HTTPS_PROXY, …)"
                    raise StoreUnavailable(f"{why} ({type(error).__name__})") from None
            return self._clients[owner]

    def take(self, owner: object) -> C | None:
        """Remove and return the client of *owner*, to be closed; None if this process made none."""
        with self._lock:
            return self._clients.pop(owner, None) if self._pid == os.getpid() else None

    def make_no_more(self) -> None:
        """Have `of` raise from now on."""
        self._is_closed = True


class LoopClients(Clients[A]):
    """A client for each event loop, which is closed when its loop shuts its asynchronous generators down."""

    def __init__(self, make: Callable[[], A]) -> None:
        super().__init__(make)
        self._closers: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}

    async def of_running_loop(self) -> A:
        """Return the running loop's client; raises as `of` does."""
        loop = asyncio.get_running_loop()
        client = self.of(loop)
        if loop not in self._closers:
            for other in [other for other in list(self._closers) if other.is_closed()]:
                self._closers.pop(other, None)
                self.take(other)  # the client refers to its loop, so the weak key would never go
            closer = self._closers[loop] = self._closer(loop)
            await anext(closer)  # only a generator that has begun is closed with its loop
        return client

    async def _closer(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._closers.pop(loop, None)
            await self._close_client_of(loop)

    async def close_running_loop(self) -> None:
        """Close the running loop's client."""
        await self._close_client_of(asyncio.get_running_loop())

    async def _close_client_of(self, loop: asyncio.AbstractEventLoop) -> None:
        client = self.take(loop)
        if client is not None:
            await client.aclose()
