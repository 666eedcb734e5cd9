"""Health, figures and access lines."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import httpx
import pytest
from structlog.testing import capture_logs

from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.service.metrics import Layout, Metrics
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import MemoryStore
from tests.service.conftest import GRANTED, NONCE, OPENED, WITHDRAWN, Ask, Asker, Running, Start
from tests.service.fakes import FaultyStore
from tests.service.test_problems import is_problem


def test_a_service_over_a_store_that_answers_is_well(service: Running, http: httpx.Client) -> None:
    """`/healthz` answers 200 without a token when the store does."""
    answer = http.get(f"{service.url}/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_clock_that_ran_ahead_is_told(start: Start, ask_as: Ask, http: httpx.Client) -> None:
    """While the store's clock is years ahead `/healthz` says so, a yes is refused and a no is written."""
    store, ahead = MemoryStore(), timedelta(0)
    dialect = attrs.evolve(store._operations.dialect, time=lambda _: datetime.now(UTC) + ahead)
    store._operations = attrs.evolve(store._operations, dialect=dialect)
    service = start(store)
    asker = ask_as(service)
    asker.append("u-1", OPENED)
    ahead = timedelta(days=9_000)
    answer = http.get(f"{service.url}/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "clock-ahead")
    refused = asker.post("/v1/events/append", {"nonce": NONCE, "user_id": "u-1", "events": [GRANTED]})
    assert refused.status_code == 503
    assert "clock" in refused.text
    record = asker.append("u-1", WITHDRAWN)["record"]
    assert record["consents"]["marketing:email"]["withdrawn_at"] < "2030"
    ahead = timedelta(0)
    assert http.get(f"{service.url}/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/openapi.json"])
def test_a_head_is_answered_like_a_get(service: Running, http: httpx.Client, path: str) -> None:
    """Load balancers ask for the head alone: the same status and headers, and no body."""
    get, head = http.get(service.url + path), http.head(service.url + path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_service_without_its_tokens_is_not_well(
    start: Start, http: httpx.Client, tmp_path: Path, method: str
) -> None:
    """`/healthz` answers 503 while the tokens file cannot be read, since nobody is let in then, and 200 again after."""
    tokens = tmp_path / "tokens.json"
    new_token(tokens, "reader", [Scope.READ])
    right, url = tokens.read_bytes(), start(tokens=tokens).url
    for content, status in ((b"[", 503), (right, 200)):
        tokens.write_bytes(content)
        until = time.monotonic() + 10
        while http.request(method, f"{url}/healthz").status_code != status:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_unknown_tokens_are_counted_and_told_of_now_and_then() -> None:
    """Requests not let in are counted by why; a line at once, then one in ten seconds, says how many tokens came."""
    now = 100.0
    metrics = Metrics(Layout(), clock=lambda: now)
    with capture_logs() as lines:
        for _ in range(1_000):
            metrics.record_refusal("unknown")
        metrics.record_refusal("none")
        now += 10
        metrics.record_refusal("unknown")
    assert [(line["event"], line["log_level"], line["count"]) for line in lines] == [
        ("service.unknown_tokens", "warning", 1),
        ("service.unknown_tokens", "warning", 1_000),
    ]
    assert b'diijam_consent_refusals_total{token="unknown"} 1001.0' in metrics.render()
    assert b'diijam_consent_refusals_total{token="none"} 1.0' in metrics.render()


def test_a_service_over_a_broken_store_is_not_well(start: Start, http: httpx.Client) -> None:
    """`/healthz` answers 503 when the store fails."""
    store = FaultyStore()
    store.fails["standings"] = StoreUnavailable("the disk is gone: look at it")
    is_problem(http.get(f"{start(store).url}/healthz"), "store-unavailable")


def test_a_service_over_a_hung_store_is_not_well(start: Start, http: httpx.Client) -> None:
    """`/healthz` answers 503 after a second when the store does not answer at all."""
    store = FaultyStore()
    store.holds["standings"] = threading.Event()
    url = start(store).url
    started = time.monotonic()
    is_problem(http.get(f"{url}/healthz"), "store-unavailable")
    assert 0.9 < time.monotonic() - started < 2
    store.holds["standings"].set()


def test_a_slow_store_holds_up_no_other_request(start: Start, ask_as: Ask, http: httpx.Client) -> None:
    """While appends hang in the store, loads and the service itself go on."""
    store = FaultyStore()
    store.holds["append"] = threading.Event()
    asker = ask_as(start(store))
    hanging = [threading.Thread(target=asker.append, args=(f"u-{n}", OPENED)) for n in range(8)]
    for thread in hanging:
        thread.start()
    while store.calls.count("append") < 4:
        time.sleep(0.01)
    started = time.monotonic()
    asker.load("u-1")
    assert time.monotonic() - started < 1
    store.holds["append"].set()
    for thread in hanging:
        thread.join(10)


def test_requests_and_appends_are_counted(asker: Asker, service: Running, http: httpx.Client) -> None:
    """`/metrics` counts requests by path and status, with their time, and appends by what became of them."""
    asker.append("u-1", OPENED)
    asker.post("/v1/events/append", {"nonce": NONCE, "user_id": "u-1", "events": [OPENED]})
    http.get(f"{service.url}/v1/users/u-1")
    answer = http.get(f"{service.url}/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert 'diijam_consent_requests_total{method="POST",path="/v1/events/append",status="200"} 1.0' in lines
    assert 'diijam_consent_requests_total{method="POST",path="/v1/events/append",status="422"} 1.0' in lines
    assert 'diijam_consent_requests_total{method="GET",path="(other)",status="404"} 1.0' in lines
    assert 'diijam_consent_request_seconds_count{path="/v1/events/append"} 2.0' in lines
    assert 'diijam_consent_appends_total{outcome="done"} 1.0' in lines
    assert 'diijam_consent_appends_total{outcome="invalid-event"} 1.0' in lines
    assert "diijam_consent_polls_held 0.0" in lines


def test_what_a_token_lacks_the_scope_for_is_counted_as_that(start: Start, ask_as: Ask, http: httpx.Client) -> None:
    """It is a refusal of the token, once for each question, and no append that failed, which would call for help."""
    service = start()
    asker = ask_as(service, "read")
    asker.post("/v1/events/append", {"nonce": NONCE, "user_id": "u-1", "events": [OPENED]})
    writes = [{"user_id": user_id, "events": [OPENED]} for user_id in ("u-1", "u-2")]
    asker.post("/v1/events/append-many", {"nonce": NONCE, "writes": writes})
    lines = http.get(f"{service.url}/metrics").text.splitlines()
    assert 'diijam_consent_refusals_total{token="scope"} 2.0' in lines
    assert 'diijam_consent_appends_total{outcome="forbidden"} 3.0' in lines
    assert not any("internal" in line for line in lines)


@pytest.mark.parametrize(
    ("asked", "logged", "status"),
    [
        (("POST", "/v1/records/load?user=u-1"), ("POST", "/v1/records/load"), 401),
        (("GET", "/v1/users/u-1"), ("GET", "(other)"), 404),
        (("PROPFIND", "/healthz"), ("(other)", "/healthz"), 405),
    ],
)
def test_each_request_has_one_access_line(
    service: Running, http: httpx.Client, asked: tuple[str, str], logged: tuple[str, str], status: int
) -> None:
    """An access line has method, path, status and duration; of what is not ours it repeats nothing."""
    with capture_logs() as lines:
        http.request(asked[0], service.url + asked[1])
        until = time.monotonic() + 5
        while not lines and time.monotonic() < until:
            time.sleep(0.01)
    (line,) = lines
    assert line.pop("duration_ms") > 0
    assert line == {
        "event": "service.request",
        "log_level": "info",
        "method": logged[0],
        "path": logged[1],
        "status": status,
        "token": None,
        "users": 0,
    }


def test_an_access_line_has_the_tokens_name_and_the_number_of_users(asker: Asker) -> None:
    """Who asked is told by the token's name, what about by the number of users: no id is in a line."""
    head = asker.head()
    with capture_logs() as lines:
        asker.append("u-1", OPENED, {"type": "RequestFiled", "request": "r-1", "kind": "access"})
        asker.load("u-1", "u-2", "u-1")
        asker.ask("/v1/history/load", user_id="u-1")
        asker.ask("/v1/requests/due")
        asker.changes(head)
        until = time.monotonic() + 5
        while len(lines) < 5 and time.monotonic() < until:
            time.sleep(0.01)
    assert [(line["token"], line["users"]) for line in lines] == [("both", number) for number in (1, 2, 1, 1, 1)]
    assert "u-1" not in str(lines)
