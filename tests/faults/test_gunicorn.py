"""A real gunicorn that loads the application before it forks its workers, as many services are run."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from diijam_consent_sdk import Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import SqliteStore, Store
from tests.client.conftest import eventually
from tests.faults.conftest import Service
from tests.faults.watching import DEADLINE, PAUSE_SECONDS, SLACK, B, Canary, patient, signed_up

WORKERS = 2


@attrs.define
class Gunicorn:
    """Its port, and what its workers answered."""

    port: int
    answers: list[dict[str, Any]] = attrs.field(factory=list)

    def ask(self) -> dict[str, Any]:
        """One question, to whichever worker takes it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        canary, began = Canary(), time.monotonic()
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.status == 200
        answer = {**json.loads(response.read()), "began": began, "late": canary.lateness()}
        canary.stop()
        connection.close()
        self.answers.append(answer)
        return answer

    def all_say(self, reason: Reason) -> bool:
        """Whether that is what every worker said last, or says in the next few questions."""
        last = {answer["pid"]: answer["reason"] for answer in [self.ask() for _ in range(4 * WORKERS)]}
        return len(last) == WORKERS and set(last.values()) == {reason}


@contextmanager
def gunicorn(**environment: str) -> Iterator[Gunicorn]:
    """Run gunicorn with two workers, and end it by SIGTERM."""
    program = [sys.executable, "-m", "gunicorn", "--preload", "--workers", str(WORKERS), "--bind", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*program, "tests.faults.preloaded:application"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stderr
    said: list[str] = []
    try:
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"Listening at: http://127.0.0.1:(\d+)", line):
                break
        else:
            raise AssertionError("".join(said))
        reader = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
        reader.start()
        yield Gunicorn(int(found[1]))
        process.terminate()
        assert process.wait(20) == 0, said
        reader.join(20)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@contextmanager
def by_http(service: Service, folder: Path) -> Iterator[tuple[Store, dict[str, str]]]:
    """A ledger behind the service."""
    yield patient(service), {"DIIJAM_CONSENT_URL": service.url, "DIIJAM_CONSENT_TOKEN": service.token}


@contextmanager
def by_file(service: Service, folder: Path) -> Iterator[tuple[Store, dict[str, str]]]:
    """A ledger in a file."""
    path = folder / "embedded.db"
    yield SqliteStore(path), {"DIIJAM_CONSENT_URL": f"sqlite:///{path}"}


@pytest.mark.parametrize("ledger", [by_http, by_file])
def test_workers_forked_from_a_preloaded_client(
    ledger: Callable[..., Any], service: Service, tmp_path: Path, user_id: str
) -> None:
    """Each worker answers, obeys a no within the bound and by its own feed, and ends on SIGTERM."""
    with (
        ledger(service, tmp_path) as (opened, environment),
        signed_up(opened, user_id) as store,
        gunicorn(**environment, PRELOADED_USER=user_id) as workers,
    ):
        assert eventually(lambda: workers.all_say(Reason.CONSENTED), within=10)
        store.append(user_id, [e.Withdrawn("marketing")])
        acknowledged = time.monotonic()
        assert eventually(lambda: workers.all_say(Reason.WITHDRAWN), within=10)
        while time.monotonic() < acknowledged + 1.2 * B:
            workers.ask()
            time.sleep(PAUSE_SECONDS)
    late = [answer for answer in workers.answers if answer["yes"] and answer["began"] >= acknowledged + B]
    assert not late, late
    slow = [answer for answer in workers.answers if answer["took"] - answer["late"] > DEADLINE + SLACK]
    assert not slow, slow
