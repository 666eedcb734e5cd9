"""A served ledger to attack, and bystanders who use it meanwhile."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import attrs
import httpx
import psutil
import pytest

from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import SqliteStore
from tests.service.conftest import GRANTED, NONCE, OPENED, WITHDRAWN, Asker
from tests.service.processes import Process

HEALTH_SECONDS = 2.0  # far above the noise of two busy cores, far below the 5 to 9 s of before
WITHDRAWAL_SECONDS = 5.0  # on a slow machine, four test processes on two cores, 3.4 were seen


@attrs.define
class Seen:
    """How long health checks and withdrawals took, in seconds, and the statuses of their answers."""

    health: list[float] = attrs.field(factory=list)
    withdrawals: list[float] = attrs.field(factory=list)
    statuses: set[int] = attrs.field(factory=set)


@attrs.frozen
class Served:
    """`diijam-consent serve` over a SQLite ledger, in a separate process."""

    url: str
    token: str
    ledger: Path
    process: Process

    def ask(self, path: str, body: bytes | dict[str, Any], **headers: str) -> tuple[int, bytes]:
        """Send one question on a new connection; return the status and the body of the answer."""
        connection = self.connect()
        data = body if isinstance(body, bytes) else json.dumps({"nonce": NONCE, **body}).encode()
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        try:
            connection.request("POST", path, data, sent)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        """Make a connection to the service."""
        return http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)

    def memory(self) -> int:
        """Measure the resident memory of the process, in bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@pytest.fixture
def is_fast() -> bool:
    """Whether the service uses httptools and uvloop, or does without them."""
    return True


@pytest.fixture
def served(tmp_path: Path, *, is_fast: bool) -> Iterator[Served]:
    """Serve an empty ledger."""
    tokens, ledger = tmp_path / "tokens.json", tmp_path / "consents.db"
    token = new_token(tokens, "tests", [Scope.ASK, Scope.LIST, Scope.READ, Scope.WRITE])
    SqliteStore(ledger).close()
    process = Process(f"sqlite:///{ledger}", tokens, fast=is_fast)
    yield Served(process.listening(), token, ledger, process)
    process.kill()


@pytest.fixture
def bystanders(served: Served, record_property: Callable[[str, object], None]) -> Callable[[], Any]:
    """
    Make a block during which bystanders check the service's health and withdraw consents.

    At its end the slowest of each is recorded, and the test fails if one was late or not answered with 200.
    """

    @contextmanager
    def use() -> Iterator[Seen]:
        seen, over = Seen(), threading.Event()
        with httpx.Client(timeout=60) as client:
            asker = Asker(served.url, served.token, client)
            asker.append("bystander", OPENED, GRANTED)
            tasks = [
                threading.Thread(
                    target=_timed, args=(over, seen, seen.health, lambda: client.get(f"{served.url}/healthz"))
                ),
                threading.Thread(target=_timed, args=(over, seen, seen.withdrawals, lambda: _withdraw(asker))),
            ]
            for task in tasks:
                task.start()
            try:
                time.sleep(0.2)
                yield seen
                time.sleep(0.2)
            finally:
                over.set()
                for task in tasks:
                    task.join(90)
        record_property("slowest_health_seconds", max(seen.health))
        record_property("slowest_withdrawal_seconds", max(seen.withdrawals))
        assert seen.statuses == {200}
        assert max(seen.health) < HEALTH_SECONDS, sorted(seen.health)[-5:]
        assert max(seen.withdrawals) < WITHDRAWAL_SECONDS, sorted(seen.withdrawals)[-5:]

    return use


def _withdraw(asker: Asker) -> httpx.Response:
    question = {"nonce": NONCE, "user_id": "bystander", "events": [WITHDRAWN], "idempotency_key": secrets.token_hex(8)}
    while (answer := asker.post("/v1/events/append", question)).status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        time.sleep(0.02)  # a client repeats it with the same key, and the time until it is through counts
    return answer


def _timed(over: threading.Event, seen: Seen, times: list[float], ask: Callable[[], httpx.Response]) -> None:
    while not over.is_set():
        started = time.monotonic()
        seen.statuses.add(ask().status_code)
        times.append(time.monotonic() - started)
        over.wait(0.02)
