"""The operations of the service. Their docstrings and types are the OpenAPI document's."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.exceptions import InternalServerException
from litestar.params import JSONBody

from ..errors import StoreUnavailable
from ..events import LedgerEntry
from ..stores import messages, wire
from ..stores.messages import (
    PATHS,
    AppendAnswer,
    AppendQuestion,
    ChangesAnswer,
    ChangesQuestion,
    HistoryAnswer,
    HistoryQuestion,
    LoadAnswer,
    LoadQuestion,
    RequestsAnswer,
    RequestsQuestion,
)
from ..stores.protocol import Appended, Cursor, Loaded, OpenRequests
from . import answers
from .auth import admit, needs
from .feed import Polls
from .metrics import METRICS_TYPE, Meters
from .openapi import documented
from .problems import Refused, key_of, without_values
from .schemas import MAX_POSITION
from .store_executor import Calls
from .tokens import Scope, TokenFile

HEALTH_SECONDS = 1.0  # how long the store may take to answer


@functools.cache
def question_of(handler: Callable[..., Any]) -> type[msgspec.Struct]:
    """The type of the question that a handler takes."""
    return get_type_hints(handler)["data"]  # type: ignore[no-any-return]


LISTED_AT_ONCE = 50  # users on a page of requests: so much of a list is done in one turn
AnyRequest = Request[Any, Any, Any]


class StrictRequest(AnyRequest):
    """A request whose body is decoded strictly, straight into the question of its path: no word or type is guessed."""

    async def body(self) -> bytes:
        """
        The body.

        Raises:
            Refused: it broke off.
        """
        try:
            return await super().body()
        except InternalServerException:  # what the framework says then, as if it were our failure
            raise Refused("malformed", "the question broke off before its end: send it again") from None

    async def json(self) -> Any:
        """
        The question in the body.

        Raises:
            Refused: it is malformed; the text says where and repeats nothing of it.
        """
        question = question_of(self.route_handler.fn)
        try:
            return wire.read(await self.body(), question)
        except wire.Malformed as error:
            text = without_values(str(error))
            if text == wire.UNKNOWN_FIELD:
                text = f"it has a field that is none; known: {', '.join(question.__struct_fields__)}"
            raise Refused("malformed", f"correct the question: {text}") from None


@post(PATHS[LoadQuestion], guards=[needs(Scope.READ)], **documented(LoadQuestion))
async def load(request: AnyRequest, data: JSONBody[LoadQuestion]) -> Response[LoadAnswer]:
    """
    Load the records of users, one for each id, in order, each id once; of no ids, just the ledger's head.

    The state is read after the question arrived and holds every append that was acknowledged before. A user who is not
    known has a record of version 0. More than 32 MiB of records are `too-large`: ask for fewer users.
    """

    def made(loaded: Loaded) -> bytes:
        """The answer as bytes."""
        answer = LoadAnswer(nonce=data.nonce, cursor=loaded.cursor, at=loaded.at, records=[])
        return answers.encoded(answer, "records", loaded.records)

    calls: Calls = request.app.state.calls
    return _answer(await calls.load(request.state.caller, data.user_ids, made))


@post(PATHS[AppendQuestion], guards=[needs(Scope.WRITE)], **documented(AppendQuestion))
async def append(request: AnyRequest, data: JSONBody[AppendQuestion]) -> Response[AppendAnswer]:
    """
    Append events of one user to the ledger, all of them or none.

    It is answered once the events are durable. The same question with the same `idempotency_key` again gets the same
    answer and writes nothing more. The types of events and their fields are those of the library's module `events`.
    """

    def made(appended: Appended) -> tuple[Cursor, bytes]:
        """The answer as bytes."""
        answer = AppendAnswer(nonce=data.nonce, cursor=appended.cursor, record=appended.record)
        return appended.cursor, wire.encode(answer)

    calls: Calls = request.app.state.calls
    meters: Meters = request.app.state.meters
    polls: Polls = request.app.state.polls
    try:
        events = [wire.event_from(fields) for fields in data.events]
        cursor, body = await calls.append(
            request.state.caller, data.user_id, events,
            expected_version=data.expected_version, idempotency_key=data.idempotency_key, then=made,
        )  # fmt: skip
    except Exception as error:
        meters.appended(key_of(error))
        raise
    meters.appended("done")
    polls.wake(cursor)  # before the watcher sees it
    return _answer(body)


@post(PATHS[HistoryQuestion], guards=[needs(Scope.READ)], **documented(HistoryQuestion))
async def history(request: AnyRequest, data: JSONBody[HistoryQuestion]) -> Response[HistoryAnswer]:
    """
    Load the ledger's entries of one user, oldest first; of an erased user the `Erased` alone.

    A long history comes in pages: ask again with the version that the answer has as `after`.
    """

    def made(entries: list[LedgerEntry]) -> bytes:
        """The answer as bytes."""
        left = [entry for entry in entries if entry.version > data.after]
        parts = answers.page(messages.entries(left))
        after = left[len(parts) - 1].version if len(parts) < len(left) else None
        return answers.paged(HistoryAnswer(nonce=data.nonce, entries=[], after=after), "entries", parts)

    calls: Calls = request.app.state.calls
    return _answer(await calls.history(request.state.caller, data.user_id, made))


@post(PATHS[RequestsQuestion], guards=[needs(Scope.READ)], **documented(RequestsQuestion))
async def requests_due(request: AnyRequest, data: JSONBody[RequestsQuestion]) -> Response[RequestsAnswer]:
    """
    Load the records of users who have open requests, page by page: the work list of a support team.

    A page may hold fewer users than `limit`; where to go on is its `after`.
    """

    def made(page: OpenRequests) -> bytes:
        """The answer as bytes."""
        parts = answers.page(page.records)
        after = page.records[len(parts) - 1].user_id if len(parts) < len(page.records) else page.after
        answer = RequestsAnswer(nonce=data.nonce, at=page.at, records=[], after=after)
        return answers.paged(answer, "records", parts)

    calls: Calls = request.app.state.calls
    limit = min(data.limit, LISTED_AT_ONCE)
    return _answer(await calls.open_requests(request.state.caller, data.after, limit, made))


@post(PATHS[ChangesQuestion], guards=[needs(Scope.READ)], **documented(ChangesQuestion))
async def changes(request: AnyRequest, data: JSONBody[ChangesQuestion]) -> ChangesAnswer:
    """
    Ask who changed since a cursor: a long poll.

    With news it is answered at once, without any when some comes or after `wait` seconds. `complete` says that `cursor`
    is the head; `waited`, how many of the seconds the service waited before it last looked. An `after` that is not in
    this ledger's history is answered at once with the head and no users.
    """
    if not 0 <= data.after.position <= MAX_POSITION:
        raise Refused("malformed", "correct the question: a position has 63 bits - at `$.after.position`")
    polls: Polls = request.app.state.polls
    gone = asyncio.ensure_future(_gone(request))
    try:
        found = await polls.changes(data.after, wait=data.wait, limit=data.limit, gone=gone)
    finally:
        gone.cancel()
    admit(request, Scope.READ)  # again: the token may have been revoked while it waited
    return ChangesAnswer(
        nonce=data.nonce,
        after=found.after,
        cursor=found.cursor,
        user_ids=dict(found.user_ids),
        complete=found.complete,
        waited=found.waited,
    )


def _answer(body: bytes) -> Response[Any]:
    """An answer that is JSON already."""
    return Response(body, media_type=MediaType.JSON)


async def _gone(request: AnyRequest) -> None:
    """Wait until the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


@get("/healthz", **documented("health"))
async def health(request: AnyRequest) -> dict[str, str]:
    """
    Tell whether the store answers within a second and the tokens can be read: for load balancers, without a token.

    A HEAD is answered in the same way. While the store's clock is wrong the status is `clock-ahead`, and still 200:
    withdrawals are accepted, and a service that was restarted for it would take the wrong time for right.
    """
    tokens: TokenFile = request.app.state.tokens
    tokens.check()
    calls: Calls = request.app.state.calls
    try:
        await asyncio.wait_for(calls.head(), HEALTH_SECONDS)
    except TimeoutError:
        raise StoreUnavailable("the store did not answer within a second: look at the store") from None
    trouble = calls.clock_trouble()
    return {"status": "ok"} if trouble is None else {"status": "clock-ahead", "detail": trouble}


@get("/metrics", media_type=METRICS_TYPE, **documented("metrics"))
async def metrics(request: AnyRequest) -> Response[bytes]:
    """Give the service's figures in Prometheus's text format, without a token: they name no user and no token."""
    meters: Meters = request.app.state.meters
    return Response(meters.text(), media_type=METRICS_TYPE)


@get("/openapi.json", **documented("openapi"))
async def openapi(request: AnyRequest) -> dict[str, Any]:
    """Give this document."""
    return request.app.state.document  # type: ignore[no-any-return]


HANDLERS = (load, append, history, requests_due, changes, health, metrics, openapi)
