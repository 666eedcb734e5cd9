"""Several processes on one port, over PostgreSQL: what they share, and what becomes of them."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
import structlog

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import LedgerBroken, StoreUnavailable
from diijam_consent_sdk.service.board import Board
from diijam_consent_sdk.service.main import serve
from diijam_consent_sdk.service.metrics import Gauge, Layout, Metrics, clear_gauges
from diijam_consent_sdk.service.workers import LONGEST_PAUSE_SECONDS, Workers
from diijam_consent_sdk.stores import HttpStore
from tests.certificates import Authority, needs_openssl
from tests.service.conftest import NONCE, Asker
from tests.service.crowd import polls, until_held
from tests.service.processes import Process
from tests.stores import cluster

Tokens = tuple[Path, dict[str, str]]
Serve = Callable[..., Process]


def until(what: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def restart_all(process: Process) -> None:
    """Kill all workers, and wait for the next ones."""
    family = workers(process)
    for worker in family:
        worker.kill()
    until(lambda: {*workers(process)}.isdisjoint(family) and len(workers(process)) == 2)


def until_more(counts: list[int]) -> None:
    """Wait until each count has grown."""
    before = list(counts)
    until(lambda: all(now > then for now, then in zip(counts, before, strict=True)))


@pytest.fixture
def ledger() -> Iterator[str]:
    """An empty ledger in PostgreSQL."""
    url = cluster.shared().ledger()
    yield url
    cluster.shared().give_back(url)


@pytest.fixture
def start(token_files: Tokens) -> Iterator[Serve]:
    """Starts services of two workers, and ends them and their workers."""
    started: list[Process] = []

    def run(url: str, **options: Any) -> Process:
        started.append(Process(url, token_files[0], workers=2, **options))
        started[-1].listening()
        until(lambda: len([line for line in started[-1].said if "worker_started" in line]) >= 2)
        return started[-1]

    yield run
    for process in started:
        family = workers(process)
        process.kill()
        for worker in family:
            worker.kill()


def workers(process: Process) -> list[psutil.Process]:
    """The workers of a service that runs."""
    try:
        return psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []


def figure(url: str, name: str) -> float:
    """One figure of the service, whoever answers."""
    text = httpx.get(f"{url}/metrics", timeout=2 * LONGEST_PAUSE_SECONDS).text  # a worker may have to start first
    found = re.search(rf"^diijam_consent_{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@contextmanager
def connected_to_each(process: Process) -> Iterator[list[httpx.Client]]:
    """One client of each worker: while it connects, the others are stopped."""
    family, url = workers(process), process.listening()
    with ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=url, timeout=20)) for _ in family]
        for worker, client in zip(family, clients, strict=True):
            others = [other for other in family if other != worker]
            for other in others:
                other.suspend()
            try:
                assert client.get("/openapi.json").status_code == 200
            finally:
                for other in others:
                    other.resume()
        yield clients


def test_processes_add_up_what_they_count() -> None:
    """Counters are those of all processes, gauges the sum or the largest; of a process that ended only counts stay."""
    layout, held = Layout(frozenset({"/healthz"})), [2.0, 3.0]
    board = Board(layout.size, 2)

    def gauges(process: int) -> list[Gauge]:
        """Gauges of one process."""
        return [
            Gauge("held", "Held.", lambda: held[process]),
            Gauge("broken", "Broken.", lambda: held[process], is_summed=False),
        ]

    first, second = (Metrics(layout, gauges(process), board, process) for process in range(2))
    for metrics in (first, second, second):
        metrics.record_request("GET", "/healthz", 200, 0.002)
        metrics.record_append("done")
    second.publish_gauges()
    lines = first.render().decode().splitlines()
    assert 'diijam_consent_requests_total{method="GET",path="/healthz",status="200"} 3.0' in lines
    assert 'diijam_consent_request_seconds_bucket{le="0.0025",path="/healthz"} 3.0' in lines
    assert 'diijam_consent_request_seconds_bucket{le="0.001",path="/healthz"} 0.0' in lines
    assert 'diijam_consent_appends_total{outcome="done"} 3.0' in lines
    assert {"diijam_consent_held 5.0", "diijam_consent_broken 3.0"} < {*lines}
    clear_gauges(board, 1)
    lines = first.render().decode().splitlines()
    assert {"diijam_consent_held 2.0", 'diijam_consent_appends_total{outcome="done"} 3.0'} < {*lines}


def test_a_broken_ledger_is_on_the_board() -> None:
    """What one process found is what the others see, whole or cut to its size."""
    board = Board(1, 2)
    assert board.broken() is None
    board.mark_broken(LedgerBroken(7, "ẹ" * 1_000))
    found = board.broken()
    assert found is not None
    assert (found.position, found.why) == (7, "ẹ" * 333)


@pytest.mark.parametrize("url", ["memory:", "sqlite:///consents.db"])
def test_one_file_has_one_process(token_files: Tokens, url: str) -> None:
    """Workers over a SQLite file or memory are refused, and the text says what to do."""
    with pytest.raises(ValueError, match=r"--workers is for PostgreSQL and for relays.*diijam-consent copy"):
        serve(url, tokens=token_files[0], workers=2)
    with pytest.raises(ValueError, match="at least 1"):
        serve(url, tokens=token_files[0], workers=0)


def test_metrics_are_those_of_all_workers(start: Serve, token_files: Tokens, ledger: str) -> None:
    """Whichever worker is asked, it counts the requests of all, also of one that was killed since."""
    process = start(ledger)
    counted = 'requests_total{method="GET",path="/healthz",status="200"}'
    with connected_to_each(process) as clients:
        for client in clients:
            for _ in range(10):
                assert client.get("/healthz").status_code == 200
        total = (
            f"diijam_consent_{counted} 20.0"  # a worker counts an answer once it is written, perhaps after it is read
        )
        until(lambda: all(total in client.get("/metrics").text for client in clients))
        killed = workers(process)[0]
        killed.kill()
        until(lambda: len(workers(process)) == 2 and killed.pid not in {worker.pid for worker in workers(process)})
    assert figure(process.listening(), counted) == 20
    assert '"status": -9' in process.until("worker_ended")


def test_a_killed_worker_loses_its_own_connections_alone(start: Serve, token_files: Tokens, ledger: str) -> None:
    """While workers are killed during load, clients' calls all succeed, and a withdrawal is written and seen."""
    process = start(ledger)
    url, over, lost = process.listening(), threading.Event(), list[Exception]()
    counts = [0] * 4

    def load(number: int) -> None:
        """Load again and again; the store tries again what a killed worker cut off."""
        with closing(HttpStore(url, token=token_files[1]["both"], deadline=10)) as store:
            while not over.is_set():
                try:
                    store.load([f"u-{number}"])
                    counts[number] += 1
                except StoreUnavailable as error:
                    lost.append(error)

    tasks = [threading.Thread(target=load, args=(number,)) for number in range(len(counts))]
    for task in tasks:
        task.start()
    try:
        with closing(HttpStore(url, token=token_files[1]["both"], deadline=10)) as store:
            store.append("u-1", [e.AccountOpened(), e.Granted("marketing", "n", {"email"})])
            for number in range(2):
                until_more(counts)
                until(lambda: len(workers(process)) == 2)
                workers(process)[number].kill()
                store.append("u-1", [e.Withdrawn("marketing")], idempotency_key=secrets.token_hex(8))
                (record,) = store.load(["u-1"]).records
                assert record.version == 3 + number
        until_more(counts)
    finally:
        over.set()
        for task in tasks:
            task.join(20)
    assert lost == [], [line for line in process.said if "service.request" not in line]
    until(lambda: len(workers(process)) == 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_all_workers_in_order(
    start: Serve, token_files: Tokens, ledger: str, http: httpx.Client, number: int
) -> None:
    """The polls of every worker are answered, the workers end, and so does the process, with 0."""
    process = start(ledger)
    url = process.listening()
    family = workers(process)

    async def stop() -> None:
        """Once all wait: send the signal."""
        await until_held(url, 60)
        process.signal(number)

    question = {"nonce": NONCE, "after": Asker(url, token_files[1]["both"], http).head(), "wait": 60}
    crowd = asyncio.run(polls(url, token_files[1]["read"], question, 60, stop))
    assert {(answer.status, answer.body["complete"]) for answer in crowd} == {(200, True)}
    assert process.end() == 0
    assert not any(worker.is_running() for worker in family)
    assert process.said[-2:] == ["stopped\n", ""]


def test_a_second_signal_ends_all_at_once(start: Serve, token_files: Tokens, ledger: str) -> None:
    """With half a question on each of many connections the first signal waits for them, the second for nobody."""
    process = start(ledger)
    family = workers(process)
    host, _, port = process.listening().removeprefix("http://").partition(":")
    let_in = f"Authorization: Bearer {token_files[1]['both']}\r\nContent-Length: 100\r\n\r\n{{"
    with ExitStack() as stack:
        for _ in range(20):
            half = stack.enter_context(socket.create_connection((host, int(port))))
            half.sendall(f"POST /v1/records/load HTTP/1.1\r\nHost: a\r\n{let_in}".encode())
        time.sleep(0.5)
        process.signal(signal.SIGTERM)
        time.sleep(1)
        assert any(worker.is_running() for worker in family)
        began = time.monotonic()
        process.signal(signal.SIGTERM)
        assert process.end() == 0
        assert time.monotonic() - began < 3.5
        assert not any(worker.is_running() for worker in family)


def test_nothing_is_left_when_the_parent_is_killed(start: Serve, ledger: str) -> None:
    """After `kill -9` of the parent its workers end by themselves, and the port is free."""
    process = start(ledger)
    url, family = process.listening(), workers(process)
    assert len(family) == 2
    process.signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, 15)
    assert alive == []
    with socket.create_server(("127.0.0.1", int(url.rpartition(":")[2]))):
        pass


def test_every_worker_refuses_a_broken_ledger(start: Serve, token_files: Tokens, ledger: str) -> None:
    """One worker finds it, all refuse, one that is started afterwards too, and a no is still written."""
    process = start(ledger, verify_seconds=1)
    url, token = process.listening(), token_files[1]["both"]
    with closing(HttpStore(url, token=token, deadline=10)) as store:
        store.append("u-1", [e.AccountOpened()])
        until(lambda: figure(url, "verified_position") == 1)
        with psycopg.connect(ledger, autocommit=True) as db:
            db.execute("UPDATE diijam_consent.entries SET version = 7 WHERE position = 1")
        until(lambda: figure(url, "ledger_broken") == 1)
        for _ in range(2):
            with connected_to_each(process) as clients:
                until(lambda: [client.get("/healthz").status_code for client in clients] == [503, 503])
                assert all("ledger-broken" in client.get("/healthz").text for client in clients)
            restart_all(process)
        assert store.append("u-1", [e.Withdrawn("surveys")], idempotency_key="k").record is None


def test_workers_that_die_at_once_are_started_again(start: Serve, ledger: str) -> None:
    """Workers that are killed while they start, again and again, do not end the service, and are given more time."""
    process = start(ledger)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        for worker in workers(process):
            with suppress(psutil.NoSuchProcess):  # it had ended before the signal
                worker.kill()
        time.sleep(0.01)
    until(lambda: figure(process.listening(), "polls_held") == 0)
    pauses = [float(found) for found in re.findall(r'"again_in": ([\d.]+)', "".join(process.said))]
    assert len(pauses) > 2
    assert max(pauses) <= LONGEST_PAUSE_SECONDS
    assert len(workers(process)) > 0


@needs_openssl
def test_a_relay_has_workers_and_tls(
    start: Serve, token_files: Tokens, ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers of a relay with TLS pass on what its upstream answers."""
    authority = Authority.made(tmp_path)
    upstream = start(ledger)
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", token_files[1]["both"])
    relay = start(upstream.listening(), tls=authority.signed("service"))
    store = HttpStore(relay.listening(), token=token_files[1]["both"], verify=authority.file, deadline=10)
    with closing(store):
        assert store.append("u-1", [e.AccountOpened()]).version == 1
    with closing(HttpStore(upstream.listening(), token=token_files[1]["both"])) as direct:
        assert direct.load(["u-1"]).records[0].version == 1


@pytest.mark.parametrize("failing", ["fork", "pipe"])
def test_a_fork_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """For want of memory, of processes or of files: the other workers go on, and the next try is planned."""
    workers = Workers(1, lambda *_: None, on_listening=lambda: None, on_end=lambda _: None, on_stop=lambda: None)
    (worker,) = workers._workers

    def fail() -> Any:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, failing, fail)
    with structlog.testing.capture_logs() as logs:
        workers._start_due()
    monkeypatch.undo()
    assert [line["event"] for line in logs] == ["service.worker_not_started"]
    assert worker.process is None
    assert worker.at > time.monotonic()
