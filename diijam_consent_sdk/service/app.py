"""Builds the ASGI application: the handlers with the store, the change feed, the metrics and the tokens they use."""

from __future__ import annotations

import time
from typing import cast

from litestar import Litestar
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from ..stores.messages import MAX_BODY_BYTES
from ..stores.protocol import AsyncStore, Store
from .feed import ChangeFeed
from .handlers import HANDLERS, dependencies
from .lanes import Lane
from .metrics import Metrics
from .problems import problem_response
from .store_executor import StoreExecutor
from .strict_request import StrictRequest
from .tokens import TokenFile

UNKNOWN_PATH = "/(other)"  # no operation has it


class ConsentApp(Litestar):
    """The ASGI application. It counts, logs and marks as `no-store` each answer, errors of routing included."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        """Answer one request, as ASGI specifies."""
        if scope["type"] != ScopeType.HTTP:
            await super().__call__(scope, receive, send)
            return
        started, status, path = time.monotonic(), 500, self._exact_path(scope)

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"cache-control", b"no-store")]
            await send(message)

        try:
            method = "GET" if scope["method"] == "HEAD" else scope["method"]  # the server leaves the body out
            exact = {**scope, "method": method, "path": path, "raw_path": path.encode()}
            await super().__call__(cast(Scope, exact), receive, send_and_note)
        finally:
            metrics: Metrics = self.state.metrics
            metrics.record_request(scope["method"], path, status, time.monotonic() - started)

    def _exact_path(self, scope: HTTPScope) -> str:
        """The request's path if it is spelled exactly as an operation's: a proxy's rules hold for one spelling."""
        paths: frozenset[str] = self.state.paths
        is_exact = scope["path"] in paths and scope.get("raw_path") in {None, scope["path"].encode()}
        return scope["path"] if is_exact else UNKNOWN_PATH


def build_app(store: Store | AsyncStore, tokens: TokenFile) -> ConsentApp:
    """
    Build the application over a store; see `service.create_app`.

    Args:
        store: Any store, sync or async; the caller closes it.

        tokens: The tokens that are let in.

    Returns:
        The application.
    """
    executor = StoreExecutor(store)
    decoding = Lane("decode", 1, 1)
    feed = ChangeFeed(executor)
    paths = frozenset(path for handler in HANDLERS for path in handler.paths)
    metrics = Metrics(lambda: feed.held, paths)

    def close() -> None:
        feed.close()
        executor.close()
        decoding.close()

    return ConsentApp(
        HANDLERS,
        dependencies=dependencies(executor, feed, metrics, tokens),
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY_BYTES,
        exception_handlers={Exception: problem_response},
        on_shutdown=[close],
        # For all but handlers: the application, its requests and guards, and the server.
        state=State({"paths": paths, "feed": feed, "metrics": metrics, "tokens": tokens, "decoding": decoding}),
        openapi_config=None,
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
