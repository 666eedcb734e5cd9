"""Answers questions: one order of checks for all operations, from the token to the last byte of the answer."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Self

import msgspec
from litestar.types import HTTPScope, Receive, Send

from ..errors import StoreUnavailable
from ..stores import wire
from ..stores.message_fields import SMALL_BODY_BYTES
from ..stores.strict_json import UNKNOWN_FIELD
from .auth import authorize, authorize_again
from .connections import CONNECTION, Connection
from .operation import Call, Operation, Parts
from .problems import (
    PROBLEM_JSON,
    PROBLEM_OF_STATUS,
    ProblemAnswer,
    Refused,
    problem_answer,
    redact,
)

Headers = list[tuple[bytes, bytes]]
NO_STORE = (b"cache-control", b"no-store")  # of every answer
JSON_HEADER = (b"content-type", b"application/json")
JSON_LINES = "application/jsonl"
LINES_HEADERS: Headers = [
    (b"content-type", JSON_LINES.encode()),
    (b"x-accel-buffering", b"no"),  # nginx would hold parts back
    NO_STORE,
]
MAX_LENGTH_DIGITS = 18  # of a Content-Length; the servers take no number that is longer


def header(scope: HTTPScope, name: bytes) -> bytes:
    """Look up the first header of a name, which is in lower case; empty without such a header."""
    for key, value in scope["headers"]:
        if key == name:
            return value
    return b""


async def answer(operation: Operation, call: Call, scope: HTTPScope, send: Send) -> None:
    """
    Answer one question, or refuse it with a problem document.

    Args:
        operation: The operation of the request's path.

        call: The call, whose token is found here.

        scope: ASGI's scope of the request.

        send: ASGI's channel for the answer, whose status is noted in the call.
    """
    parts: Parts | None = None
    problem: ProblemAnswer | None = None
    try:
        found = await _handle(operation, call, header(scope, b"content-length"))
        if isinstance(found, bytes):
            first = found
        else:
            parts, first = found, await anext(found)  # what fails before the first part has its own status
    except Exception as error:  # noqa: BLE001 - each becomes a problem
        problem = _problem_of(call, error)
    if problem is not None:  # outside `except`: the error's frames keep the question and a refused answer
        await _send_problem(call, send, problem)
        return
    connection: Connection | None = scope.get("state", {}).get(CONNECTION)
    drained = _pass if connection is None else connection.drained
    if parts is not None:
        await _send_parts(call, send, first, parts, drained)
        return
    if len(first) <= SMALL_BODY_BYTES:
        await _send(call, send, 200, [JSON_HEADER, NO_STORE], first)
        return
    with call.context.unread.kept(call.caller, len(first)):  # also while it waits for earlier answers
        await _send(call, send, 200, [JSON_HEADER, NO_STORE], first)
        del found, first  # the connection keeps what the client has yet to take
        await drained()


async def _handle(operation: Operation, call: Call, length: bytes) -> bytes | Parts:
    """Let a question in, read it, and handle it while its token is valid."""
    authorize(call, operation.scopes, operation.beside)  # before the body is read
    with _Room(call) as room:
        body = await _read_body(call.receive, length, operation.question.max_bytes, room)
        question = await _decode(call, body, operation.question)
        authorize_again(call, operation.scopes, operation.beside)  # the body may have taken long
        scopes = call.token.scopes
        found = await operation.handle(call, question)
    if isinstance(found, bytes) and not operation.is_write:  # what was written is never answered as refused
        authorize_again(call, operation.scopes, operation.beside)  # it may have waited long for its turn
        if not scopes <= call.token.scopes:  # the answer was made for the former scopes
            raise StoreUnavailable("the scopes of the token were narrowed before the answer: ask again")
        if len(found) > SMALL_BODY_BYTES:
            call.context.unread.check(call.caller, len(found))
    return found


class _Room:
    """Room for a large question, until it is handled. Without it a crowd of them would take all memory."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_taken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_taken:
            self._call.context.large_questions.release(self._call.caller)

    async def take(self) -> None:
        """Wait for room, unless it is taken."""
        if not self._is_taken:
            await self._call.context.large_questions.acquire(self._call.caller)
            self._is_taken = True


async def _read_body(receive: Receive, length: bytes, most: int, room: _Room) -> bytes:
    """
    Read a body, the rest of a large one once there is room for it.

    Raises:
        Refused: it is too large, or broke off.
    """
    if len(length) > MAX_LENGTH_DIGITS or (length.isdigit() and int(length) > most):
        raise Refused(*PROBLEM_OF_STATUS[413])
    chunks, size = list[bytes](), 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused("malformed", "the question broke off before its end: send it again")
        chunks.append(message["body"])
        size += len(message["body"])
        if size > most:
            raise Refused(*PROBLEM_OF_STATUS[413])
        if size > SMALL_BODY_BYTES:
            await room.take()
        if not message["more_body"]:
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _decode(call: Call, body: bytes, question: type[msgspec.Struct]) -> Any:
    """Decode a question strictly, off the event loop if it is large: one of a megabyte may take a tenth of a second."""
    if len(body) <= SMALL_BODY_BYTES:
        return decode(body, question)
    return await call.context.decoding.run(call.caller, functools.partial(decode, body, question))


def decode(body: bytes, question: type[msgspec.Struct]) -> Any:
    """
    Decode a question. No word or type is guessed.

    Raises:
        Refused: it is malformed; the text names the place and repeats nothing of the question.
    """
    try:
        return wire.read(body, question)
    except wire.Malformed as error:
        text = redact(str(error))
        if text == UNKNOWN_FIELD:
            text = f"it has an unknown field; known fields are {', '.join(question.__struct_fields__)}"
        raise Refused("malformed", f"correct the question: {text}") from None


def _problem_of(call: Call, error: Exception) -> ProblemAnswer:
    """Make the problem document of an error, and count a question that was refused for the lack of a scope."""
    if isinstance(error, Refused) and error.key == "forbidden":  # not a relay's own token
        call.context.metrics.record_refusal("scope")
    return problem_answer(error)


async def _send_problem(call: Call, send: Send, problem: ProblemAnswer) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    headers += [(b"content-type", PROBLEM_JSON.encode()), NO_STORE]
    await _send(call, send, problem.status, headers, problem.content)


async def _send(call: Call, send: Send, status: int, headers: Headers, body: bytes) -> None:
    call.status = status
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _pass() -> None:
    """Wait for nothing, with a server that does not tell what the socket took."""


async def _send_parts(
    call: Call, send: Send, first: bytes, parts: Parts, drained: Callable[[], Awaitable[None]]
) -> None:
    """Send an answer in parts, each once the socket took the last. It ends at an error, as it may end at any time."""
    call.status = 200
    async with aclosing(parts):
        await send({"type": "http.response.start", "status": 200, "headers": LINES_HEADERS})
        await send({"type": "http.response.body", "body": first, "more_body": True})
        try:
            await drained()
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
                await drained()
        except Exception as error:  # noqa: BLE001 - it is logged as the problem that it would have been
            _problem_of(call, error)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
