"""Starts the privacy centre; `--help` teaches."""

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

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk.errors import ConsentError

from .customers import customers, fill

try:
    import uvicorn

    from .app import create_app
except ModuleNotFoundError as missing:
    print(f"{missing.name} is not installed: run `make privacy-center`, which installs it first", file=sys.stderr)
    raise SystemExit(2) from None

EPILOG = """\
Without --url it makes a ledger of a few made-up customers of examples/data in a temporary folder, and removes it at
the end. With --url it shows and writes to that ledger: pick its customers with --user.

  make privacy-center                                                     the made-up customers
  python -m examples.privacy_center --url sqlite:///consents.db --user u-00905

Flip a switch and watch the three services beside it. Or speak to the same ledger from another terminal:

  DIIJAM_CONSENT_URL=... diijam-consent record u-00905 Withdrawn --purpose marketing

Anybody who can open the page can be any of its customers, so it listens on this machine alone (127.0.0.1).
Exit code 0: stopped with Ctrl-C. 2: it could not start.
"""


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


def server(
    at: socket.socket,
    connect: Callable[[], AsyncConsentClient],
    user_ids: Sequence[str],
    on_listening: Callable[[], None],
) -> Server:
    """The server on a socket; its `run(sockets=[at])` serves until it is stopped."""
    port = at.getsockname()[1]
    app = create_app(connect, customers(user_ids), hosts=[f"127.0.0.1:{port}", f"localhost:{port}"])
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="on", ws="none", server_header=False,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    return Server(config, on_listening)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; see the exit codes above."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.privacy_center",
        description="The page where customers see and change what Diijam may do with their data.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", help="a ledger of yours: sqlite:///consents.db, or the URL of a consent service")
    parser.add_argument("--user", action="append", default=[], metavar="ID", help="an id to sign in as; repeatable")
    parser.add_argument("--port", type=int, default=8765, help="0: any that is free (default: %(default)s)")
    given = parser.parse_args(argv)
    if not 0 <= given.port < 65536:
        parser.error("a port is a number from 0 to 65535")
    with ExitStack() as stack:
        try:
            at = stack.enter_context(socket.create_server(("127.0.0.1", given.port)))
            url = given.url or _filled(stack)
            token = os.environ.get("DIIJAM_CONSENT_TOKEN")
            with ConsentClient.from_url(url, token=token, follow=False) as consent:
                list(consent.users(given.user))  # report malformed ids here, not on a page
        except (OSError, ValueError, ConsentError) as error:
            taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            free = "take any that is free: make privacy-center PORT=0"
            parser.error(f"port {given.port} is taken; {free}" if taken else str(error))
        connect = partial(AsyncConsentClient.from_url, url, token=token, actor="privacy-center")
        page = f"http://127.0.0.1:{at.getsockname()[1]}/"
        say = partial(print, f"The privacy centre is at {page}\nStop it with Ctrl-C.", flush=True)
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal again that it obeyed
            server(at, connect, given.user, say).run(sockets=[at])
    print("\nStopped." + ("" if given.url else " Nothing is left behind."), file=sys.stderr)
    return 0


def _filled(stack: ExitStack) -> str:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="diijam-privacy-center-"))
    path = Path(folder) / "consents.db"
    fill(path)
    return f"sqlite:///{path}"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped by make or a CI: clean up as on Ctrl-C
    raise SystemExit(main())
