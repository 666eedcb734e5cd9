"""The server process: how it starts, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from diijam_consent_sdk.service.context import ServiceContext
from diijam_consent_sdk.service.server import bind
from tests.service.conftest import NONCE, OPENED, Asker, Running
from tests.service.crowd import polls, until_held
from tests.service.processes import Process

Serve = Callable[..., Process]


@pytest.fixture
def serve(token_files: tuple[Path, dict[str, str]]) -> Iterator[Serve]:
    """Starts service processes, and ends those that still run."""
    started: list[Process] = []

    def run(url: str = "memory:", tokens: Path = token_files[0], **options: Any) -> Process:
        started.append(Process(url, tokens, **options))
        return started[-1]

    yield run
    for process in started:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_soon_and_answers_its_polls(
    serve: Serve, token_files: tuple[Path, dict[str, str]], http: httpx.Client, number: int
) -> None:
    """On SIGTERM or Ctrl-C all waiting polls are answered, complete, and the process ends with 0 within seconds."""
    process = serve()
    url = process.listening()
    asker = Asker(url, token_files[1]["both"], http)
    stopped_at = 0.0

    async def stop() -> None:
        """Once all wait: send the signal."""
        nonlocal stopped_at
        await until_held(url, 200)
        stopped_at = time.monotonic()
        process.signal(number)

    question = {"nonce": NONCE, "after": asker.head(), "wait": 60}
    crowd = asyncio.run(polls(url, token_files[1]["read"], question, 200, stop))
    assert {answer.status for answer in crowd} == {200}
    assert all(answer.body["complete"] for answer in crowd)
    assert process.end() == 0
    assert time.monotonic() - stopped_at < 3


@pytest.mark.parametrize("fast", [True, False])
def test_a_question_that_never_ends_is_no_failure_at_the_end(
    serve: Serve, token_files: tuple[Path, dict[str, str]], *, fast: bool
) -> None:
    """A stop waits a few seconds for the rest of a question, and then logs no traceback beside its lines of JSON."""
    process = serve(fast=fast)
    host, _, port = process.listening().removeprefix("http://").partition(":")
    let_in = f"Authorization: Bearer {token_files[1]['both']}\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"POST /v1/records/load HTTP/1.1\r\nHost: a\r\n{let_in}Content-Length: 9\r\n\r\n ".encode())
        time.sleep(0.5)
        process.signal(signal.SIGTERM)
        assert process.end() == 0
    assert [line for line in process.said if line.strip() and line[0] != "{"][1:] == ["stopped\n"]


def test_it_says_once_where_it_listens(serve: Serve) -> None:
    """One line on standard error says where it listens, one that it stopped; on loopback there is no warning."""
    process = serve()
    url = process.listening()
    assert url.startswith("http://127.0.0.1:")
    process.signal(signal.SIGTERM)
    assert process.end() == 0
    said = [line for line in process.said if line and not line.startswith("{")]
    assert said == [f"listening on {url}\n", "stopped\n"]


def test_plain_http_on_a_network_is_warned_of(serve: Serve) -> None:
    """A service that listens beyond loopback without TLS prints a warning."""
    process = serve(host="0.0.0.0")
    assert "TLS" in process.until("warning:")
    process.signal(signal.SIGTERM)
    assert process.end() == 0


def test_a_taken_port_is_a_clear_error(serve: Serve) -> None:
    """A port that is taken is an error that names it and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port}.*--port"):
            bind("127.0.0.1", port)
        process = serve(port=port)
        assert f"port {port}" in process.until("cannot listen")
        assert process.end() != 0


def test_an_address_that_is_not_here_is_a_clear_error() -> None:
    """An address of another machine cannot be listened on."""
    with pytest.raises(OSError, match="--host"):
        bind("192.0.2.1", 0)


def test_it_listens_on_ipv6_as_well() -> None:
    """An IPv6 address is as good as another."""
    with bind("::1", 0) as at:
        assert at.family == socket.AF_INET6


@pytest.mark.parametrize("content", [None, "{}"])
def test_it_does_not_start_without_tokens(serve: Serve, tmp_path: Path, content: str | None) -> None:
    """A missing or malformed tokens file ends it before it opens the ledger."""
    tokens = tmp_path / "tokens.json"
    if content is not None:
        tokens.write_text(content)
    process = serve(f"sqlite:///{tmp_path}/consents.db", tokens)
    assert process.end() != 0
    assert str(tokens) in "".join(process.said)
    assert not (tmp_path / "consents.db").exists()


def test_a_clean_restart_keeps_the_epoch_and_a_crash_does_not(
    serve: Serve, tmp_path: Path, token_files: tuple[Path, dict[str, str]], http: httpx.Client
) -> None:
    """Clients keep their cache over a clean restart; after `kill -9` they start empty."""
    epochs: list[str] = []
    for end in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
        process = serve(f"sqlite:///{tmp_path}/consents.db")
        asker = Asker(process.listening(), token_files[1]["both"], http)
        asker.append(f"u-{len(epochs)}", OPENED)
        epochs.append(asker.head()["epoch"])
        process.signal(end)
        process.end()
    assert epochs[0] == epochs[1] != epochs[2]


def test_a_crowd_of_connections_is_accepted_in_a_few_turns(
    service: Running, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the event loop has much to do in each turn, a client does not wait a turn for each one before it."""

    def work() -> None:
        """Take a while in each turn."""
        time.sleep(0.01)
        asyncio.get_running_loop().call_soon(work)

    def begin_work(_: ServiceContext) -> None:
        """Begin at the next tick."""
        monkeypatch.undo()
        work()

    monkeypatch.setattr(ServiceContext, "follow_board", begin_work)
    time.sleep(0.3)
    address = httpx.URL(service.url)
    with contextlib.ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(socket.create_connection((address.host, address.port), timeout=20))
        began = time.monotonic()
        assert http.get(f"{service.url}/healthz").status_code == 200
        assert time.monotonic() - began < 2
