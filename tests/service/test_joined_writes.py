"""An answer's head goes to the socket together with the first part of its body."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from diijam_consent_sdk.service.httptools_connection import JoinedWrites

HEAD, GO_ON = b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"


class Socket(asyncio.Transport):
    """A transport that keeps each write apart."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `asyncio.Transport`."""
        self.written.append(bytes(data))

    def close(self) -> None:
        """See `asyncio.Transport`."""
        self.written.append("closed")

    def is_closing(self) -> bool:
        """See `asyncio.Transport`."""
        return "closed" in self.written


def write(*parts: bytes) -> Callable[[JoinedWrites], None]:
    """Write one after the other."""

    def each(joined: JoinedWrites) -> None:
        """See `write`."""
        for part in parts:
            joined.write(part)

    return each


@pytest.mark.parametrize(
    ("writes", "end", "written"),
    [
        (write(HEAD, b"1"), JoinedWrites.complete, [HEAD + b"1", "answered"]),
        (write(HEAD, b"1", b"2", b"3"), JoinedWrites.complete, [HEAD + b"1", b"2", b"3", "answered"]),
        (write(GO_ON, HEAD, b"1"), JoinedWrites.complete, [GO_ON, HEAD + b"1", "answered"]),
        (write(HEAD), JoinedWrites.complete, [HEAD, "answered"]),
        (write(HEAD), JoinedWrites.close, [HEAD, "closed"]),
        (write(HEAD, b"1"), JoinedWrites.close, [HEAD + b"1", "closed"]),
        (write(), JoinedWrites.close, ["closed"]),
    ],
    ids=["whole", "in parts", "told to go on", "no body", "broken off", "closed after it", "nothing"],
)
def test_what_is_written_together(
    writes: Callable[[JoinedWrites], None], end: Callable[[JoinedWrites], None], written: list[bytes | str]
) -> None:
    """Nothing is lost or written twice, and only a head waits, for what follows it at once."""
    socket = Socket()
    joined = JoinedWrites(socket, lambda: socket.written.append("answered"))
    writes(joined)
    end(joined)
    assert socket.written == written
    assert joined.is_closing() == ("closed" in written)
