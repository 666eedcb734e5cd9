"""The server process: a socket, uvicorn on it, and a shutdown that answers what was asked."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import resource
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import cast

import uvicorn
from litestar import Litestar

from .acceptor import AcceptedConnection, Acceptor
from .connections import MAX_CONNECTIONS, Connection, State, Sweeper
from .context import ServiceContext

GRACE_SECONDS = 5  # for answers under way at shutdown
ASKING_SECONDS = 4.0  # of the grace, for questions to come whole: uvicorn logs a traceback of those that it cancels
FAREWELL_SECONDS = 1.0  # of the grace, for a client to answer the end of TLS, which an idle one does not
KEEP_ALIVE_SECONDS = 75  # longer than clients keep idle connections, so that a client closes them
SWEEP_TICKS = 10  # of uvicorn, between two looks at all connections
BACKLOG = 2048
GC_THRESHOLD = 50_000  # new objects between two collections; a load of 1,000 users makes about 10,000


class Server(uvicorn.Server):
    """
    uvicorn for the application. It ends long polls before it waits for open requests, and does not raise a signal
    again that it obeyed.

    Args:
        app: The application that `create_app` made.

        on_listening: Called once connections are accepted.

        tls: The TLS context of the connections; without one they are plain.

        is_stopped: Asked ten times a second whether to end, beside the signals.
    """

    def __init__(
        self,
        app: Litestar,
        on_listening: Callable[[], None] = lambda: None,
        tls: ssl.SSLContext | None = None,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=protocol(),
            log_config=None,
            log_level=logging.ERROR,  # its warnings are about what clients send
            access_log=False,  # the application writes its own lines, without ids
            lifespan="on",
            ws="none",
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)
        self._context: ServiceContext = app.state.context
        self._on_listening = on_listening
        self._is_stopped = is_stopped
        self._sweeper = Sweeper(min(MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
        self._context.feed.room.connections = self._sweeper.most
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then call `on_listening`."""
        await super().startup([])
        acceptors = [Acceptor(at, self._serve_accepted).start(BACKLOG) for at in sockets or ()]
        self.servers = cast(list[asyncio.base_events.Server], acceptors)
        self._on_listening()

    def _serve_accepted(self, accepted: socket.socket) -> AcceptedConnection:
        make = functools.partial(
            cast(Callable[..., asyncio.Protocol], self.config.http_protocol_class),
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state,
        )  # fmt: skip
        return AcceptedConnection(accepted, make, self._tls, cast(set[object], self.server_state.connections))

    async def on_tick(self, counter: int) -> bool:
        """Do what is due, such as ending connections that are late; uvicorn calls this ten times a second."""
        self._context.follow_board()
        self._context.access_log.flush()
        self.should_exit = self.should_exit or self._is_stopped()
        connections = cast(set[Connection], self.server_state.connections)
        if counter % SWEEP_TICKS == 0 or len(connections) > self._sweeper.most:
            self._sweeper.sweep(connections)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer the long polls, end the streams, then end as uvicorn does."""
        self._context.feed.stop()
        for connection in cast(set[Connection], self.server_state.connections):
            if connection.is_stalled():
                connection.transport.abort()
        later = asyncio.get_running_loop().call_later
        ends = [later(FAREWELL_SECONDS, self._abort_closing), later(ASKING_SECONDS, self._abort_asking)]
        await super().shutdown(sockets)
        for end in ends:
            end.cancel()

    def _abort_closing(self) -> None:
        """End the connections that were closed, have nothing left to send, and wait for their clients all the same."""
        for connection in set(self.server_state.connections):
            if not isinstance(connection, Connection):  # it is not served yet, and ends at once
                continue
            if connection.transport.is_closing() and not connection.transport.get_write_buffer_size():
                connection.transport.abort()

    def _abort_asking(self) -> None:
        """End the connections whose question is not whole by now."""
        for connection in cast(set[Connection], set(self.server_state.connections)):
            if connection.state() is State.ASKING:
                connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Obey SIGHUP too, sent when the terminal closes, unless the process was started to outlive it (nohup)."""
        before = signal.getsignal(signal.SIGHUP)
        with super().capture_signals(), contextlib.ExitStack() as stack:
            if threading.current_thread() is threading.main_thread() and before is not signal.SIG_IGN:
                signal.signal(signal.SIGHUP, self.handle_exit)
                stack.callback(signal.signal, signal.SIGHUP, before)
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is uvicorn's
        """End the server; at once, if this is the second signal."""
        self.force_exit = self.should_exit
        self.should_exit = True


def protocol() -> type[asyncio.Protocol]:
    """Choose the connections: over httptools where it is installed, else over h11."""
    try:
        from .httptools_connection import HttptoolsConnection  # noqa: PLC0415 - it may be missing
    except ModuleNotFoundError:
        from .h11_connection import H11Connection  # noqa: PLC0415

        return H11Connection
    return HttptoolsConnection


def bind(host: str, port: int) -> socket.socket:
    """
    Bind a socket to an address.

    Args:
        host: A name or address of this machine.

        port: 0 for any that is free.

    Returns:
        The socket, which does not listen yet.

    Raises:
        OSError: the port is taken, or there is no such address here; the text says which.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
        except BaseException:
            found.close()
            raise
    except OSError as error:
        why = f"cannot listen on {host} port {port} ({error.strerror}): choose another with --host and --port"
        raise OSError(error.errno, why) from None
    return found


def run(
    app: Litestar,
    at: socket.socket,
    *,
    on_listening: Callable[[], None] = lambda: None,
    tls: ssl.SSLContext | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> None:
    """
    Serve until SIGINT, SIGTERM or SIGHUP. Then long polls are answered, and other requests get a few seconds.

    Args:
        app: The application that `create_app` made.

        at: The socket to listen on; closed at the end.

        on_listening: Called once connections are accepted.

        tls: The TLS context of the connections; without one they are plain.

        is_stopped: Asked ten times a second whether to end, beside the signals.
    """
    _raise_file_limit()
    try:
        with _tuned_gc():
            Server(app, on_listening, tls, is_stopped).run(sockets=[at])
    finally:
        app.state.context.access_log.flush()


@contextlib.contextmanager
def _tuned_gc() -> Iterator[None]:
    """Freeze start-up objects and raise the GC threshold: answers are many short-lived objects without cycles."""
    before, was_frozen = gc.get_threshold(), gc.get_freeze_count() > 0
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not was_frozen:  # else it would thaw what the caller froze
            gc.unfreeze()


def _raise_file_limit() -> None:
    """Raise the soft limit of open files: each long poll holds a socket, and 1,024 files are the usual limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard) if soft != hard else (soft, hard))
