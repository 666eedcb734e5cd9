"""A consent service in a separate process, on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import httpx

from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token


@attrs.frozen
class Service:
    """The service's URL, a token that it accepts, and its process."""

    url: str
    token: str = attrs.field(repr=False)
    pid: int = 0

    def request(self, path: str, body: bytes) -> bytes:
        """Make a whole request, as it is sent."""
        head = (
            f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {self.token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def client(self) -> httpx.Client:
        """A plain HTTP client for it."""
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, timeout=60)


@contextmanager
def serving(ledger: Path, slow_seconds: float = 0.0) -> Iterator[Service]:
    """
    `diijam-consent serve` for a ledger while the block runs.

    Args:
        ledger: A SQLite file.

        slow_seconds: How much longer each commit takes.
    """
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens.json"
        token = new_token(tokens, "benchmark", [Scope.ASK, Scope.LIST, Scope.READ, Scope.WRITE])
        program = ["benchmarks.slow_flush", str(slow_seconds)] if slow_seconds else ["diijam_consent_sdk.cli"]
        command = [sys.executable, "-m", *program, "serve", "--url", f"sqlite:///{ledger}"]
        command += ["--tokens", str(tokens), "--port", "0"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"})
        assert process.stderr is not None
        try:
            said = next((line for line in process.stderr if "listening on" in line), "")
            if not said:
                sys.exit("the service did not start")
            # Later output is discarded, so that it cannot fill the pipe and block the service.
            drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
            yield Service(said.split()[-1], token, process.pid)
        finally:
            process.terminate()
            process.wait(30)
            drain.wait(30)
            process.stderr.close()
