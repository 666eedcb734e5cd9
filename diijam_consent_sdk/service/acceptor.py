"""
Accepts connections, many in one turn of the event loop, each known to the server from its first byte on.

uvloop accepts one connection in a turn. While turns are long, as with thousands of streams, a crowd of new connections
would keep all others waiting for seconds.

Over TLS a server of asyncio makes a connection known only once its handshake is over, and waits a minute for that.
Nobody could end or count those that never begin one, so they would take every file that the process may open.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Self

from .connections import QUESTION_SECONDS, State

ACCEPTS_AT_ONCE = 16  # in a turn of the event loop; with more, one worker would get most of a crowd
PAUSE_SECONDS = 1.0  # after the process had no file left to accept with


class AcceptedConnection:
    """
    A connection that is not served yet: over TLS until its handshake is over. The server ends it like a `Connection`.

    Args:
        accepted: The connection's socket.

        make: Makes the connection that takes its place.

        tls: The TLS context; without one the connection is plain.

        connections: Those of the server, which it is among meanwhile.
    """

    def __init__(
        self,
        accepted: socket.socket,
        make: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        connections: set[object],
    ) -> None:
        self.transport = self  # what the server aborts
        self._connections = connections
        connections.add(self)
        self._task = asyncio.get_running_loop().create_task(self._run(accepted, make, tls))

    async def _run(
        self, accepted: socket.socket, make: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None
    ) -> None:
        try:
            with suppress(OSError):  # it was no TLS, broke off or was late
                await asyncio.get_running_loop().connect_accepted_socket(
                    make, accepted, ssl=tls, ssl_handshake_timeout=QUESTION_SECONDS if tls else None
                )
        finally:
            self._connections.discard(self)

    def abort(self) -> None:
        """End it now; see `asyncio.WriteTransport.abort`."""
        self._task.cancel()

    def shutdown(self) -> None:
        """End it, since nothing was asked; called by the server when it stops."""
        self.abort()

    def state(self) -> State:
        """See `Connection.state`."""
        return State.ASKING

    def progress(self) -> Hashable:
        """See `Connection.progress`."""
        return None

    def is_stalled(self) -> bool:
        """See `Connection.is_stalled`."""
        return False


class Acceptor:
    """
    A listening socket, in place of asyncio's server. Use it on one event loop only.

    Args:
        at: The socket; the caller closes it.

        serve: Called with the socket of each connection.
    """

    def __init__(self, at: socket.socket, serve: Callable[[socket.socket], object]) -> None:
        self._at = at
        self._serve = serve
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None

    def start(self, backlog: int) -> Self:
        """Listen, with so many connections waiting to be accepted at most."""
        self._at.setblocking(False)  # noqa: FBT003 - a socket's
        self._at.listen(backlog)
        self._go_on()
        return self

    def close(self) -> None:
        """Accept no more connections."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._at)

    async def wait_closed(self) -> None:
        """Wait for nothing; see `asyncio.Server.wait_closed`."""

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._at, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                accepted, _address = self._at.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # another process was quicker
                return
            except OSError:  # no file is left just now
                self._loop.remove_reader(self._at)
                self._pause = self._loop.call_later(PAUSE_SECONDS, self._go_on)
                return
            accepted.setblocking(False)  # noqa: FBT003 - a socket's
            self._serve(accepted)
