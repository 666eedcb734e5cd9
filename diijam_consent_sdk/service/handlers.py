"""The operations of the service. Their docstrings and types are published in the OpenAPI document."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import attrs
import msgspec
from litestar import Response, get, post
from litestar.params import JSONBody

from ..errors import StoreUnavailable, VersionConflict
from ..events import LedgerEntry, Provenance
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
from ..stores.token_messages import PATHS as TOKEN_PATHS
from ..stores.token_messages import TokenAnswer, TokenQuestion
from ..vocabulary import Method
from .auth import authorize, authorize_append, may_read, requires, writer
from .context import Context
from .encoding import encode_page, encode_whole, join, json_response
from .metrics import METRICS_TYPE
from .notice_handlers import NOTICE_HANDLERS
from .openapi import documented, make_document
from .problems import Refused, problem_key
from .schemas import MAX_POSITION
from .scopes import ANY, CHANGES, READS, RECORDS
from .strict_request import AnyRequest
from .tokens import TokenEntry

HEALTH_SECONDS = 1.0  # that the store may take to answer
MAX_LISTED = 50  # users on a page of requests, so that one caller's list takes short turns


@post(PATHS[LoadQuestion], guards=[requires(RECORDS)], **documented(LoadQuestion))
async def load(request: AnyRequest, data: JSONBody[LoadQuestion], context: Context) -> Response[LoadAnswer]:
    """
    Load the records of users, one for each id, in order, each id once; of no ids, just the ledger's head.

    The state is read after the question arrived and holds every append that was acknowledged before. A user who is not
    known has a record of version 0. More than 32 MiB of records are `too-large`: ask for fewer users.
    """

    def encode(loaded: Loaded) -> bytes:
        """Encode the answer."""
        request.state.users = len(loaded.records)
        answer = LoadAnswer(nonce=data.nonce, cursor=loaded.cursor, at=loaded.at, records=[])
        return encode_whole(answer, "records", loaded.records)

    return json_response(await context.store.load(request.state.token.name, data.user_ids, encode))


@post(PATHS[AppendQuestion], guards=[requires(ANY)], **documented(AppendQuestion))
async def append(
    request: AnyRequest,
    data: JSONBody[AppendQuestion],
    context: Context,
) -> Response[AppendAnswer]:
    """
    Append events of one user to the ledger, all of them or none.

    Each event needs its scope, and the token all of these. It is answered once the events are durable, with the record
    only if the token may read. The same events with the same `idempotency_key` again get the same answer, with
    `is_repeat`, and write nothing more; other events with a used key are `malformed`, unless they only take permission
    away. The types of events and their fields are those of the library's module `events`.
    """
    is_reader, request.state.users = may_read(request), 1

    def encode(appended: Appended) -> tuple[Cursor, bytes]:
        """Encode the answer."""
        answer = AppendAnswer(
            nonce=data.nonce, user_id=data.user_id, cursor=appended.cursor, version=appended.version,
            is_repeat=appended.is_repeat, record=appended.record if is_reader and appended.record else msgspec.UNSET,
        )  # fmt: skip
        return appended.cursor, wire.encode(answer)

    try:
        events = [wire.event_from(fields) for fields in data.events]
        provenance = _provenance(data, request.state.token)
        authorize_append(request, events, is_import=provenance.method is Method.IMPORT)
        cursor, body = await context.store.append(
            request.state.token.name, data.user_id, events,
            expected_version=data.expected_version, idempotency_key=data.idempotency_key,
            provenance=provenance, convert=encode,
        )  # fmt: skip
    except Exception as error:
        context.metrics.record_append(problem_key(error))
        if isinstance(error, VersionConflict) and not is_reader:
            raise VersionConflict(error.expected, None) from None
        raise
    context.metrics.record_append("done")
    context.feed.wake(cursor)  # at once, not only when the watcher finds it
    return json_response(body)


@post(PATHS[HistoryQuestion], guards=[requires(READS)], **documented(HistoryQuestion))
async def history(request: AnyRequest, data: JSONBody[HistoryQuestion], context: Context) -> Response[HistoryAnswer]:
    """
    Load the ledger's entries of one user, oldest first; of an erased user the `Erased` alone.

    A long history comes in pages: ask again with the version that the answer has as `after`.
    """

    def encode(entries: list[LedgerEntry]) -> bytes:
        """Encode the answer."""
        request.state.users = 1
        left = [entry for entry in entries if entry.version > data.after]
        parts = encode_page(messages.entries_from(left))
        after = left[len(parts) - 1].version if len(parts) < len(left) else None
        return join(HistoryAnswer(nonce=data.nonce, entries=[], after=after), "entries", parts)

    return json_response(await context.store.history(request.state.token.name, data.user_id, encode))


@post(PATHS[RequestsQuestion], guards=[requires(READS)], **documented(RequestsQuestion))
async def requests_due(
    request: AnyRequest, data: JSONBody[RequestsQuestion], context: Context
) -> Response[RequestsAnswer]:
    """
    Load the records of users who have open requests, page by page: the work list of a support team.

    A page may hold fewer users than `limit`; where to go on is its `after`.
    """

    def encode(page: OpenRequests) -> bytes:
        """Encode the answer."""
        parts = encode_page(page.records)
        request.state.users = len(parts)
        after = page.records[len(parts) - 1].user_id if len(parts) < len(page.records) else page.after
        return join(RequestsAnswer(nonce=data.nonce, at=page.at, records=[], after=after), "records", parts)

    limit = min(data.limit, MAX_LISTED)
    return json_response(await context.store.open_requests(request.state.token.name, data.after, limit, encode))


@post(PATHS[ChangesQuestion], guards=[requires(CHANGES)], **documented(ChangesQuestion))
async def changes(request: AnyRequest, data: JSONBody[ChangesQuestion], context: Context) -> ChangesAnswer:
    """
    Ask who changed since a cursor: a long poll.

    With news it is answered at once, without any when some comes or after `wait` seconds. `complete` says that `cursor`
    is the head; `waited`, how many of the seconds the service waited before it last looked. An `after` that is not in
    this ledger's history is answered at once with the head and no users.
    """
    if not 0 <= data.after.position <= MAX_POSITION:
        raise Refused("malformed", "correct the question: a position has 63 bits - at `$.after.position`")
    disconnected = asyncio.ensure_future(_wait_for_disconnect(request))
    try:
        found = await context.feed.changes(data.after, wait=data.wait, limit=data.limit, disconnected=disconnected)
    finally:
        disconnected.cancel()
    request.state.users = len(found.user_ids)
    authorize(request, CHANGES)  # again, since the token may have been revoked during the wait
    return ChangesAnswer(
        nonce=data.nonce,
        after=found.after,
        cursor=found.cursor,
        user_ids=dict(found.user_ids),
        complete=found.complete,
        waited=found.waited,
    )


@post(TOKEN_PATHS[TokenQuestion], guards=[requires(ANY)], **documented(TokenQuestion))
async def own_token(request: AnyRequest, data: JSONBody[TokenQuestion]) -> TokenAnswer:
    """Tell what the token of this request is: its name, scopes and end, and the service's time."""
    token: TokenEntry = request.state.token
    return TokenAnswer(
        nonce=data.nonce, name=token.name, scopes=sorted(token.scopes), expires_at=token.expires_at,
        at=datetime.now(UTC),
    )  # fmt: skip


def _provenance(data: AppendQuestion, token: TokenEntry) -> Provenance:
    """Make the provenance of an append, with the token for the writer whatever the question says."""
    given = wire.provenance_from(data.provenance or {})
    return attrs.evolve(given, by=writer(token, given.by))


async def _wait_for_disconnect(request: AnyRequest) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@get("/healthz", **documented("health"))
async def health(context: Context) -> dict[str, str]:
    """
    Tell whether the store answers within a second and the tokens can be read: for load balancers, without a token.

    A HEAD is answered in the same way. While the store's clock is wrong the status is `clock-ahead`, and still 200:
    withdrawals are accepted, and a service that was restarted for it would take the wrong time for right.
    """
    context.tokens.check()
    try:
        await asyncio.wait_for(context.store.head(), HEALTH_SECONDS)
    except TimeoutError:
        raise StoreUnavailable("the store did not answer within a second: look at the store") from None
    trouble = context.store.clock_trouble()
    return {"status": "ok"} if trouble is None else {"status": "clock-ahead", "detail": trouble}


@get("/metrics", media_type=METRICS_TYPE, **documented("metrics"))
async def show_metrics(context: Context) -> Response[bytes]:
    """Give the service's figures in Prometheus's text format, without a token: they name no user and no token."""
    return Response(context.metrics.render(), media_type=METRICS_TYPE)


@get("/openapi.json", **documented("openapi"))
async def show_document() -> dict[str, Any]:
    """Give this document."""
    return make_document(HANDLERS)


HANDLERS = (
    load,
    append,
    history,
    requests_due,
    changes,
    *NOTICE_HANDLERS,
    own_token,
    health,
    show_metrics,
    show_document,
)
