"""No answer is larger than it may be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import TooLarge
from diijam_consent_sdk.service import encoding
from diijam_consent_sdk.stores import AsyncHttpStore, HttpStore
from tests.service.conftest import NONCE, OPENED, Asker
from tests.service.test_problems import is_problem

FILED = [{"type": "RequestFiled", "request": f"r-{number}", "kind": "access"} for number in range(9)]


def test_records_that_are_too_many_bytes_are_refused(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load past the limit is 413 and says what to do; the client's store raises it as such; fewer are loaded."""
    users = [f"u-{number}" for number in range(4)]
    for user in users:
        asker.append(user, *FILED)
    size = len(asker.post("/v1/records/load", {"nonce": NONCE, "user_ids": users}).content)
    monkeypatch.setattr(encoding, "MAX_ANSWER_BYTES", size // 2)
    answer = asker.post("/v1/records/load", {"nonce": NONCE, "user_ids": users})
    assert "ask for fewer users" in is_problem(answer, "too-large")["detail"]
    store = HttpStore(asker.url, token=asker.token, deadline=20)
    with pytest.raises(TooLarge):
        store.load(users)
    assert len(store.load(users[:1]).records) == 1
    store.close()


def test_a_history_comes_in_pages(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history past the size of a page goes on from the version in `after`; the client's stores read all of it."""
    asker.append("u-1", OPENED, *FILED)
    whole = asker.ask("/v1/history/load", user_id="u-1")
    assert (len(whole["entries"]), whole["after"]) == (10, None)
    monkeypatch.setattr(encoding, "PAGE_BYTES", 400)
    read: list[Any] = []
    after: int | None = 0
    pages = 0
    while after is not None:
        page = asker.ask("/v1/history/load", user_id="u-1", after=after)
        read, after, pages = [*read, *page["entries"]], page["after"], pages + 1
    assert read == whole["entries"]
    assert pages > 3
    store = HttpStore(asker.url, token=asker.token, deadline=20)
    assert [entry.version for entry in store.history("u-1")] == list(range(1, 11))
    store.close()

    async def through_asyncio() -> list[int]:
        """The versions that the async store reads."""
        other = AsyncHttpStore(asker.url, token=asker.token, deadline=20)
        versions = [entry.version for entry in await other.history("u-1")]
        await other.close()
        return versions

    assert asyncio.run(through_asyncio()) == list(range(1, 11))


def test_an_erasure_between_two_pages_leaves_the_tombstone(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a user who is erased while the history is read, the client's store gives the `Erased` alone."""
    monkeypatch.setattr(encoding, "PAGE_BYTES", 1)
    asker.append("u-1", OPENED, {"type": "AccountClosed"})
    store = HttpStore(asker.url, token=asker.token, deadline=20)
    send = store._transport.send

    def erasing(exchange: Any, attempts: Any) -> Any:
        """Erase the user after the first page."""
        page = send(exchange, attempts)
        if exchange.fields.get("after") == 0:
            asker.append("u-1", {"type": "Erased"})
        return page

    monkeypatch.setattr(store._transport, "send", erasing)
    assert [type(entry.event) for entry in store.history("u-1")] == [e.Erased]
    store.close()


def test_a_work_list_comes_in_pages(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of requests ends where it would become too large, with at least one user, and tells where to go on."""
    users = [f"u-{number}" for number in range(5)]
    for user in users:
        asker.append(user, *FILED)
    monkeypatch.setattr(encoding, "PAGE_BYTES", 1)
    found: list[str] = []
    after: str | None = None
    for _ in range(10):
        page = asker.ask("/v1/requests/due", after=after)
        found += [record["user_id"] for record in page["records"]]
        assert len(page["records"]) <= 1
        if (after := page["after"]) is None:
            break
    assert found == users
