"""Clients over HTTP, sync and async, through every kind of failure, which names no user and shows no token."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import pickle
import socket
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import (
    ConsentError,
    InvalidEvent,
    OutcomeUnknown,
    StoreUnavailable,
    VersionConflict,
)
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import Cursor, MemoryStore
from diijam_consent_sdk.stores.http.async_store import AsyncHttpStore
from diijam_consent_sdk.stores.http.store import HttpStore
from tests.faults import proxy as faults
from tests.faults.proxy import Proxy
from tests.service.conftest import Running, running

USER, NOTICE, RECIPIENT, KEY, HOLD = (f"secret-{what}" for what in ("user", "notice", "recipient", "key", "hold"))
PASSWORD = "secret-password"
SIGNED_UP = (e.AccountOpened(), e.Granted("marketing", notice=NOTICE, channels={"email"}))
PATIENT, DEADLINE = 20.0, 0.25
FAULTS = (
    faults.reset,
    faults.error_500,
    faults.error_503,
    faults.html,
    faults.redirect,
    faults.cached,
    faults.other_user,
    faults.truncation,
    faults.black_hole_after,
)
# A connection that is cut while it is being made is closed by the garbage collector, which asyncio's debug mode minds.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
LOUDEST = 1  # uvicorn's TRACE is 5, everybody else's DEBUG 10
LIBRARIES = ("asyncio", "diijam_consent_sdk", "httpcore", "httpx", "litestar", "opentelemetry", "uvicorn")


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """Collect the output of every logger of the process, at its lowest level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    names = {*logging.root.manager.loggerDict, *LIBRARIES, "uvicorn.error", "uvicorn.asgi", "uvicorn.access"}
    loggers = [logging.getLogger(), *map(logging.getLogger, sorted(names))]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(LOUDEST)
    loggers[0].addHandler(handler)
    yield stream
    loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


class Told:
    """Collects what is shown elsewhere than in logs."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.values: list[str] = []  # what was asked for: it may hold a notice, but no id
        self.pickles: list[bytes] = []
        self.kinds: set[type[BaseException]] = set()

    def show(self, *things: object) -> None:
        """Something that a program may print."""
        self.texts += [text for thing in things for text in (repr(thing), str(thing))]

    def error(self, error: BaseException) -> None:
        """An error, with those it came from and what a traceback shows."""
        self.kinds.add(type(error))
        self.pickles.append(pickle.dumps(error))
        self.texts += traceback.format_exception(error)
        cause: BaseException | None = error
        while cause is not None:
            self.show(cause, cause.args)
            cause = cause.__cause__ or cause.__context__

    async def of(self, *calls: Callable[[], Any]) -> None:
        """What these calls, sync or async, return or raise."""
        for call in calls:
            try:
                answer = call()
                if isinstance(answer, Awaitable):
                    answer = await answer
            except (ConsentError, ValueError, TypeError) as error:
                self.error(error)
            else:
                self.values.append(repr(answer))

    def secrets(self, logs: str, *secrets: str) -> list[str]:
        """Find the secrets that were shown, and where."""
        texts = [*self.texts, *logs.splitlines()]
        texts += [value for value in self.values if USER in value or KEY in value]
        return [text for text in texts for secret in secrets if secret in text]


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """Tokens of a service, by what they may do; and one that it does not know."""
    path = tmp_path / "tokens.json"
    made = {scope: new_token(path, scope, [Scope(scope)]) for scope in ("read", "write")}
    return {
        **made,
        "both": new_token(path, "both", [Scope.ASK, Scope.LIST, Scope.READ, Scope.WRITE]),
        "unknown": "dcs_secret-unknown",
    }


@pytest.fixture
def loud(said: io.StringIO, tmp_path: Path, tokens: dict[str, str]) -> Iterator[Running]:
    """A service in this process, made when everything is loud already."""
    service = running(MemoryStore(), tmp_path / "tokens.json")
    yield service
    service.stop()


@pytest.fixture
def proxy(loud: Running) -> Iterator[Proxy]:
    """The network between, which sees each URL and breaks on demand."""
    port = urlsplit(loud.url).port
    assert port is not None
    proxy = Proxy(port)
    yield proxy
    proxy.close()


def calls(store: Any) -> list[Callable[[], Any]]:
    """Run every operation of a store, with ids, keys and words that must stay secret."""
    nowhere = Cursor("0" * 32, 3, "00" * 32)
    return [
        lambda: store.load([USER]),
        lambda: store.history(USER),
        lambda: store.changes(nowhere, wait=0),
        lambda: store.append(USER, [e.AccountClosed()]),
        lambda: store.append(USER, [e.Agreed(NOTICE)], idempotency_key=KEY),
        lambda: store.append(USER, [e.HoldReleased(HOLD)], expected_version=9),
    ]


def refused(store: Any) -> list[Callable[[], Any]]:
    """What the service refuses: by the policy, by the version, by the key, by the form."""
    notified = e.Notified(NOTICE, RECIPIENT, {"email"}, "marketing")
    return [
        lambda: store.append(USER, SIGNED_UP, idempotency_key=KEY),
        lambda: store.append(USER, [e.AccountClosed()], idempotency_key=KEY),
        lambda: store.append(USER, [notified, e.HoldReleased(HOLD)]),
        lambda: store.append(USER, [e.AccountOpened()], expected_version=9),
        lambda: store.append(USER, [notified] * 1001),
        lambda: store.load([USER + "\x00"]),
    ]


async def through_everything(patient: Any, store: Any, proxy: Proxy, told: Told) -> None:
    """All of a store's calls, in health and through each fault."""
    told.show(patient, vars(patient))
    await told.of(*refused(patient), *calls(patient))
    for fault in FAULTS:
        proxy.fault = fault
        await told.of(*calls(store))
    proxy.fault = faults.healthy


def stores(kind: Any, proxy: Proxy, service: Running, token: str) -> list[Any]:
    """Two in order, one of them patient; one whose service is not there; one that speaks TLS to what does not."""
    gone = f"http://127.0.0.1:{_free_port()}"
    tls = service.url.replace("http:", "https:")
    patient = kind(proxy.url, token=token, deadline=PATIENT)
    return [patient, *(kind(url, token=token, deadline=DEADLINE) for url in (proxy.url, gone, tls))]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as at:
        return int(at.getsockname()[1])


@pytest.mark.parametrize("kind", [HttpStore, AsyncHttpStore])
def test_stores_tell_nothing(
    kind: type, said: io.StringIO, loud: Running, proxy: Proxy, tokens: dict[str, str]
) -> None:
    """No log, error, traceback, repr or URL of a store has an id, a word of the customer's or a token."""
    told = Told()

    async def everything() -> None:
        """Through all stores and tokens."""
        asyncio.get_running_loop().slow_callback_duration = 0  # in debug mode: a line for each step of the loop
        patient, hasty, *broken = stores(kind, proxy, loud, tokens["both"])
        await through_everything(patient, hasty, proxy, told)
        for store in broken:
            await told.of(*calls(store)[:4])
        for name in ("read", "write", "unknown"):
            other = kind(proxy.url, token=lambda name=name: tokens[name], deadline=PATIENT)
            await told.of(*calls(other))
            broken.append(other)
        for store in (patient, hasty, *broken):
            await told.of(store.close, *calls(store)[:1])
        await told.of(
            lambda: kind(f"https://somebody:{PASSWORD}@consent.example"),
            lambda: kind(f"https://consent.example/?token={PASSWORD}"),
            lambda: kind(proxy.url, token=PASSWORD + "\n"),
            lambda: kind(proxy.url, token=PASSWORD.encode()),
        )

    asyncio.run(everything(), debug=True)
    gc.collect()
    logs = said.getvalue()
    assert {InvalidEvent, VersionConflict, OutcomeUnknown, StoreUnavailable, ValueError, TypeError} <= told.kinds
    assert [name for name in LIBRARIES if f"{name} " not in logs and f"{name}." not in logs] in (
        ["httpx", "litestar", "opentelemetry", "uvicorn"],
        ["httpx", "litestar", "uvicorn"],
    )
    secrets = (USER, NOTICE, RECIPIENT, KEY, HOLD, PASSWORD, *tokens.values())
    assert told.secrets(logs, *secrets) == []
    assert not [data for data in told.pickles for token in tokens.values() if token.encode() in data]
    assert set(proxy.requests) == {"/v1/records/load", "/v1/history/load", "/v1/changes", "/v1/events/append"}


@pytest.mark.parametrize("kind", [ConsentClient, AsyncConsentClient])
def test_clients_tell_nothing(
    kind: Any, said: io.StringIO, loud: Running, proxy: Proxy, tokens: dict[str, str]
) -> None:
    """No log, error, repr, status or metric of a client, through an outage, has an id or a token."""
    told = Told()

    async def life() -> None:
        """Write, ask, lose the service, find it again, close."""
        asyncio.get_running_loop().slow_callback_duration = 0
        patient, client = (
            kind.from_url(proxy.url, token=tokens["both"], max_staleness=1, deadline=seconds)
            for seconds in (PATIENT, DEADLINE)
        )
        await told.of(
            lambda: patient.record(USER, *SIGNED_UP, idempotency_key=KEY),
            lambda: patient.record(USER, e.AccountOpened()),
            lambda: patient.user(USER),
            patient.close,
        )
        for fault in (faults.healthy, faults.error_500, faults.black_hole_after, faults.healthy):
            proxy.fault = fault
            await told.of(
                lambda: client.record(USER, *SIGNED_UP, idempotency_key=KEY),
                lambda: client.record(USER, e.Notified(NOTICE, RECIPIENT, {"email"}, "marketing")),
                lambda: client.record(USER, e.AccountOpened()),
                lambda: client.load(USER),
                lambda: client.history(USER),
                lambda: client.user(USER),
                lambda: client.user(USER, at_least=f"{'0' * 32}.3.{'00' * 32}"),
            )
            await asyncio.sleep(0.3)  # polls meet the fault too
            told.show(client, client.status())
        while client._own_engine._writes:  # noqa: ASYNC110 - what was repeated in the background is definite soon
            await asyncio.sleep(0.05)
        await told.of(client.close, lambda: client.load(USER))

    asyncio.run(life(), debug=True)
    gc.collect()
    figures = httpx.get(f"{loud.url}/metrics").text
    assert "store.unreachable" in said.getvalue()
    assert told.kinds >= {InvalidEvent, OutcomeUnknown}
    assert told.secrets(said.getvalue() + figures, USER, NOTICE, RECIPIENT, KEY, *tokens.values()) == []
