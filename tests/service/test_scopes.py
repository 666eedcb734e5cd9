"""Scopes: what a token allows, and what its client is told of the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from diijam_consent_sdk import ConsentClient, Reason
from diijam_consent_sdk.errors import NotEntitled, VersionConflict
from diijam_consent_sdk.events import AccountOpened, Granted
from diijam_consent_sdk.service.scopes import Scope, needed_for
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import AsyncHttpStore, HttpStore, MemoryStore, wire
from diijam_consent_sdk.stores.token_messages import OwnToken
from tests.service.conftest import GRANTED, NONCE, OPENED, WITHDRAWN, Ask, Asker, Running, Start, running
from tests.service.test_problems import is_problem

ASKS = {"ask", "ask:marketing", "ask:profile", "ask:sharing", "ask:analytics", "ask:retention"}
HEAD = {"epoch": "e", "position": 0, "hash": "h"}
QUESTIONS: dict[str, tuple[set[str], dict[str, Any]]] = {
    "/v1/standings/load": (ASKS, {"user_ids": []}),
    "/v1/records/load": ({"read"}, {"user_ids": []}),
    "/v1/history/load": ({"read"}, {"user_id": "u-1"}),
    "/v1/requests/due": ({"read"}, {}),
    "/v1/changes": ({"read"} | ASKS, {"after": HEAD}),
    "/v1/events/append": (
        {"write", "write:accounts"}, {"user_id": "u-1", "events": [OPENED], "idempotency_key": "k"},
    ),
}  # fmt: skip
T = "2026-12-31T00:00:00Z"
EVENTS: dict[str, list[dict[str, Any]]] = {
    "write:accounts": [{"type": "AccountOpened"}, {"type": "AccountClosed"}],
    "write:consents": [
        GRANTED, {"type": "Agreed", "notice": "n"}, {"type": "Published", "field": "avatar"},
        {"type": "ObjectionLifted", "purpose": "marketing"}, {"type": "RestrictionLifted"},
    ],
    "write:refusals": [
        WITHDRAWN, {"type": "AgreementWithdrawn", "notice": "n"}, {"type": "Objected", "purpose": "marketing"},
        {"type": "Restricted"}, {"type": "Hidden", "field": "avatar"},
    ],
    "write:requests": [
        {"type": "RequestFiled", "request": "r", "kind": "access"}, {"type": "RequestReplied", "request": "r"},
        {"type": "RequestExtended", "request": "r", "reason": "x"},
        {"type": "RequestResolved", "request": "r", "outcome": "fulfilled"},
    ],
    "write:notices": [
        {"type": "Notified", "notice": "n", "recipient": "acme", "data": ["email"], "purpose": "marketing"}
    ],
    "write:holds": [
        {"type": "HoldPlaced", "hold": "h", "kind": "tax", "data": ["email"]}, {"type": "HoldReleased", "hold": "h"},
    ],
    "write:erasures": [{"type": "Erased"}, {"type": "ErasureConfirmed", "holder": "mailer"}],
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a tokens file may be made."""
    return tmp_path / "tokens.json"


@pytest.fixture(scope="module")
def by_scope(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, dict[str, str]]]:
    """A service, and a token for each scope, which has no other."""
    path = tmp_path_factory.mktemp("scopes") / "tokens.json"
    tokens = {str(scope): new_token(path, scope.replace(":", "-"), [scope]) for scope in Scope}
    one = running(MemoryStore(), path)
    yield one, tokens
    one.stop()


@pytest.mark.parametrize("path", QUESTIONS)
def test_each_question_needs_its_scope(by_scope: tuple[Running, dict[str, str]], http: httpx.Client, path: str) -> None:
    """A token with one of the scopes of a question, and no other, is answered; one without is told what it lacks."""
    service, tokens = by_scope
    scopes, question = QUESTIONS[path]
    for scope, token in tokens.items():
        answer = Asker(service.url, token, http).post(path, {"nonce": NONCE, **question})
        if scope in scopes:
            assert answer.status_code == 200, scope
        else:
            problem = is_problem(answer, "forbidden")
            assert set(problem["scopes"]) == scopes - {"write"}
            assert all(scope in problem["detail"] for scope in problem["scopes"])
            assert "insufficient_scope" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("scope", EVENTS)
def test_each_event_needs_its_scope(by_scope: tuple[Running, dict[str, str]], http: httpx.Client, scope: str) -> None:
    """An event is taken with its scope or `write`, and is forbidden with any other, whatever the record is."""
    service, tokens = by_scope
    for event in EVENTS[scope]:
        for other, token in tokens.items():
            answer = Asker(service.url, token, http).post(
                "/v1/events/append", {"nonce": NONCE, "user_id": "u-2", "events": [event]}
            )
            if other in {scope, "write"}:
                assert answer.status_code in {200, 422}, (event, other)
            else:
                assert is_problem(answer, "forbidden")["scopes"] == [scope]


def test_every_event_is_tried() -> None:
    """The table above has each event once."""
    assert sorted(event["type"] for events in EVENTS.values() for event in events) == sorted(wire.EVENT_TYPES)


def test_a_batch_needs_the_scopes_of_all_its_events(start: Start, path: Path, http: httpx.Client) -> None:
    """A batch with one event that the token may not write is refused whole, and the problem names what is missing."""
    token = new_token(path, "signup", [Scope.WRITE_ACCOUNTS, Scope.WRITE_CONSENTS])
    auditor = new_token(path, "auditor", [Scope.READ])
    url = start(tokens=path).url
    question = {"nonce": NONCE, "user_id": "u-1", "events": [OPENED, GRANTED, WITHDRAWN, {"type": "Erased"}]}
    problem = is_problem(Asker(url, token, http).post("/v1/events/append", question), "forbidden")
    assert problem["scopes"] == ["write:erasures", "write:refusals"]
    assert "write:erasures and write:refusals" in problem["detail"]
    assert Asker(url, auditor, http).load("u-1")["records"][0]["version"] == 0
    Asker(url, token, http).append("u-1", OPENED, GRANTED)
    assert Asker(url, auditor, http).load("u-1")["records"][0]["version"] == 2


@pytest.mark.parametrize(("scope", "is_import"), [("write:consents", False), ("write:consents", True)])
def test_an_import_needs_its_scope_beside_the_events(scope: str, is_import: bool) -> None:
    """What was collected before this ledger needs `write:imports` as well; the events' scopes alone are not enough."""
    granted = Granted("surveys", notice="s")
    assert needed_for([granted], is_import=is_import) == {scope} | ({"write:imports"} if is_import else set())


def test_without_read_a_write_shows_nothing_of_the_record(shared: Running, ask_as: Ask) -> None:
    """S14: an append without `read` gets no record, and a conflict does not tell the version; with `read` both are."""
    writer, both = ask_as(shared, "write"), ask_as(shared, "both")
    told = writer.append("s-14", OPENED)
    assert set(told) == {"nonce", "user_id", "cursor", "version", "is_repeat"}
    question = {"nonce": NONCE, "user_id": "s-14", "events": [GRANTED], "expected_version": 10**9}
    problem = is_problem(writer.post("/v1/events/append", question), "version-conflict")
    assert "actual" not in problem
    assert "the record is at another" in problem["detail"]
    assert is_problem(both.post("/v1/events/append", question), "version-conflict")["actual"] == 1
    assert both.append("s-14", GRANTED)["record"]["version"] == 2


def test_the_store_says_which_scope_is_missing(
    shared: Running, token_files: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """`HttpStore` raises `NotEntitled` with the scopes and who gives them, and a conflict without the version."""
    with closing(HttpStore(shared.url, token=token_files[1]["write"])) as store:
        with pytest.raises(NotEntitled, match="who runs the consent service gives one") as refused:
            store.standings(["u-1"])
        assert set(refused.value.scopes) == ASKS
        with pytest.raises(NotEntitled) as refused:
            store.load(["u-1"])
        assert refused.value.scopes == ("read",)
        with pytest.raises(VersionConflict, match="the record is at another") as conflict:
            store.append("s-15", [AccountOpened()], expected_version=7)
        assert conflict.value.actual is None
        assert store.append("s-15", [AccountOpened()]).record is None
    with closing(HttpStore(shared.url, token=token_files[1]["read"])) as store:
        with pytest.raises(NotEntitled) as refused:
            store.append("s-15", [Granted("surveys", notice="s")])
        assert refused.value.scopes == ("write:consents",)


def test_a_guard_without_the_scope_is_unavailable_and_the_status_says_why(
    shared: Running, token_files: tuple[Path, dict[str, str]]
) -> None:
    """A load that is refused for the scope denies with `UNAVAILABLE`, and `status().last_error` names the scope."""
    with ConsentClient.from_url(shared.url, token=token_files[1]["write"], follow=False, deadline=10) as consent:
        assert consent.can_market("u-1", "email").reason is Reason.UNAVAILABLE
        error = consent.status().last_error
    assert error is not None
    assert "lacks the scope ask or" in error


def test_a_relay_that_lacks_a_scope_says_that_it_is_its_own(
    start: Start, path: Path, http: httpx.Client, ask_as: Ask, shared: Running
) -> None:
    """What a relay's own token may not do is forbidden for its clients, and the text names the relay's token."""
    edge = new_token(path, "edge", [Scope.READ])
    upstream = start(tokens=path).url
    with closing(HttpStore(upstream, token=edge, deadline=10)) as store:
        relay = start(store)
        question = {"nonce": NONCE, "user_id": "u-1", "events": [OPENED], "idempotency_key": "k"}
        problem = is_problem(ask_as(relay).post("/v1/events/append", question), "forbidden")
    assert problem["scopes"] == ["write:accounts"]
    assert "the token of edge lacks" in problem["detail"]


async def own_token_in_a_task(url: str, token: str) -> OwnToken:
    """What the async store is told."""
    store = AsyncHttpStore(url, token=token, deadline=10)
    try:
        return await store.own_token()
    finally:
        await store.close()


def test_a_token_tells_what_it_is(start: Start, path: Path) -> None:
    """Any token, whatever its scopes, may ask for its name, scopes and end, and gets the service's time with them."""
    end = datetime(2099, 6, 30, tzinfo=UTC)
    tokens = {scope: new_token(path, scope.replace(":", "-"), [scope], expires_at=end) for scope in Scope}
    url, before = start(tokens=path).url, datetime.now(UTC)
    for scope, token in tokens.items():
        with closing(HttpStore(url, token=token, deadline=10)) as store:
            own = store.own_token()
        assert attrs.evolve(asyncio.run(own_token_in_a_task(url, token)), at=own.at) == own
        assert (own.name, own.scopes, own.expires_at) == (scope.replace(":", "-"), (scope,), end)
        assert before <= own.at <= datetime.now(UTC)
