"""The command `serve` as a plain function, so that it works without the command line's extra."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from .._extras import needs_extra
from .._tls import server_context
from ..stores._addresses import is_loopback
from ..stores.async_protocol import AsyncStore
from ..stores.protocol import Store
from ..stores.url import (
    insecure_hosts_from_env,
    is_http,
    is_postgres,
    listen_url_from_env,
    open_async_store,
    open_store,
    token_from_env,
)
from .line_writer import LineWriter
from .tokens import TokenFile

if TYPE_CHECKING:
    from .board import Board
    from .workers import Work

EXTRA = ("litestar", "uvicorn", "prometheus_client")

_lines = LineWriter()  # this process's: its status, log and access lines all go through it


def serve(
    url: str,
    *,
    tokens: Path,
    host: str = "127.0.0.1",
    port: int = 8700,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    verify_every: timedelta | None = None,
    workers: int = 1,
) -> int:
    """
    Serve a ledger over HTTP until the process is stopped (Ctrl-C, SIGTERM).

    Standard error gets the address, then one line of JSON for each request, without ids. Over the URL of another
    consent service this one is a relay; the token for the other is taken from the environment.

    Args:
        url: The ledger's URL, such as sqlite:///consents.db or postgresql://user@host/database, or the https URL of
            another service.

        tokens: The file of tokens that may ask, made by `diijam-consent token new`.

        host: The address to listen on. Without *tls_cert*, other machines should come through a proxy that does TLS.

        port: The port to listen on; 0 for any that is free.

        tls_cert: A PEM file of the service's certificate and those up to its CA. The service then accepts TLS 1.2
            and 1.3 alone.

        tls_key: The PEM file of its key, not encrypted. Both are given, or neither.

        verify_every: How often to verify the ledger in the background, which a relay cannot; None: never.

        workers: How many processes answer on the port, over PostgreSQL or as a relay. One that ends is started again.

    Returns:
        The exit status, 0 after a stop.

    Raises:
        ModuleNotFoundError: the extra `service` is not installed.

        OSError: the tokens file, the certificate or the key cannot be read, or the port is taken.

        ValueError: the URL names no store, the file holds no tokens, or certificate and key do not fit, or
            *verify_every* is given to a relay, or *workers* are several over a SQLite file or `memory:`.

        StoreError: the ledger cannot be used.
    """
    if (tls_cert is None) != (tls_key is None):
        raise ValueError("TLS needs both --tls-cert and --tls-key: give the certificate's file and its key's")
    _check_workers(url, workers)
    with _needs_service():
        from . import app, server  # noqa: PLC0415 - the command line works without the extra
        from .access_log import BufferedAccessLog  # noqa: PLC0415
        from .board import Board  # noqa: PLC0415
        from .verification import NO_LEDGER  # noqa: PLC0415
    if verify_every is not None and is_http(url):
        raise ValueError(NO_LEDGER)
    allowed = TokenFile(tokens)  # before anything is opened, so that a wrong file has no effect
    tls = None if tls_cert is None or tls_key is None else server_context(tls_cert, tls_key)
    _configure_logging()
    with server.bind(host, port) as at:
        announce = _announcer(host, at.getsockname()[1], is_tls=tls is not None)
        board = Board(app.LAYOUT.size, workers)

        def work(process: int, on_listening: Callable[[], None], is_stopped: Callable[[], bool]) -> None:
            """Serve in this process, or in one of several."""
            if workers > 1:
                _lines.discard()  # else lines that nobody has read yet would be written once by each process
            with closing(_lines), _served(url) as store:
                built = app.build_app(
                    store, allowed,
                    verify_every=verify_every, board=board, process=process, access_log=BufferedAccessLog(_lines),
                )  # fmt: skip
                if inspect.iscoroutinefunction(store.close):
                    built.on_shutdown.append(store.close)  # in the loop that its connections belong to
                server.run(built, at, on_listening=on_listening, tls=tls, is_stopped=is_stopped)

        if workers == 1:
            work(0, announce, lambda: False)
        else:
            _run_workers(url, workers, work, announce, board, on_stop=at.close)  # new connections are refused at once
    _print_status("stopped")
    _lines.close()
    return 0


def _check_workers(url: str, workers: int) -> None:
    """
    Check that so many processes can serve the ledger of a URL.

    Raises:
        ValueError: they cannot.
    """
    if workers < 1:
        raise ValueError("--workers is at least 1")
    if workers > 1 and not (is_postgres(url) or is_http(url)):
        raise ValueError(
            "--workers is for PostgreSQL and for relays, since a SQLite file or memory: has one process:"
            " move the ledger (diijam-consent copy), or put relays with --workers before this service"
        )


def _run_workers(
    url: str, count: int, work: Work, announce: Callable[[], None], board: Board, *, on_stop: Callable[[], None]
) -> None:
    """Run the worker processes, once the store was seen to be usable."""
    from . import handlers, metrics, openapi, workers  # noqa: PLC0415 - as above

    if is_postgres(url):
        open_store(url).close()
    openapi.make_document(handlers.HANDLERS)  # once, for all of them
    workers.Workers(
        count, work,
        on_listening=announce, on_end=lambda number: metrics.clear_gauges(board, number), on_stop=on_stop,
    ).run()  # fmt: skip


@contextmanager
def _served(url: str) -> Iterator[Store | AsyncStore]:
    """Open the store to serve, and close it unless its event loop has to."""
    from . import epoch  # noqa: PLC0415 - as above

    store = _open(url)
    try:
        with epoch.kept_epoch(store):
            yield store
    finally:
        if not inspect.iscoroutinefunction(store.close):
            store.close()


@contextmanager
def _needs_service() -> Iterator[None]:
    """
    Explain a failed import of the service inside the block.

    Raises:
        ModuleNotFoundError: the extra is not installed, or the service does not run on this system.
    """
    try:
        with needs_extra("serving", "service", *EXTRA):
            yield
    except ModuleNotFoundError as error:
        if error.name in {"fcntl", "resource"}:
            raise ModuleNotFoundError(
                "the service runs on Linux and macOS; clients and the other commands run on Windows too"
            ) from None
        raise


def _open(url: str) -> Store | AsyncStore:
    """Open the store to serve; an async one where there is one, so that waiting for it takes no threads."""
    if is_postgres(url):
        open_store(url).close()  # raises at once what is wrong with the database, if it is in reach
        return open_async_store(url, listen_url=listen_url_from_env())
    token, hosts = token_from_env(url), insecure_hosts_from_env()
    store: Store = open_store(url, token=token, insecure_hosts=hosts)
    return store


def _announcer(host: str, port: int, *, is_tls: bool) -> Callable[[], None]:
    """Make what prints the service's address, with a warning if the network can read the requests."""

    def announce() -> None:
        scheme = "https" if is_tls else "http"
        _print_status(f"listening on {scheme}://{f'[{host}]' if ':' in host else host}:{port}")
        if not is_tls and not is_loopback(host):
            _print_status(
                "warning: this is plain HTTP on a network: give --tls-cert and --tls-key, or let a proxy on this"
                " machine do TLS and listen on 127.0.0.1"
            )

    return announce


def _print_status(line: str) -> None:
    _lines.write(line + "\n")
    _lines.flush()


def _configure_logging() -> None:
    """Log to standard error, one JSON object a line. The service may, since it is an application and no library."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.JSONRenderer(),
        ],
        cache_logger_on_first_use=True,
    )
    logger = logging.getLogger("diijam_consent_sdk")
    logger.setLevel(logging.INFO)
    handler = logging.StreamHandler(_lines)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
