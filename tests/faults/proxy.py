"""
A proxy between a client and a consent service that misbehaves on command, on real sockets.

Each fault is a function of the exchange under way: it may answer by itself, alter the service's answer, or leave the
client alone with a silent socket.
"""

from __future__ import annotations

import functools
import gzip
import http.client
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs

from diijam_consent_sdk.stores.http.parts import PARTS_TYPE
from tests.faults.stream_faults import Alter, pass_on

MEGABYTE = 2**20


@attrs.define
class Exchange:
    """
    One request and what was, or would be, answered.

    Attributes:
        ask: Gives the service's answer; of a stream, its first part as the whole of it.

        stream: Gives the head and then each part of a stream, until the fault of the moment is another.
    """

    path: str
    client: socket.socket
    is_stream: bool
    ask: Callable[[], bytes]
    stream: Callable[[], Iterator[bytes]]

    def send(self, status: str, body: bytes, headers: str = "content-type: application/json\r\n") -> None:
        """Answer by itself."""
        head = f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n"
        self.client.sendall(head.encode() + body)


Fault = Callable[[Exchange], None]


def healthy(exchange: Exchange) -> None:
    """Pass everything on."""
    if exchange.is_stream:
        pass_on(exchange, lambda part, _: [part])
    else:
        exchange.client.sendall(exchange.ask())


def of_stream(alter: Alter) -> Fault:
    """A fault of a stream's parts after the first; all else is healthy."""
    return lambda exchange: pass_on(exchange, alter) if exchange.is_stream else healthy(exchange)


def black_hole(exchange: Exchange) -> None:
    """Say nothing."""
    _linger(exchange.client)


def black_hole_after(exchange: Exchange) -> None:
    """Let the service do it, and say nothing."""
    exchange.ask()
    _linger(exchange.client)


def reset(exchange: Exchange) -> None:
    """Cut the connection hard."""
    exchange.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError


def reset_after(exchange: Exchange) -> None:
    """Let the service do it, then cut the connection."""
    exchange.ask()
    reset(exchange)


def drip(exchange: Exchange) -> None:
    """Give the answer byte by byte, each in time for a limit on reads."""
    for byte in exchange.ask():
        exchange.client.sendall(bytes([byte]))
        time.sleep(0.1)


def truncation(exchange: Exchange) -> None:
    """Give half of the answer."""
    answer = exchange.ask()
    exchange.client.sendall(answer[: len(answer) // 2])
    raise ConnectionResetError


def error_500(exchange: Exchange) -> None:
    """Fail without a reason."""
    exchange.send("500 Internal Server Error", b"oops", "content-type: text/plain\r\n")


def error_503(exchange: Exchange) -> None:
    """Be busy, and ask for a long patience."""
    exchange.send("503 Service Unavailable", b"", "retry-after: 3600\r\n")


def html(exchange: Exchange) -> None:
    """Be a captive portal."""
    exchange.send("200 OK", b"<html>Please log in</html>", "content-type: text/html\r\n")


def html_as_json(exchange: Exchange) -> None:
    """Be a captive portal that lies about its type."""
    exchange.send("200 OK", b"<html>Please log in</html>")


def huge(exchange: Exchange) -> None:
    """Give more than anybody can want."""
    exchange.client.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(200):
        exchange.client.sendall(b"100000\r\n" + b" " * MEGABYTE + b"\r\n")


def gzip_bomb(exchange: Exchange) -> None:
    """Give little that becomes much."""
    exchange.send("200 OK", _bomb(), "content-type: application/json\r\ncontent-encoding: gzip\r\n")


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(b" " * (50 * MEGABYTE))


def redirect(exchange: Exchange) -> None:
    """Point elsewhere."""
    exchange.send("307 Temporary Redirect", b"", "location: http://127.0.0.1:9/\r\n")


def cached(exchange: Exchange) -> None:
    """Give the right answer, with the mark of a cache."""
    exchange.client.sendall(exchange.ask().replace(b"\r\n", b"\r\nage: 3\r\n", 1))


def other_user(exchange: Exchange) -> None:
    """Give the answer about somebody else."""
    _alter(exchange, lambda answer: [record.update(user_id="somebody-else") for record in answer.get("records", ())])


def other_after(exchange: Exchange) -> None:
    """Answer a poll from another place."""
    _alter(exchange, lambda answer: answer.get("after", {}).update(position=0))


def stripped(exchange: Exchange) -> None:
    """Lose a field of each record on the way."""
    _alter(exchange, lambda answer: [record.pop("restricted") for record in answer.get("records", ())])


class Replay:
    """Remembers the first answer to each path, and gives it again and again."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, bool], bytes] = {}

    def __call__(self, exchange: Exchange) -> None:
        """Answer from memory; the first time, and for the head, remember."""
        asked = exchange.path, exchange.is_stream
        if asked not in self._answers:
            self._answers[asked] = exchange.ask()
        exchange.client.sendall(self._answers[asked])


def only(path: str, fault: Fault) -> Fault:
    """A fault of one path; all others are healthy."""
    return lambda exchange: (fault if exchange.path == path else healthy)(exchange)


def _alter(exchange: Exchange, change: Callable[[Any], object]) -> None:
    head, _, body = exchange.ask().partition(b"\r\n\r\n")
    answer = json.loads(body)
    change(answer)
    changed = json.dumps(answer).encode()
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    lines.append(f"content-length: {len(changed)}".encode())
    exchange.client.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + changed)


def _linger(client: socket.socket, seconds: float = 30) -> None:
    """Keep the socket open until the client lets go."""
    select.select([client], [], [], seconds)


class Proxy:
    """Listens on a separate port and hands each request to the fault of the moment."""

    def __init__(self, port: int) -> None:
        self.fault: Fault = healthy
        self.requests: list[str] = []
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self.port}"

    def retarget(self, port: int) -> None:
        """Pass on to another service from now on."""
        self._target = port

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as reader:
            try:
                while line := reader.readline():
                    path = line.split()[1].decode()
                    headers = http.client.parse_headers(reader)
                    body = reader.read(int(headers["content-length"] or 0))
                    self.requests.append(path)
                    is_stream = b'"stream":true' in body
                    fault = self.fault
                    ask, stream = partial(self._ask, path, headers, body), partial(self._stream, headers, body, fault)
                    fault(Exchange(path, client, is_stream, ask, stream))
            except (OSError, ValueError, http.client.HTTPException):  # either side went away in the middle
                return

    def _ask(self, path: str, headers: http.client.HTTPMessage, body: bytes) -> bytes:
        with self._asked(path, headers, body) as answer:
            content = answer.readline() if answer.headers["content-type"] == PARTS_TYPE else answer.read()
        told = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        told += [
            f"{n}: {v}" for n, v in answer.getheaders() if n.lower() not in {"content-length", "transfer-encoding"}
        ]
        told.append(f"content-length: {len(content)}")
        return "\r\n".join(told).encode() + b"\r\n\r\n" + content

    def _stream(self, headers: http.client.HTTPMessage, body: bytes, fault: Fault) -> Iterator[bytes]:
        with self._asked("/v1/changes", headers, body) as answer:
            told = [f"HTTP/1.1 {answer.status} {answer.reason}", f"content-type: {answer.headers['content-type']}"]
            yield "\r\n".join([*told, "transfer-encoding: chunked"]).encode() + b"\r\n\r\n"
            while (part := answer.readline()) and self.fault is fault:
                yield part

    @contextmanager
    def _asked(self, path: str, headers: http.client.HTTPMessage, body: bytes) -> Iterator[http.client.HTTPResponse]:
        upstream = http.client.HTTPConnection("127.0.0.1", self._target, timeout=90)
        try:
            kept = {name: value for name, value in headers.items() if name.lower() not in {"host", "content-length"}}
            upstream.request("POST", path, body, kept)
            yield upstream.getresponse()
        finally:
            upstream.close()
