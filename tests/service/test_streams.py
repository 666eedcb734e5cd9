"""Polls in parts, over bare sockets: what a client sees of each, and when it ends."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from diijam_consent_sdk.events import AccountOpened, Objected
from diijam_consent_sdk.service import connections
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.server import bind
from diijam_consent_sdk.service.streams import PACE_SECONDS
from diijam_consent_sdk.service.token_changes import new_token, revoke_token, rotate_token
from diijam_consent_sdk.stores import Cursor, MemoryStore
from diijam_consent_sdk.stores.wire import encode
from tests.service.conftest import NONCE, OPENED, Ask, Asker, Running, Start
from tests.service.crowd import until_gauge
from tests.service.raw_streams import SMALL, Line, RawClient, stream_question

OPEN = [AccountOpened()]
OTHER = {"epoch": "another", "position": 3, "hash": "ab"}

Connect = Callable[..., RawClient]


@pytest.fixture
def store() -> MemoryStore:
    """The ledger behind the service."""
    return MemoryStore()


@pytest.fixture
def service(start: Start, store: MemoryStore) -> Running:
    """Start a service over the ledger."""
    return start(store)


@pytest.fixture
def connect(service: Running, token_files: tuple[Path, dict[str, str]]) -> Iterator[Connect]:
    """Make connections, which are closed after the test."""
    made: list[RawClient] = []

    def new(token: str = "both", **options: Any) -> RawClient:
        made.append(RawClient(service.url, token_files[1].get(token, token), **options))
        return made[-1]

    yield new
    for one in made:
        one.close()


def head(store: MemoryStore) -> Any:
    """The ledger's head, as a question has it."""
    return json.loads(encode(store.load(()).cursor))


def held(running: Running, many: int) -> None:
    """Wait until the service holds that many streams."""
    asyncio.run(until_gauge(running.url, "streams", many))


def is_chain(lines: list[Line]) -> bool:
    """Whether each part goes on where the one before ended."""
    return all(before.answer.cursor == line.answer.after for before, line in pairwise(lines))


def test_the_first_part_comes_at_once(connect: Connect, store: MemoryStore) -> None:
    """A stream begins with a part, without news too, as lines that no cache and no nginx keeps."""
    store.append("u-1", OPEN)
    client = connect().open(head(store))
    found = client.part()
    assert found.at - client.sent_at < 0.5
    assert client.headers["content-type"] == "application/jsonl"
    assert client.headers["transfer-encoding"] == "chunked"
    assert client.headers["cache-control"] == "no-store"
    assert client.headers["x-accel-buffering"] == "no"
    cursor = store.load(()).cursor
    answer = found.answer
    assert (answer.nonce, answer.after, answer.cursor) == (NONCE, cursor, cursor)
    assert (answer.user_ids, answer.complete) == ({}, True)


def test_news_comes_at_once_and_goes_on_from_the_part_before(connect: Connect, store: MemoryStore) -> None:
    """Each write is a part within a fraction of a second, whose `after` is the cursor of the part before."""
    client = connect().open(head(store))
    lines = [client.part()]
    for number in range(5):
        time.sleep(0.1)
        store.append(f"u-{number}", OPEN)
        written = time.monotonic()
        lines.append(client.part())
        assert lines[-1].at - written < 0.25
        assert lines[-1].answer.user_ids == {f"u-{number}": number + 1}
    assert is_chain(lines)
    assert all(line.answer.complete for line in lines)


def test_waited_is_true_and_grows(connect: Connect, store: MemoryStore) -> None:
    """`waited` counts from the request, not from the part before, and never more than has passed."""
    client = connect().open(head(store), wait=1.2, beat=0.2)
    lines = list(client.rest())
    assert len(lines) >= 3
    assert [line.answer.waited for line in lines] == sorted({line.answer.waited for line in lines})
    assert all(0 <= line.answer.waited <= line.at - client.sent_at for line in lines)
    assert all(line.at - client.sent_at - line.answer.waited < 0.2 for line in lines)


def test_without_news_a_part_comes_each_beat(connect: Connect, store: MemoryStore) -> None:
    """Beats are kept for each stream by itself, the shortest too."""
    slow = connect().open(head(store), wait=1.4, beat=0.5)
    quick = connect().open(head(store), wait=1.4, beat=0.05)
    for client, beat, fewest in ((slow, 0.5, 2), (quick, 0.05, 5)):
        lines = list(client.rest())
        assert fewest <= len(lines) <= 1.4 / beat + 1
        assert all(beat - 0.01 <= later.answer.waited - line.answer.waited for line, later in pairwise(lines))
        assert not any(line.answer.user_ids for line in lines)


def test_news_in_quick_succession_is_merged(connect: Connect, store: MemoryStore) -> None:
    """However many writes there are, parts are 50 ms apart, and together name everybody once for each change."""
    client = connect().open(head(store))
    lines = [client.part()]
    writing = threading.Thread(target=lambda: [store.append(f"u-{n}", OPEN) for n in range(2000)])
    writing.start()
    while lines[-1].answer.cursor.position < 2000:
        lines.append(client.part())
    writing.join()
    assert len(lines) < 200
    assert is_chain(lines)
    assert {user: position for line in lines for user, position in line.answer.user_ids.items()} == {
        f"u-{number}": number + 1 for number in range(2000)
    }
    waited = [line.answer.waited for line in lines]
    assert all(later - before >= PACE_SECONDS - 0.005 for before, later in pairwise(waited))


def test_a_stream_ends_by_itself_and_its_connection_goes_on(connect: Connect, store: MemoryStore) -> None:
    """After `wait` seconds the answer ends as HTTP says, and the connection takes the next question."""
    client = connect().open(head(store), wait=0.4)
    lines = list(client.rest())
    assert len(lines) == 1
    assert 0.4 <= time.monotonic() - client.sent_at < 1
    assert client.ask({"nonce": NONCE, "user_ids": []}, "/v1/records/load")["cursor"] == head(store)
    again = client.open(head(store), wait=0)
    assert len(list(again.rest())) == 1


def test_each_part_has_at_most_its_limit(connect: Connect, store: MemoryStore) -> None:
    """What is more than `limit` comes in further parts, 50 ms apart, and only the last of them is complete."""
    after = head(store)
    for number in range(7):
        store.append(f"u-{number}", OPEN)
    client = connect().open(after, limit=4, wait=1)
    lines = list(client.rest())
    assert [list(line.answer.user_ids) for line in lines] == [["u-0", "u-1", "u-2", "u-3"], ["u-4", "u-5", "u-6"]]
    assert [line.answer.complete for line in lines] == [False, True]
    assert is_chain(lines)


@pytest.mark.parametrize("epoch", ["another", None])
def test_another_history_is_one_part_with_its_head(connect: Connect, store: MemoryStore, epoch: str | None) -> None:
    """An `after` that is not in the history, of its epoch or not, gets the head and no users, and the stream ends."""
    store.append("u-1", OPEN)
    here = head(store)
    client = connect().open({**here, "hash": "ab" * 32, "epoch": epoch or here["epoch"]})
    (line,) = client.rest()
    assert (line.answer.cursor, line.answer.user_ids) == (store.load(()).cursor, {})
    assert line.answer.after.hash == "ab" * 32
    assert time.monotonic() - client.sent_at < 1


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """A file of tokens that changes during the test."""
    return tmp_path / "tokens.json"


def test_a_revoked_token_gets_no_further_part(start: Start, store: MemoryStore, tokens: Path) -> None:
    """A stream ends at the first part after its token was revoked, without that part."""
    running = start(store, tokens=tokens_of(tokens))
    token = new_token(tokens, "reader", [Scope.ASK])
    time.sleep(0.6)  # until the service reads the file again
    with RawClient(running.url, token) as client:
        client.open(head(store)).part()
        revoke_token(tokens, "reader")
        time.sleep(0.6)
        store.append("u-1", OPEN)
        assert client.line() is None
    held(running, 0)


def tokens_of(path: Path) -> Path:
    """A file with one token that nobody uses."""
    new_token(path, "another", [Scope.READ])
    return path


def test_a_token_that_is_rotated_keeps_its_stream(start: Start, store: MemoryStore, tokens: Path) -> None:
    """While the first secret goes on, so does its stream; when it has ended, the stream ends."""
    token = new_token(tokens, "reader", [Scope.ASK])
    running = start(store, tokens=tokens)
    with RawClient(running.url, token) as client:
        client.open(head(store), beat=0.1).part()
        rotate_token(tokens, "reader", timedelta(seconds=1.5))
        began = time.monotonic()
        lines = list(client.rest())
    assert 0.7 < lines[-1].at - began < 1.6


def test_tokens_that_cannot_be_read_end_streams(start: Start, store: MemoryStore, tokens: Path) -> None:
    """While nobody is let in, no stream goes on."""
    token = new_token(tokens, "reader", [Scope.ASK])
    running = start(store, tokens=tokens)
    with RawClient(running.url, token) as client:
        client.open(head(store), beat=0.1).part()
        tokens.write_text("no tokens")
        assert all(line.answer.complete for line in client.rest())
        assert time.monotonic() - client.sent_at < 3


def test_parts_name_the_view_of_the_token(start: Start, store: MemoryStore, tokens: Path, http: httpx.Client) -> None:
    """Each part and each single answer has the scopes of the asks that the token may ask."""
    running = start(store, tokens=tokens_of(tokens))
    time.sleep(0.6)
    scopes = {"all": ["ask"], "some": ["ask:sharing", "ask:marketing", "list"], "none": ["read"]}
    made = {name: new_token(tokens, name, map(Scope, given)) for name, given in scopes.items()}
    time.sleep(0.6)
    views = {"all": ["ask"], "some": ["ask:marketing", "ask:sharing"], "none": []}
    for name, view in views.items():
        assert Asker(running.url, made[name], http).changes(head(store))["view"] == view
        with RawClient(running.url, made[name]) as client:
            assert client.open(head(store)).part().answer.view == view


def test_a_service_that_stops_ends_its_streams(connect: Connect, store: MemoryStore, service: Running) -> None:
    """At a stop each stream ends as an answer does, at once, and the service does not wait for them."""
    clients = [connect().open(head(store)) for _ in range(3)]
    for client in clients:
        client.part()
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < 2
    assert all(list(client.rest()) == [] for client in clients)


def test_a_client_has_one_stream(connect: Connect, store: MemoryStore, service: Running) -> None:
    """A second stream under the same token and client id ends the first; other clients and tokens keep theirs."""
    mine, another = secrets.token_hex(16), secrets.token_hex(16)
    old = connect().open(head(store), client=mine)
    others = [connect().open(head(store), client=another), connect("read").open(head(store), client=mine)]
    for client in (old, *others):
        client.part()
    new = connect().open(head(store), client=mine)
    new.part()
    assert old.line() is None
    held(service, 3)
    store.append("u-1", OPEN)
    for client in (new, *others):
        assert client.part().answer.user_ids == {"u-1": 1}
    old.open(head(store), client=mine).part()  # on the same connection, and now it is the newer one
    assert new.line() is None


def test_a_client_that_hangs_up_leaves_no_stream(connect: Connect, store: MemoryStore, service: Running) -> None:
    """A closed or half closed connection ends its stream at once, not at the next beat."""
    closed, half_closed = connect().open(head(store)), connect().open(head(store))
    closed.part()
    half_closed.part()
    held(service, 2)
    closed.close()
    half_closed.socket.shutdown(socket.SHUT_WR)
    held(service, 0)


@pytest.fixture
def narrow(start: Start, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A service whose sockets keep about ten parts that nobody reads."""

    def bind_narrow(host: str, port: int) -> socket.socket:
        """Bind, with buffers that the connections take over."""
        found = bind(host, port)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        return found

    monkeypatch.setattr("tests.service.conftest.bind", bind_narrow)
    return start(store)


def test_a_client_that_does_not_read_gets_its_news_merged(
    narrow: Running, store: MemoryStore, token_files: tuple[Path, dict[str, str]], http: httpx.Client
) -> None:
    """No part is made before the socket took the last: a late reader finds few parts, the newest with all the rest."""
    store.append("u-0", OPEN)
    token = token_files[1]["read"]
    with RawClient(narrow.url, token, small=True) as slow, RawClient(narrow.url, token) as quick:
        for client in (slow, quick):
            client.open(head(store)).part()
        quick_lines = []
        for number in range(1, 61):
            store.append(f"u-{number}", OPEN)
            quick_lines.append(quick.part())
        slow_lines = [slow.part()]
        while slow_lines[-1].answer.cursor.position < 61:
            slow_lines.append(slow.part())
        assert len(quick_lines) == 60
        assert len(slow_lines) < 45
        assert is_chain(slow_lines)
        named = [user for line in slow_lines for user in line.answer.user_ids]
        assert named == [f"u-{number}" for number in range(1, 61)]
        assert len(slow_lines[-1].answer.user_ids) > 10
        store.append("u-61", OPEN)
        assert slow.part().answer.user_ids == {"u-61": 62}


def fill(client: RawClient, store: MemoryStore) -> None:
    """Write until the buffers of a client that does not read are full."""
    client.open(head(store)).part()
    for number in range(400):
        store.append(f"u-{number % 40}", [Objected("contests")] if number >= 40 else OPEN)
        time.sleep(0.002)
    for number in range(60):
        store.append(f"v-{number}", OPEN)
        time.sleep(0.06)


def test_a_client_that_never_reads_is_ended_as_late(
    narrow: Running, store: MemoryStore, token_files: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that vanished takes no part any more, and is ended like one that does not take its answer."""
    monkeypatch.setitem(connections.LIMITS, connections.State.READING, 1.0)
    with RawClient(narrow.url, token_files[1]["read"], small=True) as client:
        fill(client, store)
        held(narrow, 0)


def test_a_stream_is_never_late_while_its_client_reads(
    connect: Connect, store: MemoryStore, service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that a client has for an answer is for each part: a stream outlives it."""
    for state in list(connections.LIMITS):
        monkeypatch.setitem(connections.LIMITS, state, 0.5)
    client = connect().open(head(store), wait=3.5, beat=0.3)
    lines = list(client.rest())
    assert lines[-1].answer.waited > 3


def test_a_stream_that_is_full_ends_with_the_service(
    narrow: Running, store: MemoryStore, token_files: tuple[Path, dict[str, str]]
) -> None:
    """A client that does not read keeps no service from its end."""
    with RawClient(narrow.url, token_files[1]["read"], small=True) as client:
        fill(client, store)
        began = time.monotonic()
        narrow.stop()
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_only_a_post_opens_a_stream(connect: Connect, store: MemoryStore, method: str) -> None:
    """Other methods are refused, so that no stream is in a URL or a cache."""
    client = connect()
    client.send(stream_question(head(store)), method=method)
    client.read_head()
    assert client.status == 405
    assert {"POST", "OPTIONS"} == set(client.headers["allow"].split(", "))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"beat": 0.049}, ">= 0.05 - at `$.beat`"),
        ({"beat": 60.1}, "<= 60.0 - at `$.beat`"),
        ({"beat": None}, "a stream needs beat and client"),
        ({"beat": "1"}, "at `$.beat`"),
        ({"client": None}, "a stream needs beat and client"),
        ({"client": "short"}, "length >= 16 - at `$.client`"),
        ({"client": "x" * 65}, "length <= 64 - at `$.client`"),
        ({"client": 12345678901234567890}, "at `$.client`"),
        ({"wait": -1}, ">= 0.0 - at `$.wait`"),
        ({"wait": 300.1}, "<= 300.0 - at `$.wait`"),
        ({"limit": 0}, ">= 1 - at `$.limit`"),
        ({"limit": 1001}, "<= 1000 - at `$.limit`"),
        ({"stream": "yes"}, "at `$.stream`"),
        ({"stream": False}, "beat and client are for a stream alone"),
        ({"stream": False, "beat": None, "client": None, "wait": 61}, "without a stream, wait is at most 60"),
        ({"after": {"epoch": "e", "position": -1, "hash": "ab"}}, "63 bits - at `$.after.position`"),
        ({"beats": 1}, "known fields are nonce, after, wait, limit, stream, beat, client"),
    ],
)
def test_what_is_no_stream_is_refused_clearly(
    connect: Connect, store: MemoryStore, fields: dict[str, Any], says: str
) -> None:
    """A wrong question is a problem of status 400 that says what is wrong and where, and opens no stream."""
    problem = connect().ask(stream_question(head(store), **fields))
    assert problem["status"] == 400
    assert says in problem["detail"]


def test_a_token_for_other_things_opens_no_stream(connect: Connect, store: MemoryStore) -> None:
    """Streams need a scope for asks or `read`, and a token."""
    assert connect("write").ask(stream_question(head(store)))["status"] == 403
    assert connect("wrong").ask(stream_question(head(store)))["status"] == 401


def test_streams_are_counted(connect: Connect, store: MemoryStore, service: Running, http: httpx.Client) -> None:
    """The metrics have the number of open streams; a stream is no held poll."""
    client = connect().open(head(store))
    client.part()
    held(service, 1)
    lines = http.get(f"{service.url}/metrics").text.splitlines()
    assert "diijam_consent_polls_held 0.0" in lines
    client.close()
    held(service, 0)


def test_an_append_over_the_service_is_told_at_once(connect: Connect, asker: Asker) -> None:
    """What was appended here need not wait for the watcher."""
    client = connect().open(asker.head())
    client.part()
    asker.append("u-1", OPENED)
    acknowledged = time.monotonic()
    assert client.part().at - acknowledged < 0.1


def test_a_relay_rests_each_part_on_its_upstream(start: Start, ask_as: Ask, store: MemoryStore) -> None:
    """A relay's clients get news and beats, and no part while its upstream is away."""
    from diijam_consent_sdk.stores import HttpStore  # noqa: PLC0415

    origin = start(store)
    upstream = HttpStore(origin.url, token=ask_as(origin).token, deadline=0.3)
    running = start(upstream)
    with RawClient(running.url, ask_as(running).token or "") as client:
        client.open(head(store), beat=0.2).part()
        store.append("u-1", OPEN)
        line = client.part()
        while not line.answer.user_ids:
            line = client.part()
        assert line.answer.waited <= line.at - client.sent_at
        origin.stop()
        client.socket.settimeout(1.5)
        with pytest.raises(TimeoutError):
            list(client.rest())
    running.stop()
    upstream.close()


def test_cursor_of_the_question_is_checked(connect: Connect, store: MemoryStore) -> None:
    """A stream goes on from the question's cursor, not from the head."""
    before = head(store)
    store.append("u-1", OPEN)
    line = connect().open(before).part()
    assert line.answer.user_ids == {"u-1": 1}
    assert line.answer.after == Cursor(**before)
