"""The four calls, over a sync and over an async store."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from diijam_consent_sdk.events import AccountClosed, AccountOpened, Erased, Event, Granted, LedgerEntry
from diijam_consent_sdk.notices import NoticeText, RegisteredNotice
from diijam_consent_sdk.stores import Appended, Changes, Cursor, Loaded, MemoryStore
from diijam_consent_sdk.stores.answers import Entries
from diijam_consent_sdk.stores.protocol import OpenRequests, Standings, StandingsPage
from diijam_consent_sdk.stores.registry import MAX_NOTICES_PAGE
from tests.service.conftest import GRANTED, NONCE, OPENED, Ask, Asker, Running, Start


class AsyncMemoryStore:
    """The memory store as an async one."""

    def __init__(self) -> None:
        self.inner = MemoryStore()

    async def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        return self.inner.load(user_ids)

    async def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        return self.inner.standings(user_ids)

    async def list_standings(self, after_user_id: str | None, limit: int = 1000) -> StandingsPage:
        """See `Store.list_standings`."""
        return self.inner.list_standings(after_user_id, limit)

    async def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        return self.inner.open_requests(after, limit=limit)

    async def entries(self, after: Cursor, *, wait: float, limit: int = 1000) -> Entries:
        """See `Store.entries`."""
        return self.inner.entries(after, wait=wait, limit=limit)

    async def append(self, user_id: str, events: Iterable[Event], **options: Any) -> Appended:
        """See `Store.append`."""
        return self.inner.append(user_id, events, **options)

    async def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`; it waits in the calling thread, so that a wait on the loop would block it."""
        import asyncio  # noqa: PLC0415

        while True:
            found = self.inner.changes(after, wait=0, limit=limit)
            if found.cursor != after or wait <= 0:
                return found
            wait -= 0.01
            await asyncio.sleep(0.01)

    async def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        return self.inner.history(user_id)

    async def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`."""
        return self.inner.register_notice(text, by=by)

    async def notice(self, notice: str) -> RegisteredNotice | None:
        """See `Notices.notice`."""
        return self.inner.notice(notice)

    async def notices(self, after: str | None = None, *, limit: int = MAX_NOTICES_PAGE) -> list[RegisteredNotice]:
        """See `Notices.notices`."""
        return self.inner.notices(after, limit=limit)

    async def require_notices(self) -> None:
        """See `Notices.require_notices`."""
        self.inner.require_notices()

    async def close(self) -> None:
        """See `Store.close`."""
        self.inner.close()


@pytest.fixture(params=["sync", "async"])
def service(request: pytest.FixtureRequest, start: Start) -> Running:
    """A service over a store of each kind."""
    return start(MemoryStore() if request.param == "sync" else AsyncMemoryStore())


def test_appended_events_can_be_loaded(asker: Asker) -> None:
    """An append answers with the record it made, and a load gives it to everybody."""
    appended = asker.append("u-1", OPENED, GRANTED)
    assert appended["record"]["consents"]["marketing:email"]["notice"] == "promo-2026-11"
    loaded = asker.load("u-1")
    assert loaded["records"] == [appended["record"]]
    assert loaded["cursor"] == appended["cursor"]


def test_records_come_in_the_order_asked(asker: Asker) -> None:
    """There is one record for each id, once and in the order asked, of version 0 for an unknown user."""
    asker.append("u-2", OPENED)
    records = asker.load("u-1", "u-2", "u-1")["records"]
    assert [(record["user_id"], record["version"]) for record in records] == [("u-1", 0), ("u-2", 1)]


def test_a_load_of_nobody_gives_the_head(asker: Asker) -> None:
    """A load without ids answers with the head and the store's wall clock, in UTC."""
    loaded = asker.load()
    assert (loaded["cursor"]["position"], loaded["records"]) == (0, [])
    assert abs((datetime.now(UTC) - datetime.fromisoformat(loaded["at"])).total_seconds()) < 60


def test_an_idempotency_key_writes_once(asker: Asker) -> None:
    """The same question with the same key again gets the same answer and writes nothing."""
    first = asker.append("u-1", OPENED, idempotency_key="k-1")
    assert not first["is_repeat"]
    assert asker.append("u-1", OPENED, idempotency_key="k-1") == {**first, "is_repeat": True}
    assert asker.head() == first["cursor"]


def test_history_is_the_entries_oldest_first(asker: Asker) -> None:
    """A user's history has every entry with its position, version, time and event."""
    asker.append("u-0", OPENED)
    asker.append("u-1", OPENED, GRANTED)
    entries = asker.ask("/v1/history/load", user_id="u-1")["entries"]
    assert [(e["position"], e["version"], e["user_id"], e["event"]["type"]) for e in entries] == [
        (2, 1, "u-1", "AccountOpened"),
        (3, 2, "u-1", "Granted"),
    ]


def test_the_ledger_is_read_from_its_first_entry_on(asker: Asker) -> None:
    """With no cursor to go on from, the entries begin with the first, and the answer's cursor leads on."""
    empty = asker.ask("/v1/entries", after=None)
    assert (empty["entries"], empty["after"], empty["complete"]) == ([], empty["cursor"], True)
    asker.append("u-1", OPENED, GRANTED)
    last = asker.append("u-2", OPENED)["cursor"]
    page = asker.ask("/v1/entries", after=None, limit=2)
    assert [entry["position"] for entry in page["entries"]] == [1, 2]
    assert (page["after"], page["complete"]) == (empty["after"], False)
    rest = asker.ask("/v1/entries", after=page["cursor"])
    assert [entry["position"] for entry in rest["entries"]] == [3]
    assert (rest["after"], rest["cursor"], rest["complete"]) == (page["cursor"], last, True)


def test_changes_name_who_changed(asker: Asker) -> None:
    """Without waiting, changes name the users changed since the cursor, each with its last position, to the head."""
    head = asker.head()
    asker.append("u-1", OPENED)
    asker.append("u-2", OPENED)
    last = asker.append("u-1", GRANTED)["cursor"]
    found = asker.changes(head)
    assert found["user_ids"] == {"u-2": 2, "u-1": 3}
    assert (found["after"], found["cursor"], found["complete"]) == (head, last, True)


def test_changes_go_on_by_the_limit(asker: Asker) -> None:
    """With a limit, changes stop there, say that they are not complete, and can be asked on from there."""
    head = asker.head()
    for number in range(3):
        asker.append(f"u-{number}", OPENED)
    first = asker.changes(head, limit=2)
    assert (list(first["user_ids"]), first["complete"]) == (["u-0", "u-1"], False)
    assert list(asker.changes(first["cursor"], limit=2)["user_ids"]) == ["u-2"]


def test_a_foreign_cursor_gets_the_head_at_once(asker: Asker) -> None:
    """A cursor of another history, or one that this history does not have, is answered at once with the head."""
    head = asker.append("u-1", OPENED)["cursor"]
    for foreign in ({**head, "epoch": "other"}, {**head, "hash": "00"}, {**head, "position": 9}):
        found = asker.changes(foreign, wait=30)
        assert (found["cursor"], found["user_ids"], found["complete"]) == (head, {}, True)


def test_each_answer_echoes_its_nonce(asker: Asker) -> None:
    """Every answer has the nonce of its question."""
    head = asker.head()
    questions: dict[str, dict[str, Any]] = {
        "/v1/standings/load": {"user_ids": []},
        "/v1/standings/list": {"after": None},
        "/v1/records/load": {"user_ids": []},
        "/v1/events/append": {"user_id": "u-1", "events": [OPENED]},
        "/v1/history/load": {"user_id": "u-1"},
        "/v1/requests/due": {},
        "/v1/changes": {"after": head},
    }
    for number, (path, question) in enumerate(questions.items()):
        nonce = f"{NONCE}-{number}"
        assert asker.post(path, {"nonce": nonce, **question}).json()["nonce"] == nonce


def test_no_answer_may_be_stored(asker: Asker, service: Running, http: httpx.Client) -> None:
    """Every answer has `Cache-Control: no-store` once, also one to a bad question or an unknown path."""
    answers = [
        asker.post("/v1/records/load", {"nonce": NONCE, "user_ids": []}),
        asker.post("/v1/records/load", {}),
        asker.post("/nowhere"),
        http.get(f"{service.url}/v1/changes"),
        http.get(f"{service.url}/healthz"),
        http.get(f"{service.url}/metrics"),
        http.get(f"{service.url}/openapi.json"),
        http.options(f"{service.url}/v1/changes"),
    ]
    assert [answer.headers.get_list("cache-control") for answer in answers] == [["no-store"]] * len(answers)


def test_of_an_erased_user_the_tombstone_is_left(start: Start, ask_as: Ask) -> None:
    """The history of an erased user is the erasure alone."""
    store = MemoryStore()
    store.append("u-1", [AccountOpened(), Granted("surveys", "n-1"), AccountClosed(), Erased()])
    entries = ask_as(start(store)).ask("/v1/history/load", user_id="u-1")["entries"]
    assert [(entry["version"], entry["event"]["type"]) for entry in entries] == [(4, "Erased")]
