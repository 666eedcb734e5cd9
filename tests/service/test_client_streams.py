"""Clients of a real service follow its feed as a stream, and come back to it after whatever ended it."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client import stream
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token, revoke_token
from diijam_consent_sdk.stores import AsyncHttpStore, HttpStore, MemoryStore
from tests.client.conftest import SIGNED_UP, eventually, reason
from tests.service.conftest import Asker, Start

WITHDRAWN = e.Withdrawn("marketing")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are tried again within a test's patience."""
    monkeypatch.setattr(stream, "FIRST_PAUSE_SECONDS", 0.1)


@pytest.fixture(autouse=True)
def others() -> set[threading.Thread]:
    """The threads that other tests left. What they left unclosed goes before it could be taken for this test's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return set(threading.enumerate())


@pytest.fixture
def store(asker: Asker) -> Iterator[HttpStore]:
    """The service's store, with a user who may be mailed."""
    store = HttpStore(asker.url, token=asker.token, deadline=10)
    store.append("u", SIGNED_UP)
    yield store
    store.close()


def test_a_change_reaches_a_client_by_the_stream(asker: Asker, store: HttpStore) -> None:
    """A withdrawal by another process reaches a cached user within a second, and the stream goes on."""
    with ConsentClient.from_url(asker.url, token=asker.token, deadline=10) as consent:
        assert consent.can_market("u", "email")
        assert eventually(lambda: consent.status().is_streaming)
        user = consent.user("u")
        for event, becomes in ((WITHDRAWN, Reason.WITHDRAWN), (SIGNED_UP[1], Reason.CONSENTED)):
            user = consent.user("u")
            store.append("u", [event])
            assert eventually(lambda user=user: reason(user) is Reason.STALE, within=1)  # type: ignore[misc]
            assert reason(consent.user("u")) is becomes
        assert consent.status().is_streaming


async def comes_to(holds: Callable[[], bool]) -> bool:
    """Whether a condition comes to hold in time, in an event loop."""
    for _ in range(500):
        if holds():
            return True
        await asyncio.sleep(0.01)
    return False


def test_a_change_reaches_an_async_client_by_the_stream(asker: Asker, store: HttpStore) -> None:
    """The same in an event loop, which is left without a task or a connection in the end."""

    async def main() -> None:
        """One program."""
        async with AsyncConsentClient.from_url(asker.url, token=asker.token, deadline=10) as consent:
            user = await consent.user("u")
            assert await comes_to(lambda: consent.status().is_streaming)
            await asyncio.to_thread(store.append, "u", [WITHDRAWN])
            assert await comes_to(lambda: reason(user) is Reason.STALE)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main(), debug=True)
        gc.collect()


@pytest.mark.parametrize("over", [HttpStore, AsyncHttpStore])
def test_a_loop_that_ends_leaves_no_stream_behind(
    asker: Asker, over: type, store: HttpStore, others: set[threading.Thread]
) -> None:
    """`asyncio.run` ends with the stream open, again and again; one client goes on in the next loop."""
    consent = AsyncConsentClient(over(asker.url, token=asker.token, deadline=10))

    async def task(number: int) -> bool:
        """One task of the application, which waits for its stream."""
        await consent.user(f"u-{number}")
        assert await comes_to(lambda: consent.status().is_streaming)
        return bool((await consent.user("u")).can_market("email"))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(3):
            assert asyncio.run(task(number), debug=True)
            gc.collect()
        asyncio.run(consent.close())
    assert eventually(lambda: all(t.name != "diijam-consent" for t in {*threading.enumerate()} - others))
    closing: Any = consent._store.close()
    if closing is not None:
        asyncio.run(closing)


def test_a_client_comes_back_to_the_stream_of_a_service_that_restarts(start: Start, tmp_path: Path) -> None:
    """The end of the service ends the stream, the feed is down, and with the service both come back."""
    token, inner = new_token(tmp_path / "tokens.json", "t", [Scope.ASK, Scope.READ, Scope.WRITE]), MemoryStore()
    service = start(inner, tmp_path / "tokens.json")
    with ConsentClient.from_url(service.url, token=token, deadline=2, max_staleness=2) as consent:
        assert not consent.can_market("u", "email")
        assert eventually(lambda: consent.status().is_streaming)
        service.stop()
        assert eventually(lambda: consent.status().feed == "down")
        assert not consent.status().is_streaming


def test_a_revoked_token_ends_the_stream_and_a_new_one_begins_another(start: Start, tmp_path: Path) -> None:
    """The service ends the stream of a revoked token; the client reads the new one from its file."""
    tokens, file = tmp_path / "tokens.json", tmp_path / "token"
    scopes = [Scope.ASK, Scope.READ, Scope.WRITE]
    file.write_text(new_token(tokens, "old", scopes))
    file.chmod(0o600)
    service = start(MemoryStore(), tokens)
    store = HttpStore(service.url, token=file.read_text, deadline=5)
    with ConsentClient(store, max_staleness=2) as consent:
        assert not consent.can_market("u", "email")
        assert eventually(lambda: consent.status().is_streaming)
        revoke_token(tokens, "old")
        assert eventually(lambda: consent.status().feed == "down", within=10)
        assert not consent.status().is_streaming
        file.write_text(new_token(tokens, "new", scopes))
        assert eventually(lambda: consent.status().is_streaming, within=10)
    store.close()
