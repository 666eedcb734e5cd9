"""Services on ephemeral ports, each in a separate thread, and clients of them."""

from __future__ import annotations

import asyncio
import functools
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from diijam_consent_sdk.service import create_app
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.server import Server, bind
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import AsyncStore, MemoryStore, Store

NONCE = "0123456789abcdef"
OPENED = {"type": "AccountOpened"}
GRANTED = {"type": "Granted", "purpose": "marketing", "notice": "promo-2026-11", "channels": ["email"]}
WITHDRAWN = {"type": "Withdrawn", "purpose": "marketing"}


@attrs.frozen
class Asker:
    """An HTTP client of a service."""

    url: str
    token: str | None
    http: httpx.Client

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """Send a body as it is."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self.http.post(self.url + path, json=body, headers=headers, **more)

    def ask(self, path: str, **question: Any) -> Any:
        """Ask one question and return its answer, whose status must be 200."""
        answer = self.post(path, {"nonce": NONCE, **question})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def load(self, *user_ids: str) -> Any:
        """Ask for records."""
        return self.ask("/v1/records/load", user_ids=user_ids)

    def append(self, user_id: str, *events: dict[str, Any], **options: Any) -> Any:
        """Append events."""
        return self.ask("/v1/events/append", user_id=user_id, events=events, **options)

    def changes(self, after: Any, **options: Any) -> Any:
        """Ask who changed."""
        return self.ask("/v1/changes", after=after, **options)

    def head(self) -> Any:
        """The head of the ledger."""
        return self.load()["cursor"]


@attrs.define
class Running:
    """A service that runs in a thread."""

    url: str
    app: Any
    server: Server
    thread: threading.Thread

    def stop(self) -> None:
        """Stop it as a signal would, and wait for its end."""
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()


Start = Callable[..., Running]
Ask = Callable[..., Asker]


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a new event loop."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


@pytest.fixture(scope="session")
def token_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Make a tokens file, with tokens named by their scopes: `read`, `write`, `both`."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.json"
    scopes = {
        "read": [Scope.ASK, Scope.LIST, Scope.READ],
        "write": [Scope.WRITE],
        "both": [Scope.ASK, Scope.LIST, Scope.READ, Scope.WRITE],
    }
    return path, {name: new_token(path, name, allowed) for name, allowed in scopes.items()}


def running(
    store: Store | AsyncStore, tokens: Path, tls: ssl.SSLContext | None = None, verify_every: timedelta | None = None
) -> Running:
    """Start a service, and wait until it accepts connections."""
    app = create_app(store, tokens=tokens, verify_every=verify_every)
    ready = threading.Event()
    server = Server(app, ready.set, tls)
    at = bind("127.0.0.1", 0)
    url = f"{'https' if tls else 'http'}://127.0.0.1:{at.getsockname()[1]}"
    thread = threading.Thread(target=server.run, args=([at],), daemon=True)
    thread.start()
    assert ready.wait(20)
    return Running(url, app, server, thread)


@pytest.fixture
def start(token_files: tuple[Path, dict[str, str]]) -> Iterator[Start]:
    """Start services over stores, and stop them after the test."""
    started: list[Running] = []

    def run(
        store: Store | AsyncStore | None = None, tokens: Path = token_files[0], verify_every: timedelta | None = None
    ) -> Running:
        served = store if store is not None else MemoryStore()
        started.append(running(served, tokens, verify_every=verify_every))
        return started[-1]

    yield run
    for one in started:
        one.server.should_exit = True  # all at once, then wait for each
    for one in started:
        one.stop()


@pytest.fixture(scope="session")
def shared(token_files: tuple[Path, dict[str, str]]) -> Iterator[Running]:
    """Share one service between tests that do not mind each other's events."""
    one = running(MemoryStore(), token_files[0])
    yield one
    one.stop()


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    """Make an HTTP client."""
    with httpx.Client(timeout=20) as client:
        yield client


@pytest.fixture
def ask_as(http: httpx.Client, token_files: tuple[Path, dict[str, str]]) -> Ask:
    """Make clients of a service, with one of the tokens of `token_files`, any other, or none."""

    def asker(running: Running, token: str | None = "both") -> Asker:
        return Asker(running.url, token_files[1].get(token or "", token), http)

    return asker


@pytest.fixture
def service(start: Start) -> Running:
    """Start a service over a store in memory."""
    return start()


@pytest.fixture
def anybody(shared: Running, ask_as: Ask) -> Asker:
    """Make a client with all scopes for the shared service."""
    return ask_as(shared)


@pytest.fixture
def asker(service: Running, ask_as: Ask) -> Asker:
    """Make a client with all scopes."""
    return ask_as(service)
