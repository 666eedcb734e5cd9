"""A poll in parts over real sockets, on both faces: what is read, what is refused, and when it ends."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import AsyncHttpStore, Changes, Cursor, HttpStore
from diijam_consent_sdk.stores.http import parts
from diijam_consent_sdk.stores.protocol import AsyncChangesStream, ChangesStream, StreamsChanges
from tests.stores.http.scripted import Conversation, Script, Scripted

START = Cursor("e", 1, "01")
DEADLINE = 0.4


class Face:
    """A store of one face, whose streams are read as if they were of the sync one."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop
        of_face: type[HttpStore | AsyncHttpStore] = AsyncHttpStore if loop else HttpStore
        self.store = of_face(url, deadline=DEADLINE, token="dcs_x")

    def stream(self, *, wait: float = 30.0, beat: float = 5.0, **options: Any) -> ChangesStream | AsyncChangesStream:
        """Begin a stream."""
        return self.store.stream_changes(START, wait=wait, beat=beat, **options)

    def next(self, of: ChangesStream | AsyncChangesStream) -> Changes | None:
        """The next part; None at the end."""
        if isinstance(of, Iterator):
            return next(of, None)
        part: Changes | None = self.run(anext(of, None))
        return part

    def read_all(self, of: ChangesStream | AsyncChangesStream) -> None:
        """Read to the end, within a few seconds."""
        until = time.monotonic() + 5
        while self.next(of):
            assert time.monotonic() < until

    def run(self, awaitable: Any) -> Any:
        """Run on the event loop."""

        async def run() -> Any:
            """Await it."""
            return await awaitable

        assert self._loop
        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(20)

    def close(self) -> None:
        """Close the store."""
        closing = self.store.close()
        if closing is not None:
            self.run(closing)


@pytest.fixture(params=["sync", "async"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop | None]:
    """The event loop of the async face; None for the sync one."""
    if request.param == "sync":
        yield None
        return
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


Begin = Callable[[Script], tuple[Face, Scripted]]


@pytest.fixture
def begin(loop: asyncio.AbstractEventLoop | None) -> Iterator[Begin]:
    """Starts a scripted service and a store of it."""
    began: list[tuple[Face, Scripted]] = []

    def start(script: Script) -> tuple[Face, Scripted]:
        service = Scripted(script)
        began.append((Face(service.url, loop), service))
        return began[-1]

    yield start
    for face, service in began:
        service.close()
        face.close()


def test_each_line_is_a_part(begin: Begin) -> None:
    """Lines come as they are sent, several in one piece or one in several, and continue each other."""

    def script(talk: Conversation) -> None:
        talk.begin()
        talk.send(talk.part(1), talk.part(1, 3, "u", "v"), talk.part(3, 4, "w")[:20])
        time.sleep(0.1)
        talk.send(talk.part(3, 4, "w")[20:])
        talk.send(talk.part(4, waited=1.5))
        talk.end()

    face, service = begin(script)
    assert isinstance(face.store, StreamsChanges)
    following = face.stream(limit=7, client="c" * 16)
    assert not service.asked  # until the first part is asked for
    read = [face.next(following) for _ in range(4)]
    assert [part and (part.after.position, part.cursor.position, dict(part.user_ids)) for part in read] == [
        (1, 1, {}), (1, 3, {"u": 3, "v": 3}), (3, 4, {"w": 4}), (4, 4, {})
    ]  # fmt: skip
    assert read[3]
    assert read[3].waited == 1.5
    assert face.next(following) is None
    assert face.next(following) is None
    question = service.asked[0].question
    assert question.pop("nonce")
    assert question == {
        "after": {"epoch": "e", "position": 1, "hash": "01"}, "wait": 30.0, "limit": 7, "stream": True, "beat": 5.0,
        "client": "c" * 16,
    }  # fmt: skip
    assert service.asked[0].headers["accept"] == "application/jsonl"


def broken(talk: Conversation, **changed: Any) -> bytes:
    """A part with other fields than it should have."""
    return talk.part(1, **changed)


BAD_LINES: dict[str, Callable[[Conversation], bytes]] = {
    "of another stream": lambda talk: broken(talk, nonce="0" * 32),
    "replayed after news": lambda talk: talk.part(1, 2, "u") * 2,
    "that leaves one out": lambda talk: talk.part(1, 2, "u") + talk.part(3, 4, "u"),
    "after another hash": lambda talk: broken(talk, after={"epoch": "e", "position": 1, "hash": "ff"}),
    "with a key given twice": lambda talk: talk.part(1)[:-2] + b',"complete":true}\n',
    "with an unknown field": lambda talk: broken(talk, more=1),
    "without a field": lambda talk: json.dumps({"nonce": talk.question["nonce"]}).encode() + b"\n",
    "of no view": lambda talk: broken(talk, view=["everything"]),
    "that is no JSON": lambda _: b"<html>\n",
    "that is empty": lambda _: b"\n",
    "that is too long": lambda talk: b" " * (parts.MAX_PART_BYTES + 1) + talk.part(1),
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_part_that_is_not_right_ends_the_stream(begin: Begin, line: str) -> None:
    """It is an error, the connection is closed, and nothing comes after it."""

    def script(talk: Conversation) -> None:
        talk.begin()
        talk.send(talk.part(1), BAD_LINES[line](talk), talk.part(1))
        talk.is_left_within(5)

    face, service = begin(script)
    following = face.stream()
    assert face.next(following)
    with pytest.raises(StoreUnavailable, match=r"cannot be believed|too long"):
        face.read_all(following)
    assert face.next(following) is None
    assert service.asked[0].is_left_within(2)


def answered_at_once(talk: Conversation) -> None:
    """As a service that knows no streams."""
    body = talk.part(1)[:-1]
    talk.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


def begun(talk: Conversation, **headers: str) -> None:
    """A stream with other headers."""
    talk.begin(**headers)
    talk.send(talk.part(1))
    talk.is_left_within(5)


def cut_within(talk: Conversation) -> None:
    """The body ends within a line."""
    talk.begin()
    talk.send(talk.part(1)[:30])
    talk.end()


def never_begun(talk: Conversation) -> None:
    """The body ends before the first part."""
    talk.begin()
    talk.end()


def endless(talk: Conversation) -> None:
    """A head and then silence."""
    talk.begin()
    talk.is_left_within(5)


def refused(talk: Conversation) -> None:
    """The token is not known."""
    talk.begin("401 Unauthorized", content_type="application/problem+json")
    talk.send(b'{"type":"urn:diijam-consent:unauthorized","title":"t","status":401,"detail":"d"}')
    talk.end()


NO_STREAMS: dict[str, tuple[Script, str]] = {
    "a single answer": (answered_at_once, "no JSON"),
    "from a cache": (lambda talk: begun(talk, age="3"), "comes from a cache"),
    "compressed": (lambda talk: begun(talk, content_encoding="gzip"), "is compressed"),
    "of another type": (lambda talk: begun(talk, content_type="text/event-stream"), "no JSON"),
    "cut within the first part": (cut_within, "was cut"),
    "ended before the first part": (never_begun, "was cut"),
    "nothing within the deadline": (endless, "did not answer in time"),
    "refused": (refused, "status 401"),
}


@pytest.mark.parametrize("kind", NO_STREAMS)
def test_what_is_no_stream_is_an_error(begin: Begin, kind: str) -> None:
    """The first part is an error within one deadline, the connection is closed, and then there is the end."""
    script, message = NO_STREAMS[kind]
    face, service = begin(script)
    following = face.stream()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=message):
        face.next(following)
    assert time.monotonic() - began < 2 * DEADLINE
    assert face.next(following) is None
    if kind in {"from a cache", "compressed", "of another type", "nothing within the deadline"}:  # else it was all read
        assert service.asked[0].is_left_within(2)


@pytest.mark.parametrize("silence", [0.3, None], ids=["of its own", "beat and deadline"])
def test_silence_ends_a_stream(begin: Begin, silence: float | None) -> None:
    """After a part, the next one has to come within the silence, however many bytes drip meanwhile."""

    def script(talk: Conversation) -> None:
        talk.begin()
        talk.send(talk.part(1))
        for _ in range(40):
            talk.send(b" ")
            if talk.is_left_within(0.05):
                break

    face, service = begin(script)
    following = face.stream(beat=0.2, silence=silence)
    assert face.next(following)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        face.next(following)
    assert time.monotonic() - began == pytest.approx(silence or 0.2 + DEADLINE, abs=0.15)
    assert service.asked[0].is_left_within(2)


def test_a_stream_ends_after_its_wait_and_a_deadline(begin: Begin) -> None:
    """A service that never ends a stream does not keep the client on it."""

    def script(talk: Conversation) -> None:
        talk.begin()
        while not talk.is_left_within(0.05):
            talk.send(talk.part(1))

    face, _ = begin(script)
    following = face.stream(wait=0.5, beat=0.1)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        face.read_all(following)
    assert time.monotonic() - began == pytest.approx(0.5 + DEADLINE, abs=0.2)


def test_all_parts_together_are_bounded(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an answer that goes on and on, no more is read than the limit."""
    monkeypatch.setattr(parts, "MAX_RESPONSE_BYTES", 10_000)

    def script(talk: Conversation) -> None:
        talk.begin()
        while not talk.is_left_within(0.001):
            talk.send(talk.part(1))

    face, _ = begin(script)
    following = face.stream()
    with pytest.raises(StoreUnavailable, match="too long"):
        face.read_all(following)


def quiet(talk: Conversation) -> None:
    """A first part, and no more."""
    talk.begin()
    talk.send(talk.part(1))
    talk.is_left_within(10)


def test_a_stream_is_closed_while_it_is_waited_for(begin: Begin) -> None:
    """Another thread closes it: whoever waits finds the end at once, and the service finds the client gone."""
    face, service = begin(quiet)
    following = face.stream()
    assert face.next(following)
    timer = threading.Timer(0.2, following.close)
    timer.start()
    began = time.monotonic()
    assert face.next(following) is None
    assert 0.1 < time.monotonic() - began < 1
    assert service.asked[0].is_left_within(2)
    following.close()
    assert face.next(following) is None
    timer.join()


def test_a_stream_is_closed_between_two_parts(begin: Begin) -> None:
    """Nobody waits: it is over all the same, its connection is closed, and its place in the pool is free."""
    face, service = begin(quiet)
    for number in range(40):  # more than there are connections
        following = face.stream()
        assert face.next(following)
        following.close()
        assert service.asked[number].is_left_within(2)
        assert face.next(following) is None


def test_a_stream_that_was_never_asked_is_closed(begin: Begin) -> None:
    """It sends nothing, before and after."""
    face, service = begin(quiet)
    following = face.stream()
    following.close()
    assert face.next(following) is None
    assert not service.asked


ASYNC = pytest.mark.parametrize("loop", ["async"], indirect=True)


@ASYNC
def test_a_task_may_end_a_stream(begin: Begin) -> None:
    """`aclose` ends it as `close` does, and waits until the connection is closed."""
    face, service = begin(quiet)
    following = face.stream()
    assert not isinstance(following, Iterator)
    assert face.next(following)
    face.run(following.aclose())
    assert face.next(following) is None
    assert service.asked[0].is_left_within(2)


@ASYNC
def test_a_task_that_waits_is_cancelled(begin: Begin) -> None:
    """A cancelled task leaves no connection behind."""
    face, service = begin(quiet)
    following = face.stream()
    assert not isinstance(following, Iterator)
    assert face.next(following)

    async def cancelled() -> None:
        """Wait for a part, but not for long."""
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(following), 0.1)

    face.run(cancelled())
    assert service.asked[0].is_left_within(2)
    assert face.next(following) is None


def test_each_stream_names_a_client(begin: Begin) -> None:
    """Without a name, each has another: no stream ends one that it does not know of."""
    face, service = begin(quiet)
    for _ in range(2):
        following = face.stream()
        assert face.next(following)
        following.close()
    first, second = (talk.question["client"] for talk in service.asked)
    assert first != second
    assert len(first) == len(second) == 32


def test_a_child_does_not_cut_its_parents_stream(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a forked child does to a stream that it inherited leaves the parent's connection alone."""
    face, service = begin(quiet)
    following = face.stream()
    assert face.next(following)
    if isinstance(following, Iterator):
        monkeypatch.setattr(os, "getpid", lambda: -1)
        following.close()
        assert face.next(following) is None
        monkeypatch.undo()
        assert not service.asked[0].is_left_within(0.2)
    following.close()
    assert service.asked[0].is_left_within(2)


def test_a_stream_over_a_closed_store_is_an_error(begin: Begin) -> None:
    """A store that is closed sends nothing more."""
    face, service = begin(quiet)
    following = face.stream()
    face.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        face.next(following)
    assert not service.asked


def test_the_connection_of_a_stream_is_used_for_nothing_else(begin: Begin) -> None:
    """A late end of the stream would cut it, and with it another thread's append."""

    def script(talk: Conversation) -> None:
        talk.begin()
        talk.send(talk.part(1))
        talk.end()

    face, service = begin(script)
    face.read_all(face.stream())
    assert service.asked[0].headers["connection"] == "close"
