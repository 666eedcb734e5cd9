"""A service whose answers a test writes byte by byte, on real sockets: for polls that are answered in parts."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import attrs

PARTS = {"content-type": "application/jsonl"}


def cursor(position: int) -> dict[str, Any]:
    """A cursor of the history that the answers are of."""
    return {"epoch": "e", "position": position, "hash": f"{position:02x}"}


@attrs.define
class Conversation:
    """One request, and the connection to answer it on."""

    question: dict[str, Any]
    headers: dict[str, str]
    connection: socket.socket
    gone: threading.Event

    def begin(self, status: str = "200 OK", **headers: str) -> None:
        """Send the head of a chunked response."""
        named = PARTS | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self.raw(f"HTTP/1.1 {status}\r\n{lines}transfer-encoding: chunked\r\n\r\n".encode())

    def part(self, begins: int, to: int | None = None, *users: str, **changed: Any) -> bytes:
        """Make the line of a part: after a position, to another or without news."""
        to = begins if to is None else to
        answer = {
            "nonce": self.question["nonce"], "after": cursor(begins), "cursor": cursor(to),
            "user_ids": dict.fromkeys(users, to), "complete": True, "view": ["ask"], "waited": 0.0,
        }  # fmt: skip
        return json.dumps(answer | changed, separators=(",", ":")).encode() + b"\n"

    def send(self, *lines: bytes) -> None:
        """Send bytes of the body as one chunk."""
        body = b"".join(lines)
        self.raw(f"{len(body):x}\r\n".encode() + body + b"\r\n")

    def end(self) -> None:
        """End the body as it should be ended."""
        self.raw(b"0\r\n\r\n")

    def raw(self, data: bytes) -> None:
        """Send bytes as they are; a client that is gone misses them."""
        with suppress(OSError):
            self.connection.sendall(data)

    def is_left_within(self, seconds: float) -> bool:
        """Whether the client closes the connection within so many seconds."""
        return self.gone.wait(seconds)


Script = Callable[[Conversation], None]


class Scripted:
    """A server that has a script answer each request, in a thread for each connection."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Conversation] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and cut what is open."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(2**16)
            head, _, body = received.partition(b"\r\n\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
            while len(body) < int(headers["content-length"]):
                body += connection.recv(2**16)
            conversation = Conversation(json.loads(body), headers, connection, threading.Event())
            self.asked.append(conversation)
            threading.Thread(target=self._watch, args=(conversation,), daemon=True).start()
            self.script(conversation)

    @staticmethod
    def _watch(conversation: Conversation) -> None:
        with suppress(OSError):
            while conversation.connection.recv(2**16):
                pass
        conversation.gone.set()
