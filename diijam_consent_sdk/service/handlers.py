"""The operations of the service. Their docstrings and types are published in the OpenAPI document."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import attrs
import msgspec
from litestar import Response, get

from ..errors import StoreUnavailable, VersionConflict
from ..events import Provenance
from ..stores import messages, wire
from ..stores.history import HistoryPage
from ..stores.messages import (
    PATHS,
    AppendAnswer,
    AppendQuestion,
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
from .auth import authorize_append, may_read, writer
from .changes_handler import changes
from .context import Context
from .encoding import encode_page, encode_whole, join
from .ledger_handlers import LEDGER_OPERATIONS
from .metrics import METRICS_TYPE
from .notice_handlers import NOTICE_OPERATIONS
from .openapi import declared, documented, make_document
from .operation import Call, operation
from .problems import problem_key
from .scopes import ANY, READS, RECORDS
from .tokens import TokenEntry

HEALTH_SECONDS = 1.0  # that the store may take to answer
MAX_LISTED = 50  # users on a page of requests, so that one caller's list takes short turns


@operation(PATHS[LoadQuestion], LoadQuestion, LoadAnswer, RECORDS)
async def load(call: Call, data: LoadQuestion) -> bytes:
    """
    Load the records of users, one for each id, in order, each id once; of no ids, just the ledger's head.

    The state is read after the question arrived and holds every append that was acknowledged before. A user who is not
    known has a record of version 0. More than 32 MiB of records are `too-large`: ask for fewer users.
    """

    def encode(loaded: Loaded) -> bytes:
        """Encode the answer."""
        call.users = len(loaded.records)
        answer = LoadAnswer(nonce=data.nonce, cursor=loaded.cursor, at=loaded.at, records=[])
        return encode_whole(answer, "records", loaded.records)

    return await call.context.store.load(call.token.name, data.user_ids, encode)


@operation(PATHS[AppendQuestion], AppendQuestion, AppendAnswer, ANY)
async def append(call: Call, data: AppendQuestion) -> bytes:
    """
    Append events of one user to the ledger, all of them or none.

    Each event needs its scope, and the token all of these. It is answered once the events are durable, with the record
    only if the token may read. The same events with the same `idempotency_key` again get the same answer, with
    `is_repeat`, and write nothing more; other events with a used key are `malformed`, unless they only take permission
    away. The types of events and their fields are those of the library's module `events`.
    """
    context, is_reader, call.users = call.context, may_read(call), 1

    def encode(appended: Appended) -> tuple[Cursor, bytes]:
        """Encode the answer."""
        answer = AppendAnswer(
            nonce=data.nonce, user_id=data.user_id, cursor=appended.cursor, version=appended.version,
            is_repeat=appended.is_repeat, record=appended.record if is_reader and appended.record else msgspec.UNSET,
        )  # fmt: skip
        return appended.cursor, wire.encode(answer)

    try:
        events = [wire.event_from(fields) for fields in data.events]
        provenance = _provenance(data, call.token)
        authorize_append(call, events, is_import=provenance.method is Method.IMPORT)
        cursor, body = await context.store.append(
            call.token.name, data.user_id, events,
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
    return body


@operation(PATHS[HistoryQuestion], HistoryQuestion, HistoryAnswer, READS)
async def history(call: Call, data: HistoryQuestion) -> bytes:
    """
    Load the ledger's entries of one user, oldest first; of an erased user the `Erased` alone.

    A long history comes in pages: ask again with the version that the answer has as `after`.
    """

    def encode(page: HistoryPage) -> bytes:
        """Encode the answer."""
        call.users = 1
        parts = encode_page(messages.entries_from(page.entries))
        after = page.entries[len(parts) - 1].version if len(parts) < len(page.entries) else page.after
        return join(HistoryAnswer(nonce=data.nonce, entries=[], after=after), "entries", parts)

    return await call.context.store.history_page(call.token.name, data.user_id, data.after, encode)


@operation(PATHS[RequestsQuestion], RequestsQuestion, RequestsAnswer, READS)
async def requests_due(call: Call, data: RequestsQuestion) -> bytes:
    """
    Load the records of users who have open requests, page by page: the work list of a support team.

    A page may hold fewer users than `limit`; where to go on is its `after`.
    """

    def encode(page: OpenRequests) -> bytes:
        """Encode the answer."""
        parts = encode_page(page.records)
        call.users = len(parts)
        after = page.records[len(parts) - 1].user_id if len(parts) < len(page.records) else page.after
        return join(RequestsAnswer(nonce=data.nonce, at=page.at, records=[], after=after), "records", parts)

    limit = min(data.limit, MAX_LISTED)
    return await call.context.store.open_requests(call.token.name, data.after, limit, encode)


@operation(TOKEN_PATHS[TokenQuestion], TokenQuestion, TokenAnswer, ANY)
async def own_token(call: Call, data: TokenQuestion) -> bytes:
    """Tell what the token of this request is: its name, scopes and end, and the service's time."""
    token = call.token
    answer = TokenAnswer(
        nonce=data.nonce, name=token.name, scopes=sorted(token.scopes), expires_at=token.expires_at,
        at=datetime.now(UTC),
    )  # fmt: skip
    return wire.encode(answer)


def _provenance(data: AppendQuestion, token: TokenEntry) -> Provenance:
    """Make the provenance of an append, with the token for the writer whatever the question says."""
    given = wire.provenance_from(data.provenance or {})
    return attrs.evolve(given, by=writer(token, given.by))


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


OPERATIONS = (load, append, history, requests_due, changes, *LEDGER_OPERATIONS, *NOTICE_OPERATIONS, own_token)
HANDLERS = (*map(declared, OPERATIONS), health, show_metrics, show_document)
