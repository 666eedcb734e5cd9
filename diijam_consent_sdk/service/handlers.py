"""The operations of the service. Their docstrings and types are the OpenAPI document's."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
from litestar import Request, Response, get, post
from litestar.exceptions import InternalServerException
from litestar.params import JSONBody

from ..errors import StoreUnavailable
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
from .admission import admit, needs
from .calls import Calls
from .meters import METRICS_TYPE, Meters
from .openapi import documented
from .polls import Polls
from .problems import Refused, key_of, without_values
from .schemas import MAX_POSITION
from .tokens import Scope, TokenFile

HEALTH_SECONDS = 1.0  # how long the store may take to answer


@functools.cache
def question_of(handler: Callable[..., Any]) -> type[msgspec.Struct]:
    """The type of the question that a handler takes."""
    return get_type_hints(handler)["data"]  # type: ignore[no-any-return]


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
            return msgspec.json.decode(await self.body(), type=question)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            text = without_values(str(error))
            if text.startswith("Object contains unknown field"):  # its name is whatever was sent
                text = f"it has a field that is none; known: {', '.join(question.__struct_fields__)}"
            raise Refused("malformed", f"correct the question: {text}") from None


@post(PATHS[LoadQuestion], guards=[needs(Scope.READ)], **documented(LoadQuestion))
async def load(request: AnyRequest, data: JSONBody[LoadQuestion]) -> LoadAnswer:
    """
    Load the records of users, one for each id, in order; of no ids, just the ledger's head.

    The state is read after the question arrived and holds every append that was acknowledged before. A user who is not
    known has a record of version 0.
    """
    calls: Calls = request.app.state.calls
    loaded = await calls.load(data.user_ids)
    return LoadAnswer(nonce=data.nonce, cursor=loaded.cursor, at=loaded.at, records=list(loaded.records))


@post(PATHS[AppendQuestion], guards=[needs(Scope.WRITE)], **documented(AppendQuestion))
async def append(request: AnyRequest, data: JSONBody[AppendQuestion]) -> AppendAnswer:
    """
    Append events of one user to the ledger, all of them or none.

    It is answered once the events are durable. The same question with the same `idempotency_key` again gets the same
    answer and writes nothing more. The types of events and their fields are those of the library's module `events`.
    """
    calls: Calls = request.app.state.calls
    meters: Meters = request.app.state.meters
    polls: Polls = request.app.state.polls
    try:
        events = [wire.event_from(fields) for fields in data.events]
        appended = await calls.append(data.user_id, events, data.expected_version, data.idempotency_key)
    except Exception as error:
        meters.appended(key_of(error))
        raise
    meters.appended("done")
    polls.wake(appended.cursor)  # before the watcher sees it
    return AppendAnswer(nonce=data.nonce, cursor=appended.cursor, record=appended.record)


@post(PATHS[HistoryQuestion], guards=[needs(Scope.READ)], **documented(HistoryQuestion))
async def history(request: AnyRequest, data: JSONBody[HistoryQuestion]) -> HistoryAnswer:
    """Load the ledger's entries of one user, oldest first; of an erased user the `Erased` alone."""
    calls: Calls = request.app.state.calls
    return HistoryAnswer(nonce=data.nonce, entries=messages.entries(await calls.history(data.user_id)))


@post(PATHS[RequestsQuestion], guards=[needs(Scope.READ)], **documented(RequestsQuestion))
async def requests_due(request: AnyRequest, data: JSONBody[RequestsQuestion]) -> RequestsAnswer:
    """Load the records of users who have open requests, page by page: the work list of a support team."""
    calls: Calls = request.app.state.calls
    page = await calls.open_requests(data.after, data.limit)
    return RequestsAnswer(nonce=data.nonce, at=page.at, records=list(page.records), after=page.after)


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
        await asyncio.wait_for(calls.load(()), HEALTH_SECONDS)
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
