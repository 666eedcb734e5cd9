"""A mail provider with a real HTTP API, whose list is a file, so that it outlives whoever keeps it true."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class Provider:
    """The provider's list: contact and, if it has one, the end of each; and every change of it, in order."""

    def __init__(self) -> None:
        self.contacts: dict[str, str | None] = {}
        self.changes: list[str] = []
        self.url = ""


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Serve a provider on this machine."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        """Answers `PUT` and `DELETE` of a contact, and `DELETE` of all."""

        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            """Put a contact on the list."""
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            provider.contacts[self._contact()] = body["ends_at"]
            self._done(f"put {self._contact()}")

        def do_DELETE(self) -> None:
            """Take a contact off the list, or all."""
            if self._contact():
                provider.contacts.pop(self._contact(), None)
            else:
                provider.contacts.clear()
            self._done(f"delete {self._contact()}".strip())

        def _contact(self) -> str:
            return unquote(self.path.removeprefix("/contacts").removeprefix("/"))

        def _done(self, change: str) -> None:
            provider.changes.append(change)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield provider
    server.shutdown()
    server.server_close()
    thread.join(10)
