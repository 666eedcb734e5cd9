"""Connections that ask nothing, never end, or break off."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from diijam_consent_sdk.service.connections import QUESTION_SECONDS
from diijam_consent_sdk.stores.message_fields import MAX_BODY_BYTES
from tests.attacks.conftest import Served
from tests.service.conftest import NONCE

HALF_OPEN = 400
POST = "POST /v1/records/load HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@pytest.fixture(params=[True, False], ids=["httptools", "h11"])
def is_fast(request: pytest.FixtureRequest) -> bool:
    """Attack both kinds of connections."""
    return bool(request.param)


def connected(served: Served, sends: bytes) -> socket.socket:
    """Connect to the service and send these bytes."""
    host, _, port = served.url.removeprefix("http://").partition(":")
    found = socket.create_connection((host, int(port)), timeout=30)
    found.sendall(sends)
    return found


def answer_on(connection: socket.socket) -> bytes:
    """Read a connection to its end."""
    found = b""
    try:
        while chunk := connection.recv(65_536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def test_half_open_connections_are_ended(served: Served, bystanders: Callable[[], Any]) -> None:
    """S16: questions that never come whole, in head or body, with a token or not, are given up after ten seconds."""
    let_in = f"{POST}Authorization: Bearer {served.token}\r\nContent-Length: 100\r\n\r\n{{".encode()
    answered_early = f"{POST}Authorization: Bearer wrong\r\nContent-Length: 100\r\n\r\n{{".encode()
    starts = [b"", b"G", POST.encode(), let_in, f"{POST}Content-Length: 100\r\n\r\n{{".encode(), answered_early]
    with bystanders():
        started = time.monotonic()
        connections = [connected(served, starts[number % len(starts)]) for number in range(HALF_OPEN)]
        dripping = connections[2]
        while time.monotonic() - started < QUESTION_SECONDS - 2:
            dripping.sendall(b"X-More: a\r\n")
            time.sleep(0.5)
        for number, connection in enumerate(connections):
            if number % len(starts) < 4:  # the others are answered already and idle, which has another limit
                answer_on(connection)
        assert time.monotonic() - started < QUESTION_SECONDS + 10
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("authorization", ["", "Authorization: Bearer wrong\r\n", "Authorization: Bearer {token}\r\n"])
def test_broken_bodies_are_no_failure_of_ours(served: Served, authorization: str) -> None:
    """S16: a body that is no HTTP, or breaks off, is the caller's fault: nothing of it is in the log as an error."""
    head = (POST + authorization.format(token=served.token)).encode()
    for body in (
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40,
        b"Content-Length: 100\r\n\r\n{",
        b"Content-Length: -1\r\n\r\n{",
        b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{",
    ):
        for pause in (0.0, 0.05):
            start, _, rest = body.partition(b"\r\n\r\n")
            connection = connected(served, head + start + b"\r\n\r\n")
            time.sleep(pause)  # the service may have answered by its head alone
            try:
                connection.sendall(rest)
                connection.shutdown(socket.SHUT_WR)
                statuses = answer_on(connection)[:12]
            except OSError:
                continue  # the service closed the connection already
            finally:
                connection.close()
            assert statuses in {b"", b"HTTP/1.1 400", b"HTTP/1.1 401"}
    assert httpx.get(f"{served.url}/healthz").status_code == 200
    assert [line for line in served.process.said if "rror" in line or "rror" in line or "nvalid HTTP" in line] == []


def test_wrong_tokens_are_seen(served: Served, bystanders: Callable[[], Any]) -> None:
    """S16: thousands of wrong tokens slow nobody, and are seen: counted, and in the log without being repeated."""
    with bystanders(), httpx.Client() as client:
        for number in range(1_000):
            headers = {"Authorization": f"Bearer dcs_guess{number}"}
            assert client.post(f"{served.url}/v1/records/load", content=b"{}", headers=headers).status_code == 401
        figures = client.get(f"{served.url}/metrics").text
    assert 'diijam_consent_refusals_total{token="unknown"} 1000.0' in figures.splitlines()
    told = [json.loads(line) for line in served.process.said if "unknown_tokens" in line]
    assert [(line["level"], line["count"]) for line in told][:1] == [("warning", 1)]
    assert len(told) < 5
    assert not [line for line in served.process.said if "dcs_guess" in line]


def test_answers_that_nobody_reads_do_not_stop_others(served: Served, bystanders: Callable[[], Any]) -> None:
    """S16: clients that ask and never read the answers hold up nobody else."""
    body = json.dumps({"nonce": NONCE, "user_ids": [f"unread-{number}" for number in range(1_000)]}).encode()
    head = f"{POST}Authorization: Bearer {served.token}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with bystanders():
        connections = [connected(served, head + body) for _ in range(20)]
        time.sleep(1)
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("framing", ["Content-Length: {}\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n"])
def test_the_body_of_a_question_that_offers_an_upgrade_is_no_other_question(served: Served, framing: str) -> None:
    """One question gets one answer: a proxy would take a second one for that of another client."""
    let_in = f"{POST}Authorization: Bearer {served.token}\r\n"
    inner = f"{let_in}Content-Length: 2\r\n\r\n{{}}"
    offering = f"{let_in}Connection: Upgrade\r\nUpgrade: h2c\r\n{framing.format(len(inner))}"
    with connected(served, offering.encode()) as connection:
        time.sleep(0.1)
        try:
            connection.sendall(inner.encode())
            time.sleep(0.1)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the service closed the connection already
        answer = answer_on(connection)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")


def test_an_upgrade_that_is_offered_without_a_body_is_passed_over(served: Served) -> None:
    """Some clients offer HTTP/2 with each first question."""
    offering = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with connected(served, offering) as connection:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("token", [True, False], ids=["let in", "not let in"])
def test_bodies_in_chunks_of_a_byte_keep_nobody_waiting(
    served: Served, bystanders: Callable[[], Any], *, token: bool
) -> None:
    """S16: of half a million chunks, 256 KB of which come at once, others have their turn between."""
    let_in = f"Authorization: Bearer {served.token}\r\n" if token else ""
    head = f"{POST}{let_in}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with bystanders(), socket.socket() as connection:
        host, _, port = served.url.removeprefix("http://").partition(":")
        connection.connect((host, int(port)))
        connection.settimeout(QUESTION_SECONDS + 10)
        try:
            connection.sendall(head + b"1\r\n \r\n" * 500_000)
            answer = answer_on(connection)
        except ConnectionError:  # it was given up
            answer = b""
    assert b" 200 OK" not in answer


def test_a_head_of_many_lines_keeps_nobody_waiting(served: Served, bystanders: Callable[[], Any]) -> None:
    """S16: a head of 256 KB of short lines, which one read may bring, is refused at its limit."""
    with bystanders():
        for _ in range(20):
            with connected(served, POST.encode() + b"a:\r\n" * 65_000 + b"\r\n") as connection:
                assert answer_on(connection)[:12] in {b"", b"HTTP/1.1 400"}


def test_heads_of_many_lines_take_little_memory(served: Served, bystanders: Callable[[], Any]) -> None:
    """S16: a head of 64 KB of short lines would take 2 MB for as long as it may last, and the event loop's time."""
    before = served.memory()
    with bystanders():
        connections = [connected(served, POST.encode() + b"a:\r\n" * 15_000) for _ in range(100)]
        time.sleep(2)
        grown = served.memory() - before
    for connection in connections:
        connection.close()
    assert grown < 50 * 2**20


def test_a_token_in_a_trailer_is_none(served: Served) -> None:
    """What comes after a body is no header of its question (RFC 9110, 6.5.1)."""
    body = json.dumps({"nonce": NONCE, "user_ids": []})
    chunks = f"{len(body):x}\r\n{body}\r\n0\r\nAuthorization: Bearer {served.token}\r\n\r\n"
    head = f"{POST}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connected(served, f"{head}{chunks}".encode()) as connection:
        assert answer_on(connection).startswith(b"HTTP/1.1 401")


def test_a_body_in_small_chunks_is_read_whole(served: Served) -> None:
    """However it was cut into chunks and slices, a question arrives as it was sent."""
    ids = ",".join(f'"u-{number}"' for number in range(1000))
    body = f'{{"nonce":"{NONCE}","user_ids":[{ids}]}}'.encode()
    let_in = f"Authorization: Bearer {served.token}\r\n"
    head = f"{POST}{let_in}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with connected(served, head + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n") as connection:
        answer = answer_on(connection)
    assert b" 200 OK" in answer
    assert answer.count(b'"user_id"') == 1000


def test_questions_sent_ahead_are_answered_in_order(served: Served) -> None:
    """Questions that are sent before the first is answered, even thousands, get their answers in order."""
    let_in = f"Authorization: Bearer {served.token}\r\n"
    with connected(served, b"") as connection:
        for number in range(300):
            body = json.dumps({"nonce": f"{number:016}", "user_ids": []}).encode()
            connection.sendall(f"{POST}{let_in}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = answer_on(connection)
    answers = answer.split(b"HTTP/1.1 ")[1:]
    assert [each for each in answers if not each.startswith(b"200 OK")] == []
    nonces = [f'"nonce":"{number:016}"'.encode() for number in range(300)]
    assert [nonce in each for nonce, each in zip(nonces, answers, strict=False)] == [True] * 300
    assert answer.rindex(b'"status":"ok"') > answer.index(b'"nonce":"0000000000000299"')


def test_a_flood_of_questions_keeps_nobody_waiting(served: Served, bystanders: Callable[[], Any]) -> None:
    """S16: 256 KB of tiny questions in one read are begun a few at a time, and take no memory until then."""
    before = served.memory()
    head = json.dumps({"nonce": NONCE, "user_ids": []})
    poll = {"nonce": NONCE, "after": json.loads(served.ask("/v1/records/load", head.encode())[1])["cursor"], "wait": 3}
    body = json.dumps(poll).encode()
    let_in = f"Authorization: Bearer {served.token}\r\nContent-Type: application/json\r\n"
    first = f"POST /v1/changes HTTP/1.1\r\nHost: a\r\n{let_in}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with bystanders():
        connections = [connected(served, first + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2_000) for _ in range(20)]
        time.sleep(1)
        assert served.memory() - before < 50 * 2**20
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("ends", ["head", "trailer", "chunk extension", "target"])
def test_a_line_that_never_ends_is_refused(served: Served, ends: str) -> None:
    """S16: whatever line of a question goes on and on, it is given up at its limit, long before its time is over."""
    let_in = f"{POST}Authorization: Bearer {served.token}\r\nTransfer-Encoding: chunked\r\n"
    starts = {
        "head": f"{let_in}X-More: ",
        "trailer": f"{let_in}\r\n0\r\nX-More: ",
        "chunk extension": f"{let_in}\r\n1;more=",
        "target": "GET /",
    }
    sent, started = 0, time.monotonic()
    with connected(served, starts[ends].encode()) as connection:
        try:
            while sent < 64 * 2**20:
                connection.sendall(b"a" * 65_536)
                sent += 65_536
        except OSError:
            pass
        assert answer_on(connection)[:12] in {b"", b"HTTP/1.1 400"}
    assert sent < 16 * 2**20  # what the sockets hold
    assert time.monotonic() - started < QUESTION_SECONDS / 2


def test_a_poll_of_a_closed_connection_ends(served: Served) -> None:
    """A poll whose connection is closed is given up, even with another question sent behind it."""
    cursor = json.loads(served.ask("/v1/records/load", {"user_ids": []})[1])["cursor"]
    body = json.dumps({"nonce": NONCE, "after": cursor, "wait": 60}).encode()
    let_in = f"Authorization: Bearer {served.token}\r\n"
    poll = f"POST /v1/changes HTTP/1.1\r\nHost: a\r\n{let_in}Content-Length: {len(body)}\r\n\r\n".encode() + body
    connection = connected(served, poll + b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    held("1.0", served)
    connection.close()
    held("0.0", served)


def held(count: str, served: Served) -> None:
    """Wait until so many polls are held."""
    until = time.monotonic() + 10
    while f"diijam_consent_polls_held {count}" not in httpx.get(f"{served.url}/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_an_answered_connection_stays(served: Served, *, is_fast: bool) -> None:
    """A connection whose question was refused by its head, before the body came, is idle; h11 cannot go on with it."""
    with connected(served, POST.encode() + b"Content-Length: 100\r\n\r\n") as connection:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 401")
        connection.sendall(b" " * 100)
        time.sleep(QUESTION_SECONDS + 3)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (b"HTTP/1.1 200" in answer_on(connection)) == is_fast


def test_large_questions_that_never_end_take_little_memory(served: Served, bystanders: Callable[[], Any]) -> None:
    """Of a crowd of questions of 4 MiB, only as many are read at once as there is room for."""
    let_in = f"Authorization: Bearer {served.token}\r\nContent-Length: {MAX_BODY_BYTES}\r\n"
    head = f"POST /v1/events/append-many HTTP/1.1\r\nHost: a\r\n{let_in}\r\n".encode()
    before = served.memory()
    with bystanders():
        connections = [connected(served, head) for _ in range(100)]
        left = dict.fromkeys(connections, MAX_BODY_BYTES - 1)
        until = time.monotonic() + 4
        while left and time.monotonic() < until:
            for connection in select.select([], list(left), [], 0.1)[1]:
                left[connection] -= connection.send(b" " * min(left[connection], 2**16))
                if not left[connection]:
                    del left[connection]
        assert served.memory() - before < 150 * 2**20
        for connection in connections:
            connection.close()
