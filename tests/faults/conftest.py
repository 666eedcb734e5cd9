"""A consent service in a separate process, and a proxy in front of it that can misbehave."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from tests.faults.proxy import Proxy

SERVE = (sys.executable, "-m", "diijam_consent_sdk.cli", "serve")


@attrs.define
class Service:
    """`diijam-consent serve` over a file, to be stopped, killed, frozen and started again."""

    folder: Path
    token: str
    port: int = 0
    process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ledger(self) -> Path:
        """The file of its ledger."""
        return self.folder / "c.db"

    def start(self, ledger: str | None = None) -> None:
        """Start it, on the port it had before if there was one."""
        program = [*SERVE, "--url", ledger or f"sqlite:///{self.ledger}"]
        program += ["--tokens", str(self.folder / "tokens.json"), "--port", str(self.port)]
        environment = {**os.environ, "DIIJAM_CONSENT_TOKEN": self.token}
        self.process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=environment)
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if found := re.search(r"http://[^:]+:(\d+)", line):
                self.port = int(found[1])
                break
        else:
            raise AssertionError("".join(said))
        self._reader = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._reader.start()

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            assert self.process.stderr is not None
            assert self._reader is not None
            self._reader.join(20)
            self.process.stderr.close()
            self.process = None

    def signal(self, how: signal.Signals) -> None:
        """Freeze or wake it."""
        assert self.process is not None
        self.process.send_signal(how)

    def mend(self) -> None:
        """Have it run again, whatever was done to it."""
        if self.process is None:
            self.start()
        else:
            self.signal(signal.SIGCONT)


@contextmanager
def serving(folder: Path) -> Iterator[Service]:
    """A running service over a file in that folder."""
    token = new_token(folder / "tokens.json", "tests", [Scope.ASK, Scope.LIST, Scope.READ, Scope.WRITE])
    service = Service(folder, token)
    service.start()
    try:
        yield service
    finally:
        service.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service, shared by a module; each test has separate users."""
    with serving(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def own_service(service: Service) -> Iterator[Service]:
    """The same, for a test that kills, freezes or restores it: the next one finds it running."""
    yield service
    service.mend()


@pytest.fixture
def user_id() -> str:
    """A user that no other test has."""
    return f"u-{uuid.uuid4()}"


@pytest.fixture
def proxy(service: Service) -> Iterator[Proxy]:
    """A healthy proxy before the service."""
    proxy = Proxy(service.port)
    yield proxy
    proxy.close()
