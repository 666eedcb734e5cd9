"""The ASGI application, put together."""

from __future__ import annotations

import time
from typing import cast

from litestar import Litestar
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from ..stores.messages import MAX_BODY_BYTES
from ..stores.protocol import AsyncStore, Store
from .feed import Polls
from .handlers import HANDLERS, StrictRequest
from .metrics import Meters
from .openapi import document
from .problems import answer
from .store_executor import Calls
from .tokens import TokenFile

NO_PATH = "/(other)"  # no operation is there


class Service(Litestar):
    """The application: whatever it answers, errors of routing included, is counted, logged, and stored nowhere."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        """Answer one request, as ASGI has it."""
        if scope["type"] != ScopeType.HTTP:
            await super().__call__(scope, receive, send)
            return
        started, status, path = time.monotonic(), 500, self._path_of(scope)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"cache-control", b"no-store")]
            await send(message)

        try:
            method = "GET" if scope["method"] == "HEAD" else scope["method"]  # the server leaves the body out
            asked = {**scope, "method": method, "path": path, "raw_path": path.encode()}
            await super().__call__(cast(Scope, asked), receive, sending)
        finally:
            meters: Meters = self.state.meters
            meters.answered(scope["method"], path, status, time.monotonic() - started)

    def _path_of(self, scope: HTTPScope) -> str:
        """The path asked for, if it is spelled as it is: a proxy's rules for paths hold for one spelling."""
        paths: frozenset[str] = self.state.paths
        is_exact = scope["path"] in paths and scope.get("raw_path") in {None, scope["path"].encode()}
        return scope["path"] if is_exact else NO_PATH


def build(store: Store | AsyncStore, tokens: TokenFile) -> Service:
    """
    The application over *store*; see `service.create_app`.

    Args:
        store: Any store, sync or async; it stays the caller's.

        tokens: Who may ask.

    Returns:
        The application.
    """
    calls = Calls(store)
    polls = Polls(calls)
    meters = Meters(lambda: polls.held)
    paths = frozenset(path for handler in HANDLERS for path in handler.paths)
    meters.know(paths)

    def close() -> None:
        polls.close()
        calls.close()

    return Service(
        HANDLERS,
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY_BYTES,
        exception_handlers={Exception: answer},
        on_shutdown=[close],
        state=State(
            {
                "calls": calls,
                "paths": paths,
                "polls": polls,
                "meters": meters,
                "tokens": tokens,
                "document": document(HANDLERS),
            }
        ),
        openapi_config=None,
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
