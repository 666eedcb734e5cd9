"""The order of checks that all operations share, and the answers that come in parts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.service import create_app, dispatch
from diijam_consent_sdk.service.operation import Call, Operation
from diijam_consent_sdk.service.scopes import ANY
from diijam_consent_sdk.service.unread import MAX_BYTES_OF_ONE
from diijam_consent_sdk.stores import MemoryStore, wire
from diijam_consent_sdk.stores.message_fields import SMALL_BODY_BYTES, Answer, Question
from tests.service.conftest import NONCE, Asker

QUESTION = f'{{"nonce":"{NONCE}"}}'.encode()


class Probe:
    """One operation of our own, called as ASGI servers call; it counts how often its body is asked for."""

    def __init__(self, tokens: tuple[Path, dict[str, str]], handle: Any) -> None:
        self.context = create_app(MemoryStore(), tokens=tokens[0]).state.context
        self.token = tokens[1]["both"]
        self.operation = Operation("/probe", Question, Answer, ANY, handle)
        self.asked = 0

    def answer(
        self, *chunks: bytes, token: str | None = None, length: bytes | None = None, is_whole: bool = True
    ) -> tuple[int, bytes, list[bytes]]:
        """Ask with a body of these chunks; return the status, the type and the body's parts."""
        last = {"type": "http.request", "body": b"", "more_body": False} if is_whole else {"type": "http.disconnect"}
        waiting = [*({"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks), last]
        sent: list[Any] = []

        async def receive() -> Any:
            """Give the next chunk."""
            self.asked += 1
            return waiting.pop(0)

        async def send(message: Any) -> None:
            """Keep what was sent."""
            sent.append(message)

        headers = [] if length is None else [(b"content-length", length)]
        call = Call(self.context, receive, f"Bearer {token or self.token}")
        asyncio.run(dispatch.answer(self.operation, call, {"headers": headers}, send))  # type: ignore[typeddict-item]
        assert not sent[-1]["more_body"]
        return sent[0]["status"], dict(sent[0]["headers"])[b"content-type"], [part["body"] for part in sent[1:]]


async def parts_then(error: Exception | None, *parts: bytes) -> AsyncGenerator[bytes]:
    """Answer in these parts, then fail if there is an error."""
    for part in parts:
        yield part
    if error is not None:
        raise error


def probe_of(tokens: tuple[Path, dict[str, str]], error: Exception | None, *parts: bytes) -> Probe:
    """Make a probe that answers in parts."""

    async def handle(call: Call, data: Question) -> AsyncGenerator[bytes]:
        """Answer in the parts."""
        return parts_then(error, *parts)

    return Probe(tokens, handle)


def test_an_answer_may_come_in_parts(token_files: tuple[Path, dict[str, str]]) -> None:
    """Each part is sent as it comes, and the last message ends the answer."""
    found = probe_of(token_files, None, b"1\n", b"2\n").answer(QUESTION)
    assert found == (200, b"application/jsonl", [b"1\n", b"2\n", b""])


def test_what_fails_before_the_first_part_is_a_problem(token_files: tuple[Path, dict[str, str]]) -> None:
    """An answer in parts has the status of its first part."""
    status, kind, parts = probe_of(token_files, StoreUnavailable("away")).answer(QUESTION)
    assert (status, kind) == (503, b"application/problem+json")
    assert b"urn:diijam-consent:store-unavailable" in parts[0]


def test_what_fails_later_ends_the_answer(
    token_files: tuple[Path, dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    """A part that fails is no part, and its cause is in the log."""
    caplog.set_level("INFO")
    assert probe_of(token_files, StoreUnavailable("away"), b"1\n").answer(QUESTION)[2] == [b"1\n", b""]
    assert "service.store_failed" in caplog.text


def test_a_body_is_read_last_and_to_its_limit(token_files: tuple[Path, dict[str, str]]) -> None:
    """Nothing is read for a wrong token or a length past the limit, and no more than the limit else."""
    probe = probe_of(token_files, None, b"1\n")
    for options in ({"token": "wrong"}, {"length": b"%d" % (SMALL_BODY_BYTES + 1)}, {"length": b"9" * 4_000}):
        assert probe.answer(QUESTION, **options)[0] in {401, 413}
    assert probe.asked == 0
    assert probe.answer(*[b"x" * 2**15] * 100)[0] == 413
    assert probe.asked == 3
    assert probe.answer(*(QUESTION[at : at + 1] for at in range(len(QUESTION))))[0] == 200


class Large(bytes):
    """A large answer; all those that are kept are counted."""

    kept = 0

    def __init__(self, _: int) -> None:
        Large.kept += 1

    def __del__(self) -> None:
        Large.kept -= 1


def test_an_answer_that_waits_for_its_connection_is_counted(token_files: tuple[Path, dict[str, str]]) -> None:
    """While an answer waits for those before it on its connection it is kept, and one too many is not."""

    async def handle(call: Call, data: Question) -> bytes:
        """Answer with half of what one caller may have."""
        return Large(MAX_BYTES_OF_ONE // 2)

    async def ask_three() -> None:
        """Ask on three connections that take nothing at first."""
        taken = asyncio.Event()

        async def send(message: Any) -> None:
            """Wait for the socket."""
            await taken.wait()
            statuses.extend([message["status"]] if "status" in message else [])

        async def receive() -> Any:
            """Give the question."""
            return {"type": "http.request", "body": QUESTION, "more_body": False}

        calls = [Call(probe.context, receive, f"Bearer {probe.token}") for _ in range(3)]
        scope: Any = {"headers": []}
        tasks = [asyncio.create_task(dispatch.answer(probe.operation, call, scope, send)) for call in calls]
        await asyncio.sleep(0.05)
        assert Large.kept == 2
        taken.set()
        await asyncio.gather(*tasks)

    statuses = list[int]()
    probe = Probe(token_files, handle)
    asyncio.run(ask_three())
    assert sorted(statuses) == [200, 200, 503]


def test_a_body_that_breaks_off_is_malformed(token_files: tuple[Path, dict[str, str]]) -> None:
    """A question whose connection ended is not handled, even if what came of it is whole JSON."""
    status, _, parts = probe_of(token_files, None, b"1\n").answer(QUESTION, is_whole=False)
    assert (status, b"broke off" in parts[0]) == (400, True)


def test_a_large_question_is_decoded_off_the_event_loop(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a large question is decoded, the service answers health checks and small questions."""
    begun, over, inner = threading.Event(), threading.Event(), wire.read

    def read(data: bytes, kind: type[Any]) -> Any:
        """Decode a large question slowly."""
        if len(data) > SMALL_BODY_BYTES:
            begun.set()
            assert over.wait(20)
        return inner(data, kind)

    monkeypatch.setattr(wire, "read", read)
    large = [f"{number:06}" + "x" * 80 for number in range(1_000)]
    with ThreadPoolExecutor(1) as threads, httpx.Client(timeout=20) as client:
        answer = threads.submit(Asker(asker.url, asker.token, client).load, *large)
        assert begun.wait(20)
        assert asker.http.get(f"{asker.url}/healthz").status_code == 200
        assert len(asker.load("u-1")["records"]) == 1
        assert not answer.done()
        over.set()
        assert [record["user_id"] for record in answer.result()["records"]] == large
