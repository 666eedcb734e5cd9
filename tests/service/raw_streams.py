"""A client of polls in parts over a bare socket, which sees the framing and reads only when it is asked to."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Iterator
from typing import Any, Self

import attrs
import httpx

from diijam_consent_sdk.stores import wire
from diijam_consent_sdk.stores.messages import ChangesAnswer
from tests.service.conftest import NONCE

SMALL = 4096  # bytes of a socket's buffer, about ten parts


@attrs.frozen
class Line:
    """One part, and when it was here."""

    answer: ChangesAnswer
    at: float


def stream_question(after: Any, /, **fields: Any) -> dict[str, Any]:
    """The question for a stream of 30 seconds, as far as *fields* say nothing else."""
    usual = {"nonce": NONCE, "after": after, "wait": 30, "stream": True, "beat": 20, "client": secrets.token_hex(16)}
    return {**usual, **fields}


class RawClient:
    """
    A connection to a service.

    Args:
        url: The service's URL.

        token: The token to ask with.

        small: Whether the socket's buffer is as small as can be.
    """

    def __init__(self, url: str, token: str, *, small: bool = False) -> None:
        place = httpx.URL(url)
        self._token = token
        self.socket = socket.socket()
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        self.socket.settimeout(10)
        self.socket.connect((place.host, place.port))
        self._file = self.socket.makefile("rb")
        self.status = 0
        self.headers: dict[str, str] = {}
        self.sent_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self.socket.close()

    def send(self, body: Any, path: str = "/v1/changes", method: str = "POST", version: str = "1.1") -> None:
        """Send a question."""
        data = json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/{version}\r\nHost: test\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self.sent_at = time.monotonic()
        self.socket.sendall(head.encode() + data)

    def read_head(self) -> None:
        """Read the status and the headers."""
        self.status = int(self._file.readline().split()[1])
        self.headers = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()

    def read_body(self) -> Any:
        """Read an answer that has a length."""
        return json.loads(self._file.read(int(self.headers["content-length"])))

    def ask(self, body: Any, path: str = "/v1/changes") -> Any:
        """Ask, and read the whole answer."""
        self.send(body, path)
        self.read_head()
        return self.read_body()

    def open(self, after: Any, /, **fields: Any) -> Self:
        """Ask for a stream, and read the head of its answer."""
        self.send(stream_question(after, **fields))
        self.read_head()
        assert self.status == 200, self.read_body()
        return self

    def line(self) -> Line | None:
        """Read the next part, a chunk of HTTP/1.1 that is one line; None at the end."""
        size = int(self._file.readline(), 16)
        chunk = self._file.read(size)
        at = time.monotonic()
        assert self._file.read(2) == b"\r\n"
        if not size:
            return None
        assert chunk.endswith(b"\n")
        assert chunk.count(b"\n") == 1
        return Line(wire.read(chunk[:-1], ChangesAnswer), at)

    def part(self) -> Line:
        """Read the next part, which has to be there."""
        line = self.line()
        assert line is not None
        return line

    def rest(self) -> Iterator[Line]:
        """Read all parts until the end."""
        while (line := self.line()) is not None:
            yield line
