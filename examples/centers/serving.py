"""Start a centre on this machine, from the command line, on a ledger of the caller's or on a made-up one."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import attrs
import uvicorn
from litestar import Litestar

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk.errors import ConsentError

Connect = Callable[[], AsyncConsentClient]
MakeApp = Callable[[list[str]], Litestar]


class Server(uvicorn.Server):
    """
    Uvicorn that says when it listens, and ends quietly on Ctrl-C.

    Args:
        config: Uvicorn's.

        on_listening: Called once connections are accepted.
    """

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._on_listening()


def make_server(at: socket.socket, make_app: MakeApp, on_listening: Callable[[], None]) -> Server:
    """Make the server on a socket, for an app of the hosts it goes by; its `run(sockets=[at])` serves until stopped."""
    port = at.getsockname()[1]
    config = uvicorn.Config(
        make_app([f"127.0.0.1:{port}", f"localhost:{port}"]), log_config=None, access_log=False, lifespan="on",
        ws="none", server_header=False, timeout_graceful_shutdown=2,
    )  # fmt: skip
    return Server(config, on_listening)


def make_parser(module: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Make the command line of a centre, whose epilog is shown as it is written."""
    layout = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(
        prog=f"python -m {module}", description=description, epilog=epilog, formatter_class=layout
    )


@attrs.frozen
class Start:
    """
    How one centre is started.

    Args:
        name: Its `make` command, which is also the writer of its entries.

        called: What it is called in a sentence.

        parser: Its command line, to which the ledger and the port are added here.

        fill: Makes the made-up ledger at a path.

        make_app: Makes the application, from what was given, a way to connect, and its hosts.

        check: Raises if what was given is malformed, so that no page has to.
    """

    name: str
    called: str
    parser: argparse.ArgumentParser
    fill: Callable[[Path], None]
    make_app: Callable[[argparse.Namespace, Connect, list[str]], Litestar]
    check: Callable[[argparse.Namespace, ConsentClient], None]

    def run(self, argv: Sequence[str] | None, port: int) -> int:
        """Serve until Ctrl-C, at *port* unless another is given. Exit code 2 if it could not start."""
        given = self._parse(argv, port)
        with ExitStack() as stack:
            try:
                at = stack.enter_context(socket.create_server(("127.0.0.1", given.port)))
                connect = self._connect(given, stack)
            except (OSError, ValueError, ConsentError) as error:
                taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
                free = f"take any that is free: make {self.name} PORT=0"
                self.parser.error(f"port {given.port} is taken; {free}" if taken else str(error))
            page = f"http://127.0.0.1:{at.getsockname()[1]}/"
            say = partial(print, f"The {self.called} is at {page}\nStop it with Ctrl-C.", flush=True)
            with suppress(KeyboardInterrupt):  # uvicorn raises the signal again that it obeyed
                make_server(at, partial(self.make_app, given, connect), say).run(sockets=[at])
        print("\nStopped." + ("" if given.url else " Nothing is left behind."), file=sys.stderr)
        return 0

    def _parse(self, argv: Sequence[str] | None, port: int) -> argparse.Namespace:
        add = self.parser.add_argument
        add("--url", help="a ledger of yours: sqlite:///consents.db, or the URL of a consent service")
        add("--port", type=int, default=port, help="0: any that is free (default: %(default)s)")
        given = self.parser.parse_args(argv)
        if not 0 <= given.port < 65536:
            self.parser.error("a port is a number from 0 to 65535")
        return given

    def _connect(self, given: argparse.Namespace, stack: ExitStack) -> Connect:
        url = given.url or self._filled(stack)
        token = os.environ.get("DIIJAM_CONSENT_TOKEN")
        with ConsentClient.from_url(url, token=token, follow=False) as consent:
            self.check(given, consent)
        return partial(AsyncConsentClient.from_url, url, token=token, actor=self.name)

    def _filled(self, stack: ExitStack) -> str:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"diijam-{self.name}-"))
        path = Path(folder) / "consents.db"
        self.fill(path)
        return f"sqlite:///{path}"


def stop_on_sigterm() -> None:
    """Clean up as on Ctrl-C when make or a CI stops this process."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
