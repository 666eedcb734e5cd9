"""No user id and no token in any log line or figure, however loud everything is."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.service.conftest import GRANTED, NONCE, OPENED, Ask, Asker, Start
from tests.service.fakes import FaultyStore
from tests.service.processes import Process

SECRET = "nguyen.van.a"


def provoke(asker: Asker, http: httpx.Client) -> None:
    """Ask everything that could make somebody talk, with an id wherever one fits, and with tokens right and wrong."""
    head = asker.append(SECRET, OPENED, GRANTED, idempotency_key=SECRET)["cursor"]
    asker.load(SECRET)
    asker.ask("/v1/history/load", user_id=SECRET)
    asker.ask("/v1/requests/due", after=SECRET)
    asker.changes(head, wait=0.1)
    asker.changes({**head, "position": 0, "hash": "00" * 32})
    questions: list[tuple[str, Any]] = [
        ("/v1/events/append", {"nonce": NONCE, "user_id": SECRET, "events": [OPENED], "idempotency_key": SECRET}),
        ("/v1/events/append", {"nonce": NONCE, "user_id": SECRET, "events": [OPENED]}),
        ("/v1/events/append", {"nonce": NONCE, "user_id": SECRET, "events": [GRANTED], "expected_version": 9}),
        ("/v1/events/append", {"nonce": NONCE, "user_id": SECRET, "events": [{"type": SECRET}]}),
        ("/v1/records/load", {"nonce": NONCE, "user_ids": [SECRET], SECRET: SECRET}),
        ("/v1/records/load", {"nonce": NONCE, "user_ids": [SECRET + "\x00"]}),
        (f"/v1/records/{SECRET}", {}),
        (f"/v1/records/load?user={SECRET}", {"nonce": NONCE, "user_ids": [SECRET]}),
    ]
    for path, question in questions:
        assert SECRET not in asker.post(path, question).text.replace(f'"user_id":"{SECRET}"', "")
    asker.post("/v1/records/load", content=SECRET.encode())
    for authorization in (f"Bearer {SECRET}", f"Basic {SECRET}", SECRET):
        http.post(f"{asker.url}/v1/records/load", json={}, headers={"Authorization": authorization})


def lines_with(lines: list[str], *secrets: str) -> list[str]:
    """The lines that tell one of the secrets."""
    return [line for line in lines for secret in secrets if secret in line]


@pytest.fixture
def loud(tmp_path: Path, token_files: tuple[Path, dict[str, str]]) -> Iterator[Process]:
    """A service process over a file whose loggers all say everything."""
    process = Process(f"sqlite:///{tmp_path}/consents.db", token_files[0], loud=True)
    yield process
    process.kill()


def test_no_line_tells_an_id_or_token(
    loud: Process, token_files: tuple[Path, dict[str, str]], http: httpx.Client
) -> None:
    """With every logger of the process at its loudest, no line tells a user id or a token."""
    asker = Asker(loud.listening(), token_files[1]["both"], http)
    provoke(asker, http)
    figures = http.get(f"{asker.url}/metrics").text
    loud.signal(signal.SIGTERM)
    assert loud.end() == 0
    assert len(loud.said) > 20
    assert lines_with(loud.said, SECRET, asker.token or "") == []
    assert lines_with(figures.splitlines(), SECRET, asker.token or "") == []


def test_an_unforeseen_error_is_logged_without_what_it_says(start: Start, ask_as: Ask) -> None:
    """Of an error that nobody foresaw, the log has the class and the place, which suffice to find it."""
    store = FaultyStore()
    store.fails["history"] = RuntimeError(f"no entries of {SECRET}")
    asker = ask_as(start(store))
    with capture_logs() as lines:
        answer = asker.post("/v1/history/load", {"nonce": NONCE, "user_id": SECRET})
    assert answer.status_code == 500
    line = next(line for line in lines if line["event"] == "service.failed")
    assert line["error"] == "RuntimeError"
    assert line["where"].startswith("fakes.py:")  # not `at`: that is when
    assert SECRET not in str(lines)
