"""Whatever goes wrong is answered with a problem document that says what to do next, and repeats nothing."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from diijam_consent_sdk.errors import (
    ConsentError,
    InvalidEvent,
    KeyReused,
    LedgerBroken,
    NotEntitled,
    OutcomeUnknown,
    StoreUnavailable,
    StoreUnusable,
    TooLarge,
    VersionConflict,
)
from diijam_consent_sdk.service.problems import MAX_TEXT, PROBLEMS, redact
from diijam_consent_sdk.stores.http.exchange import PATHS
from diijam_consent_sdk.stores.message_fields import LOAD_BODY_BYTES, MAX_BODY_BYTES, SMALL_BODY_BYTES, Question
from diijam_consent_sdk.stores.problem_document import PROBLEM_TYPE
from tests.service.conftest import GRANTED, NONCE, OPENED, Ask, Asker, Running, Start
from tests.service.fakes import FaultyStore

SECRET = "nguyen.van.a"
LOAD, APPEND, CHANGES = "/v1/records/load", "/v1/events/append", "/v1/changes"
LARGE = ("/standings/load", "/records/load", "/append", "/append-many", "/notices/register")


def is_problem(answer: httpx.Response, key: str) -> dict[str, Any]:
    """The problem in *answer*, which must be this one."""
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    status, title = PROBLEMS[key]
    assert (document["type"], document["title"]) == (PROBLEM_TYPE + key, title)
    assert document["status"] == answer.status_code == status
    assert len(document["detail"]) > 10
    assert SECRET not in answer.text
    assert None not in document.values()
    return document


@pytest.mark.parametrize(
    ("path", "question"),
    [
        pytest.param(LOAD, {}, id="nothing in it"),
        pytest.param(LOAD, {"nonce": "short", "user_ids": []}, id="short nonce"),
        pytest.param(LOAD, {"nonce": NONCE, "user_ids": SECRET}, id="one id for many"),
        pytest.param(LOAD, {"nonce": NONCE, "user_ids": [""]}, id="empty id"),
        pytest.param(LOAD, {"nonce": NONCE, "user_ids": [SECRET * 50]}, id="long id"),
        pytest.param(LOAD, {"nonce": NONCE, "user_ids": [SECRET + "\n"]}, id="control character"),
        pytest.param(LOAD, {"nonce": NONCE, "user_ids": ["u"] * 1001}, id="too many ids"),
        pytest.param(LOAD, {"nonce": NONCE, "user_ids": [], SECRET: 1}, id="unknown field"),
        pytest.param(LOAD, [SECRET], id="no object"),
        pytest.param(APPEND, {"nonce": NONCE, "user_id": SECRET, "events": []}, id="no events"),
        pytest.param(APPEND, {"nonce": NONCE, "user_id": SECRET, "events": [{"type": SECRET}]}, id="unknown event"),
        pytest.param(
            APPEND, {"nonce": NONCE, "user_id": "u", "events": [{**OPENED, SECRET: 1}]}, id="unknown field of an event"
        ),
        pytest.param(
            APPEND, {"nonce": NONCE, "user_id": "u", "events": [{**GRANTED, "purpose": SECRET}]}, id="unknown word"
        ),
        pytest.param(
            APPEND, {"nonce": NONCE, "user_id": "u", "events": [{**GRANTED, "expires_at": SECRET}]}, id="no time"
        ),
        pytest.param(
            APPEND,
            {"nonce": NONCE, "user_id": "u", "events": [OPENED], "expected_version": "1"},
            id="text for a number",
        ),
        pytest.param(CHANGES, {"nonce": NONCE, "after": SECRET}, id="no cursor"),
        pytest.param(
            CHANGES, {"nonce": NONCE, "after": {"epoch": SECRET, "position": 2**63, "hash": ""}}, id="huge position"
        ),
        pytest.param(
            CHANGES, {"nonce": NONCE, "after": {"epoch": SECRET, "position": -1, "hash": ""}}, id="negative position"
        ),
        pytest.param(
            CHANGES, {"nonce": NONCE, "after": {"epoch": "e", "position": 1, "hash": ""}, "wait": 61}, id="long wait"
        ),
    ],
)
def test_a_malformed_question(anybody: Asker, path: str, question: Any) -> None:
    """A question that is not what its path takes is malformed; the problem says where, without what was sent."""
    is_problem(anybody.post(path, question), "malformed")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", SECRET.encode(), b"\xff\xfe", b'{"nonce": "\xff"}', b"[" * 100_000, b'{"events":' + b"[" * 100_000],
    ids=["empty", "cut", "no JSON", "UTF-16", "bad UTF-8", "deep", "deep in a field"],
)
def test_a_body_that_is_no_json(anybody: Asker, body: bytes) -> None:
    """Bytes that are no JSON are malformed, however odd."""
    is_problem(anybody.post(APPEND, content=body), "malformed")


def test_a_malformed_question_is_told_what_there_is(anybody: Asker) -> None:
    """The problem names our words: where it is, the fields there are, the words of a vocabulary."""
    unknown_field = is_problem(anybody.post(LOAD, {"nonce": NONCE, "user_ids": [], SECRET: 1}), "malformed")
    assert "nonce, user_ids" in unknown_field["detail"]
    wrong_type = is_problem(anybody.post(LOAD, {"nonce": NONCE, "user_ids": [1]}), "malformed")
    assert "`$.user_ids[0]`" in wrong_type["detail"]
    events = [{**GRANTED, "purpose": SECRET}]
    unknown_word = is_problem(anybody.post(APPEND, {"nonce": NONCE, "user_id": "u", "events": events}), "malformed")
    assert "marketing" in unknown_word["detail"]


def test_a_key_used_with_other_events(anybody: Asker) -> None:
    """An idempotency key that was used with other events is a problem that tells to use a new one."""
    anybody.append(SECRET, OPENED, idempotency_key=SECRET)
    question = {"nonce": NONCE, "user_id": SECRET, "events": [GRANTED], "idempotency_key": SECRET}
    assert "idempotency_key" in is_problem(anybody.post(APPEND, question), "key-reused")["detail"]


def test_an_event_that_the_policy_refuses(asker: Asker) -> None:
    """An event that makes no sense on the record is refused with its reason, and nothing is written."""
    question = {"nonce": NONCE, "user_id": SECRET, "events": [GRANTED]}
    assert "never opened" in is_problem(asker.post(APPEND, question), "invalid-event")["detail"]
    assert asker.head()["position"] == 0


def test_a_refusal_names_no_hold(anybody: Asker) -> None:
    """An erasure that live holds keep from being done is refused without the ids of the holds."""
    hold = {"type": "HoldPlaced", "hold": SECRET, "kind": "debt", "data": ["payment"]}
    anybody.append("u-held", OPENED, hold, {"type": "AccountClosed"})
    answer = anybody.post(APPEND, {"nonce": NONCE, "user_id": "u-held", "events": [{"type": "Erased"}]})
    assert is_problem(answer, "invalid-event")["detail"].endswith("release them first")


def test_a_version_that_moved(anybody: Asker) -> None:
    """A version conflict carries the version expected and the actual one."""
    anybody.append(SECRET + "-2", OPENED)
    question = {"nonce": NONCE, "user_id": SECRET + "-2", "events": [GRANTED], "expected_version": 0}
    document = is_problem(anybody.post(APPEND, question), "version-conflict")
    assert (document["expected"], document["actual"]) == (0, 1)


def test_a_body_that_announces_too_much(anybody: Asker) -> None:
    """A body whose length is announced as too large is refused."""
    is_problem(anybody.post(LOAD, content=b" " * (LOAD_BODY_BYTES + 1)), "too-large")


@pytest.mark.parametrize(("question", "path"), PATHS.items())
def test_a_question_about_one_thing_is_small(anybody: Asker, question: type[Question], path: str) -> None:
    """Only operations that take lists or texts read more than 64 KiB."""
    most = question.max_bytes
    assert (most > SMALL_BODY_BYTES) == path.endswith(LARGE)
    is_problem(anybody.post(path, content=b" " * (most + 1)), "too-large")
    is_problem(anybody.post(path, content=b" " * most), "malformed")


def test_a_body_that_never_ends(anybody: Asker) -> None:
    """A body of no announced length is refused once it is too large, not kept in memory."""

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * (LOAD_BODY_BYTES // 50)

    is_problem(anybody.post(LOAD, content=chunks()), "too-large")


def test_a_body_of_just_the_size(anybody: Asker) -> None:
    """A body of the greatest size that is allowed is read."""
    question = b'{"nonce":"0123456789abcdef","user_ids":[]}'
    answer = anybody.post(LOAD, content=question + b" " * (LOAD_BODY_BYTES - len(question)))
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/records/load/more", f"/v1/users/{SECRET}", "/schema", "/docs"])
def test_an_unknown_path(anybody: Asker, path: str) -> None:
    """An unknown path is answered with a problem too."""
    is_problem(anybody.post(path, {}), "not-found")


def test_a_wrong_method(shared: Running) -> None:
    """A method that the path does not take is a problem that names those it takes."""
    answer = httpx.request("DELETE", shared.url + LOAD)
    is_problem(answer, "wrong-method")
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (StoreUnavailable("the disk is full: free some space"), "store-unavailable"),
        (TooLarge("the answer is too large: ask for fewer users"), "too-large"),
        (NotEntitled("the token of a-relay lacks the scope write:holds", ["write:holds"]), "forbidden"),
        (OutcomeUnknown("repeat the call with the same idempotency_key", SECRET), "outcome-unknown"),
        (StoreUnusable("the database is damaged: restore it"), "store-unusable"),
        (LedgerBroken(3, "its hash does not follow"), "ledger-broken"),
        (InvalidEvent("event 1 of 1, Granted, is refused: no"), "invalid-event"),
        (VersionConflict(1, 2), "version-conflict"),
        (KeyReused("use a new random key for each write"), "key-reused"),
        (ValueError(f"the value {SECRET!r} is bad"), "malformed"),
        (TypeError(f"the type of {SECRET!r} is bad"), "malformed"),
        (RuntimeError(SECRET), "internal"),
        (ConsentError(SECRET), "internal"),
        (OverflowError(SECRET), "internal"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_the_store_raises(start: Start, ask_as: Ask, error: Exception, key: str) -> None:
    """Each error of the store is its problem; what was not foreseen is an internal error that says nothing of it."""
    store = FaultyStore()
    store.fails["append"] = store.fails["load"] = store.fails["standings"] = error
    asker = ask_as(start(store))
    is_problem(asker.post(APPEND, {"nonce": NONCE, "user_id": SECRET, "events": [OPENED]}), key)
    for path in (LOAD, "/v1/standings/load"):
        is_problem(asker.post(path, {"nonce": NONCE, "user_ids": [SECRET]}), key)


def test_errors_outside_the_store_are_not_blamed_on_the_question(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `TypeError` that is a bug of the service is an internal error."""

    def broken(_: object) -> None:
        raise TypeError(SECRET)

    monkeypatch.setattr("diijam_consent_sdk.stores.messages.entries_from", broken)
    is_problem(asker.post("/v1/history/load", {"nonce": NONCE, "user_id": SECRET}), "internal")


@pytest.mark.parametrize("unit", ["\\'", "'", '"', "'\\", "\"'", " '", "release them first: "])
def test_texts_are_read_once(unit: str) -> None:
    """However long a text is and whatever quotes are in it, it is gone through once, which takes no time."""
    started = time.process_time()
    assert len(redact(f"unknown field `{unit * (MAX_BODY_BYTES // len(unit))}`")) <= MAX_TEXT
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "spelling",
    [
        "/metrics/", "//metrics", "/metrics//", "/metrics%2f", "/%6detrics", "/METRICS", "/./metrics", "/v1/../metrics",
        "/metrics;", "/healthz/", "/openapi.json/", "//openapi.json", "/v1/records/load/", "/v1//records/load",
        "/v1/records%2Fload",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_path_is_itself(shared: Running, method: str, spelling: str) -> None:
    """No other spelling of a path leads there: a proxy's rule for a path is a rule for what is behind it."""
    connection = http.client.HTTPConnection(shared.url.removeprefix("http://"), timeout=10)
    try:
        connection.putrequest(method, spelling)
        connection.endheaders()
        assert connection.getresponse().status == 404
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('connection to server at "db.internal" (10.0.0.5), port 5432 failed', "connection to server at … …, … failed"),
        (
            'connection to server at "::1" (::1), port 5432 failed: refused',
            "connection to server at … …, … failed: refused",
        ),
        ("nothing listens on 192.168.7.1 (28P01)", "nothing listens on … (28P01)"),
        ("PostgreSQL refused (42501); more than 1.5 s", "PostgreSQL refused (42501); more than 1.5 s"),
    ],
)
def test_addresses_of_the_store_are_left_out(text: str, left: str) -> None:
    """Where the store is stays in the service's log: no host, address or port of it reaches a client."""
    assert redact(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("unknown Purpose 'abc'; known: marketing", "unknown Purpose …; known: marketing"),
        ("'purpose' and 'notice' are missing", "'purpose' and 'notice' are missing"),
        ("bad 'it\\'s \"me\"' here", "bad … here"),
        ('bad "it\'s me" here', "bad … here"),
        ("bad 'nguyen", "bad …"),
        ("bad 'nguyen\\", "bad …"),
        ("the customer's 'nguyen' and the shop's", "the customer's … and the shop's"),
        ("bad '" + "nguyen" * 1_000 + "'; more", "bad …"),
        ("live holds keep the data, release them first: h-1, h-2", "live holds keep the data, release them first"),
    ],
)
def test_texts_lose_their_values(text: str, left: str) -> None:
    """Of an error's text our own words stay, and nothing else that it quotes."""
    assert redact(text) == left


CURSOR = '{"epoch":"e","position":0,"hash":"00"}'


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            APPEND,
            '"user_id":"twice-u","events":[{"type":"Withdrawn","purpose":"surveys","notice":"n","type":"Granted"}]',
        ),
        (APPEND, '"user_id":"twice-u","events":[{"type":"AccountOpened"}],"user_id":"twice-v"'),
        (APPEND, '"user_id":"twice-u","events":[{"type":"AccountOpened"}],"events":[{"type":"AccountOpened"}]'),
        (APPEND, '"user_id":"twice-u","events":[{"type":"Erased","anonymised":false,"anonym\\u0069sed":true}]'),
        (LOAD, '"user_ids":["u"],"user_ids":["v"]'),
        (LOAD, f'"user_ids":[],"nonce":"{NONCE}"'),
        (CHANGES, f'"after":{CURSOR},"after":{CURSOR}'),
        (CHANGES, f'"after":{CURSOR[:-1]},"position":1}}'),
    ],
)
def test_a_key_given_twice(anybody: Asker, path: str, body: str) -> None:
    """A question that says two things is malformed, at any depth, and nothing is written."""
    answer = anybody.post(path, content=f'{{"nonce":"{NONCE}",{body}}}'.encode())
    assert "a key is given twice" in is_problem(answer, "malformed")["detail"]
    assert [record["version"] for record in anybody.load("twice-u", "twice-v")["records"]] == [0, 0]


def test_a_cursor_with_a_field_that_is_none(anybody: Asker) -> None:
    """A cursor is its three fields."""
    body = f'{{"nonce":"{NONCE}","after":{CURSOR[:-1]},"{SECRET}":1}}}}'.encode()
    assert "unknown field within" in is_problem(anybody.post(CHANGES, content=body), "malformed")["detail"]


@pytest.mark.parametrize("value", [{}, {"a": 1}, [[]], [{}], 1, 1.5], ids=str)
def test_a_value_that_no_event_holds(anybody: Asker, value: Any) -> None:
    """Something nested in an event is malformed before it is looked at further."""
    question = {"nonce": NONCE, "user_id": "u", "events": [{**GRANTED, "channels": value}]}
    assert "at `$.events[" in is_problem(anybody.post(APPEND, question), "malformed")["detail"]
