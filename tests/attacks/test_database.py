"""A database server that pretends to be the ledger's, to be sent its password."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.stores.plain_server import SSL_REQUEST, PlainServer

PASSWORD = "attack-5f0f"


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
    received = b"".join(server.received)
    assert received.replace(struct.pack("!II", 8, SSL_REQUEST), b"") == b""
    assert received


@pytest.mark.parametrize("mode", ["", "?sslmode=disable", "?sslmode=allow", "?sslmode=prefer"])
def test_another_host_is_asked_nothing_without_tls(mode: str) -> None:
    """S8: a URL to another host that does not ask for TLS is refused before a connection is made."""
    result = check(f"postgresql://u:{PASSWORD}@db.example/ledger{mode}")
    assert (result.returncode, result.stdout) == (2, "")
    assert "sslmode" in result.stderr
    assert PASSWORD not in result.stderr
