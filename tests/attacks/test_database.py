"""A database server that pretends to be the ledger's, to be sent its password."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

PASSWORD = "attack-5f0f"
SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


class PlainServer:
    """A server that refuses TLS (`N`), asks for a password in clear text, and keeps what it receives."""

    def __init__(self) -> None:
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    while part := connection.recv(4096):
                        self.received += part
                        connection.sendall(b"N" if part == SSL_REQUEST else b"R\0\0\0\x08\0\0\0\x03")

    def close(self) -> None:
        """Stop."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def server() -> Iterator[PlainServer]:
    """Start a server without TLS."""
    one = PlainServer()
    yield one
    one.close()


def check(url: str) -> subprocess.CompletedProcess[str]:
    """Run `diijam-consent check` on a ledger."""
    command = [sys.executable, "-m", "diijam_consent_sdk.cli", "check", "u-1", "market", "email", "--url", url]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_a_server_without_tls_is_sent_no_password(server: PlainServer) -> None:
    """S8: where the URL asks for TLS and the server refuses it, the question for TLS is all that was sent."""
    result = check(f"postgresql://u:{PASSWORD}@127.0.0.1:{server.port}/ledger?sslmode=require&gssencmode=disable")
    assert (result.returncode, result.stdout) == (2, "")
    assert PASSWORD not in result.stderr
    assert server.received.replace(SSL_REQUEST, b"") == b""
    assert server.received


@pytest.mark.parametrize("mode", ["", "?sslmode=disable", "?sslmode=allow", "?sslmode=prefer"])
def test_another_host_is_asked_nothing_without_tls(mode: str) -> None:
    """S8: a URL to another host that does not ask for TLS is refused before a connection is made."""
    result = check(f"postgresql://u:{PASSWORD}@db.example/ledger{mode}")
    assert (result.returncode, result.stdout) == (2, "")
    assert "sslmode" in result.stderr
    assert PASSWORD not in result.stderr
