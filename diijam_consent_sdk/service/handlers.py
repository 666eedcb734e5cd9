"""The operations of the service. Their docstrings and types are published in the OpenAPI document."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from litestar import Response, get

from ..errors import StoreUnavailable
from ..stores import messages, wire
from ..stores.answers import Loaded, OpenRequests
from ..stores.history import HistoryPage
from ..stores.messages import (
    PATHS,
    HistoryAnswer,
    HistoryQuestion,
    LoadAnswer,
    LoadQuestion,
    RequestsAnswer,
    RequestsQuestion,
)
from ..stores.token_messages import PATHS as TOKEN_PATHS
from ..stores.token_messages import TokenAnswer, TokenQuestion
from .append_handlers import APPEND_OPERATIONS
from .changes_handler import changes
from .context import Context
from .encoding import encode_page, encode_whole, join
from .holder_handlers import HOLDER_OPERATIONS
from .ledger_handlers import LEDGER_OPERATIONS
from .metrics import METRICS_TYPE
from .notice_handlers import NOTICE_OPERATIONS
from .openapi import declared, documented, make_document
from .operation import Call, operation
from .scopes import ANY, READS
from .standing_handlers import STANDING_OPERATIONS

HEALTH_SECONDS = 1.0  # that the store may take to answer
MAX_LISTED = 50  # users on a page of requests, so that one caller's list takes short turns


@operation(PATHS[LoadQuestion], LoadQuestion, LoadAnswer, READS)
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


OPERATIONS = (
    *STANDING_OPERATIONS, load, *APPEND_OPERATIONS, history, requests_due, changes, *LEDGER_OPERATIONS,
    *NOTICE_OPERATIONS, *HOLDER_OPERATIONS, own_token,
)  # fmt: skip
HANDLERS = (*map(declared, OPERATIONS), health, show_metrics, show_document)
