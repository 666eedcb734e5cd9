"""A mail provider with a real HTTP API, whose list is a file, so that it outlives whoever keeps it true."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Provider:
    """The provider's list: contact and, if it has one, the end of each; and every change of it, in order."""

    def __init__(self) -> None:
        self.contacts: dict[str, str | None] = {}
        self.changes: list[str] = []
        self.refusals: list[int] = []  # the status of each refusal to come
        self.url = ""


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Serve a provider on this machine."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        """Answers `PUT` of a contact, `POST` of one to remove, and `DELETE` of all."""

        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            """Put a contact on the list."""
            body = self._body()
            self._done(f"put {body['id']}", lambda: provider.contacts.update({body["id"]: body["ends_at"]}))

        def do_POST(self) -> None:
            """Take a contact off the list."""
            body = self._body()
            self._done(f"remove {body['id']}", lambda: provider.contacts.pop(body["id"], None))

        def do_DELETE(self) -> None:
            """Take all off the list."""
            self._done("clear", provider.contacts.clear)

        def _body(self) -> dict[str, str]:
            body: dict[str, str] = json.loads(self.rfile.read(int(self.headers["content-length"])))
            return body

        def _done(self, change: str, apply: Callable[[], object]) -> None:
            is_busy = bool(provider.refusals)
            if not is_busy:
                apply()
                provider.changes.append(change)
            self.send_response(provider.refusals.pop() if is_busy else 204)
            self.send_header("Content-Length", "0")
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
