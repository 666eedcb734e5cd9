"""The commands `serve` and `token new`, as plain functions. Errors are raised; the command line words them."""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from .._extras import needs_extra
from .._tls import server_context
from ..stores._addresses import is_loopback
from ..stores.protocol import AsyncStore, Store
from ..stores.url import (
    TOKEN_VARIABLE,
    insecure_hosts_from_env,
    is_postgres,
    listen_url_from_env,
    open_async_store,
    open_store,
)
from .tokens import Scope, TokenFile, new_token

EXTRA = ("litestar", "uvicorn", "prometheus_client")


def serve(
    url: str,
    *,
    tokens: Path,
    host: str = "127.0.0.1",
    port: int = 8700,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
) -> int:
    """
    Answer for a ledger over HTTP until the process is told to stop (Ctrl-C, SIGTERM).

    Says on standard error where it listens, then one line of JSON for each request, without ids. Over the URL of
    another consent service it is a relay; the token for that one is taken from the environment.

    Args:
        url: Where the ledger is: sqlite:///consents.db, postgresql://user@host/database, or the https URL of another
            service.

        tokens: The file of tokens that may ask, made by `diijam-consent token new`.

        host: The address to listen on. Without *tls_cert*, other machines should come through a proxy that does TLS.

        port: The port to listen on; 0 for any that is free.

        tls_cert: A PEM file of the service's certificate and those up to its CA: it then speaks TLS 1.2 and 1.3 alone.

        tls_key: The PEM file of its key, not encrypted. Both are given, or neither.

    Returns:
        The exit status: 0 after an end in good order.

    Raises:
        ModuleNotFoundError: the extra `service` is not installed.

        OSError: the tokens file, the certificate or the key cannot be read, or the port is taken.

        ValueError: the URL names no store, the file holds no tokens, or certificate and key are none that fit.

        StoreError: the ledger cannot be used.
    """
    if (tls_cert is None) != (tls_key is None):
        raise ValueError("TLS needs both --tls-cert and --tls-key: give the certificate's file and its key's")
    try:
        with needs_extra("serving", "service", *EXTRA):
            from . import app, epoch, server  # noqa: PLC0415 - `token new` works without the extra
    except ModuleNotFoundError as error:
        if error.name in {"fcntl", "resource"}:
            raise ModuleNotFoundError(
                "the service runs on Linux and macOS; clients and the other commands run on Windows too"
            ) from None
        raise
    allowed = TokenFile(tokens)  # before anything is opened: is it one?
    tls = None if tls_cert is None or tls_key is None else server_context(tls_cert, tls_key)
    _log_lines()
    with server.listening(host, port) as at:
        store = _opened(url)
        is_async = inspect.iscoroutinefunction(store.close)
        try:
            with epoch.continued(store):
                built = app.build(store, allowed)
                if is_async:
                    built.on_shutdown.append(store.close)  # in the loop that its connections belong to
                announce = _announcing(host, at.getsockname()[1], is_tls=tls is not None)
                server.run(built, at, on_listening=announce, tls=tls)
        finally:
            if not is_async:
                store.close()
    _tell("stopped")
    return 0


def _opened(url: str) -> Store | AsyncStore:
    """The store to serve: the async one where there is one, so that waiting for it takes no threads."""
    if is_postgres(url):
        open_store(url).close()  # says now what is wrong with the database, if it can be reached
        return open_async_store(url, listen_url=listen_url_from_env())
    token, hosts = os.environ.get(TOKEN_VARIABLE), insecure_hosts_from_env()
    store: Store = open_store(url, token=token, insecure_hosts=hosts)
    return store


def token_new(*, tokens: Path, scope: Sequence[Scope]) -> int:
    """
    Make a token, print it once, alone on standard output, and keep its SHA-256 in the file.

    Args:
        tokens: The file of tokens; made, readable by its owner alone, if it is missing.

        scope: What the token allows: `read` (load, changes, history), `write` (append).

    Returns:
        The exit status, 0.

    Raises:
        OSError: the file cannot be read or written.

        ValueError: the file holds something else, or no scope is given.
    """
    name, token = new_token(tokens, scope)
    scopes = " and ".join(sorted(set(scope)))
    _tell(f"added token {name} ({scopes}) to {tokens}; it is shown only now. To revoke it, delete its entry there.")
    sys.stdout.write(token + "\n")
    sys.stdout.flush()
    return 0


def _announcing(host: str, port: int, *, is_tls: bool) -> Callable[[], None]:
    """Say where the service listens, and that the network can read along if it can."""

    def announce() -> None:
        scheme = "https" if is_tls else "http"
        _tell(f"listening on {scheme}://{f'[{host}]' if ':' in host else host}:{port}")
        if not is_tls and not is_loopback(host):
            _tell(
                "warning: this is plain HTTP on a network: give --tls-cert and --tls-key, or let a proxy on this"
                " machine do TLS and listen on 127.0.0.1"
            )

    return announce


def _tell(line: str) -> None:
    with suppress(OSError):  # a reader or a terminal that is gone is no reason to fail
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _log_lines() -> None:
    """Write this process's log to standard error, a JSON object a line: a service is an application, not a library."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.JSONRenderer(),
        ]
    )
    logger = logging.getLogger("diijam_consent_sdk")
    logger.setLevel(logging.INFO)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
