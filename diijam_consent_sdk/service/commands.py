"""The commands `serve` and `token new`, as plain functions. Errors are raised; the command line words them."""

from __future__ import annotations

import inspect
import ipaddress
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from ..stores.protocol import AsyncStore, Store
from ..stores.url import TOKEN_VARIABLE, is_postgres, open_async_store, open_store
from .tokens import Scope, TokenFile, new_token

EXTRA = ("litestar", "uvicorn", "prometheus_client")


def serve(url: str, *, tokens: Path, host: str = "127.0.0.1", port: int = 8700) -> int:
    """
    Answer for a ledger over HTTP until the process is told to stop (Ctrl-C, SIGTERM).

    Says on standard error where it listens, then one line of JSON for each request, without ids. Over the URL of
    another consent service it is a relay; the token for that one is taken from the environment.

    Args:
        url: Where the ledger is: sqlite:///consents.db, postgresql://user@host/database, or the https URL of another
            service.

        tokens: The file of tokens that may ask, made by `diijam-consent token new`.

        host: The address to listen on. Plain HTTP: other machines should come through a proxy that does TLS.

        port: The port to listen on; 0 for any that is free.

    Returns:
        The exit status: 0 after an end in good order.

    Raises:
        ModuleNotFoundError: the extra `service` is not installed.

        OSError: the tokens file cannot be read, or the port is taken.

        ValueError: the URL names no store, or the file holds no tokens.

        StoreError: the ledger cannot be used.
    """
    try:
        from . import app, epoch, server  # noqa: PLC0415 - `token new` works without the extra
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in EXTRA:
            raise
        raise ModuleNotFoundError("serving needs its extra: pip install 'diijam-consent-sdk[service]'") from None
    allowed = TokenFile(tokens)  # before anything is opened: is it one?
    _log_lines()
    with server.listening(host, port) as at:
        store = _opened(url)
        is_async = inspect.iscoroutinefunction(store.close)
        try:
            with epoch.continued(store):
                built = app.build(store, allowed)
                if is_async:
                    built.on_shutdown.append(store.close)  # in the loop that its connections belong to
                server.run(built, at, on_listening=_announcing(host, at.getsockname()[1]))
        finally:
            if not is_async:
                store.close()
    _tell("stopped")
    return 0


def _opened(url: str) -> Store | AsyncStore:
    """The store to serve: the async one where there is one, so that waiting for it takes no threads."""
    if is_postgres(url):
        open_store(url).close()  # says now what is wrong with the database, if it can be reached
        return open_async_store(url)
    store: Store = open_store(url, token=os.environ.get(TOKEN_VARIABLE))
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


def _announcing(host: str, port: int) -> Callable[[], None]:
    """Say where the service listens, and that the network can read along if it can."""

    def announce() -> None:
        _tell(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}")
        if not _is_loopback(host):
            _tell(
                "warning: this is plain HTTP on a network: let a proxy on this machine do TLS, and listen on 127.0.0.1"
            )

    return announce


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
