"""Builds the ASGI application: the handlers with the store, the change feed, the metrics and the tokens they use."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import cast

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from ..stores.async_protocol import AsyncStore
from ..stores.message_fields import SMALL_BODY_BYTES
from ..stores.protocol import Store
from . import dispatch
from .access_log import AccessLog
from .board import Board
from .context import ServiceContext
from .fair_semaphore import FairSemaphore
from .feed import ChangeFeed
from .handlers import HANDLERS, OPERATIONS
from .lanes import Lane
from .metrics import Gauge, Layout, Metrics, verification_gauges
from .openapi import make_document
from .operation import Call
from .problems import problem_response
from .store_executor import StoreExecutor
from .tokens import TokenFile
from .unread import Unread
from .verification import Verification

PATHS = frozenset(path for handler in HANDLERS for path in handler.paths)
LAYOUT = Layout(PATHS)
BY_PATH = {operation.path: operation for operation in OPERATIONS}
LARGE_QUESTIONS, LARGE_OF_ONE = 32, 8  # in memory at once, of up to 4 MiB each, and of one caller
UNKNOWN_PATH = "/(other)"  # no operation has it


class ConsentApp(Litestar):
    """The ASGI application. It counts, logs and marks as `no-store` each answer, errors of routing included."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        """Answer one request, as ASGI specifies."""
        if scope["type"] != ScopeType.HTTP:
            await super().__call__(scope, receive, send)
            return
        started, path, method = time.monotonic(), _exact_path(scope), scope["method"]
        call = Call(self.state.context, receive, dispatch.header(scope, b"authorization").decode("latin-1"))
        try:
            if method == "POST" and path in BY_PATH:
                await dispatch.answer(BY_PATH[path], call, scope, send)
            else:
                await self._answer_other(call, path, scope, send)
        finally:
            call.context.metrics.record_request(
                method, path, call.status, time.monotonic() - started, token=call.caller, users=call.users
            )

    async def _answer_other(self, call: Call, path: str, scope: HTTPScope, send: Send) -> None:
        """Answer what is no operation's question by the framework."""

        async def send_and_note(message: Message) -> None:
            """Pass a message on; of the answer's first one, note the status."""
            if message["type"] == "http.response.start":
                call.status = message["status"]
                message["headers"] = [*message["headers"], dispatch.NO_STORE]
            await send(message)

        method = "GET" if scope["method"] == "HEAD" else scope["method"]  # the server leaves the body out
        exact = {**scope, "method": method, "path": path, "raw_path": path.encode(), "state": {}}
        await super().__call__(cast(Scope, exact), call.receive, send_and_note)


def _exact_path(scope: HTTPScope) -> str:
    """The request's path if it is spelled exactly as an operation's: a proxy's rules hold for one spelling."""
    is_exact = scope["path"] in PATHS and scope.get("raw_path") in {None, scope["path"].encode()}
    return scope["path"] if is_exact else UNKNOWN_PATH


def build_app(
    store: Store | AsyncStore,
    tokens: TokenFile,
    *,
    verify_every: timedelta | None = None,
    board: Board | None = None,
    process: int = 0,
    access_log: AccessLog | None = None,
) -> ConsentApp:
    """
    Build the application over a store; see `service.create_app`.

    Args:
        store: Any store, sync or async; the caller closes it.

        tokens: The tokens that are let in.

        verify_every: How often to verify the ledger in the background; None: never.

        board: The numbers that all processes of the service share; without one this process is alone.

        process: The number of this process, from 0. The first one verifies the ledger.

        access_log: Gets a line for each request; by default it goes to the library's log.

    Returns:
        The application.

    Raises:
        ValueError: *verify_every* is given, and the store is no database.
    """
    executor = StoreExecutor(store)
    feed = ChangeFeed(executor)
    board = board or Board(LAYOUT.size)
    executor.admission.broken = board.broken()  # of a process that is started again, too
    verification = None if verify_every is None or process != 0 else Verification(executor, feed, verify_every, board)
    gauges = [
        Gauge("polls_held", "Long polls that wait for news.", lambda: feed.held),
        Gauge("streams", "Polls that are being answered in parts.", lambda: feed.streams),
    ]
    if verify_every is not None:
        gauges += verification_gauges(verification)
    access_log = access_log or AccessLog()
    metrics = Metrics(LAYOUT, gauges, board, process, access_log=access_log)
    large_questions = FairSemaphore(LARGE_QUESTIONS, LARGE_OF_ONE)
    context = ServiceContext(
        executor, feed, metrics, tokens, access_log, Lane("decode", 1, 1), large_questions, Unread(), board
    )  # fmt: skip
    make_document(HANDLERS)  # now, since it takes long, and no request should wait for it
    return ConsentApp(
        HANDLERS,
        dependencies={"context": Provide(lambda: context, sync_to_thread=False)},
        request_max_body_size=SMALL_BODY_BYTES,
        exception_handlers={Exception: problem_response},
        lifespan=[tokens.reading],
        on_startup=[] if verification is None else [verification.start],
        on_shutdown=[context.close] if verification is None else [verification.stop, context.close],
        state=State({"context": context}),  # for all but handlers
        openapi_config=None,
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
