"""Open the store that a URL names. Each kind is imported only where it is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .._extras import needs_extra
from ._addresses import checked_address
from .http.credentials import Token, TokenFromFile
from .sqlite.memory import MemoryStore
from .sqlite.store import SqliteStore

if TYPE_CHECKING:
    from .http.async_store import AsyncHttpStore
    from .http.store import HttpStore
    from .postgres.async_store import AsyncPostgresStore
    from .postgres.sync_store import PostgresStore

URL_VARIABLE, TOKEN_VARIABLE = "DIIJAM_CONSENT_URL", "DIIJAM_CONSENT_TOKEN"
TOKEN_FILE_VARIABLE = "DIIJAM_CONSENT_TOKEN_FILE"  # noqa: S105 - a name
INSECURE_HOSTS_VARIABLE = "DIIJAM_CONSENT_INSECURE_HOSTS"
LISTEN_URL_VARIABLE = "DIIJAM_CONSENT_LISTEN_URL"
ACTOR_VARIABLE = "DIIJAM_CONSENT_ACTOR"
BUSY_SHARE = 0.9  # of the deadline: a file store waits no longer for a lock, so that its error comes in time
POSTGRES_EXTRA = ("PostgreSQL", "postgres", "psycopg", "psycopg_pool")
KNOWN_URLS = (
    "memory:, sqlite:///path/to/file.db (four slashes for an absolute path), postgresql://user@host/database,"
    " https://host of a consent service"
)


def open_store(
    url: str,
    *,
    token: str | Callable[[], str] | None = None,
    deadline: float = 1.0,
    busy_seconds: float | None = None,
    create: bool = True,
    insecure_hosts: Iterable[str] = (),
    listen_url: str | None = None,
) -> MemoryStore | SqliteStore | PostgresStore | HttpStore:
    """
    Open the store that *url* names.

    Args:
        url: `memory:`, `sqlite:///` and a path, a `postgresql://` URL, or the `https://` URL of a consent service.

        token: The bearer token for a consent service, or a callable that returns it.

        deadline: Seconds for one call.

        busy_seconds: Seconds that a file store waits for another process's lock; most of *deadline* unless given.

        create: Whether to make a missing file.

        insecure_hosts: As `HttpStore` takes it.

        listen_url: As `PostgresStore` takes it.

    Raises:
        ValueError: the URL names no store, is malformed, or leads to another host without TLS.

        StoreUnavailable, StoreUnusable: as `SqliteStore` and `PostgresStore` raise them.

        ModuleNotFoundError: the store needs an extra that is not installed.
    """
    if is_http(checked_address(url)):
        from .http.store import HttpStore  # noqa: PLC0415 - httpx is slow to import

        return HttpStore(url, token=token, deadline=deadline, insecure_hosts=insecure_hosts)
    if is_postgres(url):
        with needs_extra(*POSTGRES_EXTRA):
            from .postgres.sync_store import PostgresStore  # noqa: PLC0415 - psycopg is an extra
        return PostgresStore(url, deadline=BUSY_SHARE * deadline, listen_url=listen_url)
    return _open_local_store(url, busy_seconds or BUSY_SHARE * deadline, create=create)


def _open_local_store(url: str, busy_seconds: float, *, create: bool) -> MemoryStore | SqliteStore:
    if url == "memory:":
        return MemoryStore()
    path = url.removeprefix("sqlite:///")
    if path == url or not path:
        raise ValueError(f"this URL names no store; known: {KNOWN_URLS}")
    return SqliteStore(path, busy_seconds=busy_seconds, create=create)


def is_http(url: str) -> bool:
    """Find out whether *url* is that of a consent service."""
    return isinstance(url, str) and url.startswith(("https://", "http://"))


def is_postgres(url: str) -> bool:
    """Find out whether *url* is that of a PostgreSQL database."""
    return isinstance(url, str) and url.startswith(("postgresql://", "postgres://"))


def prepare_postgres(url: str) -> None:
    """Make the tables of a ledger in a PostgreSQL database, or bring them up to date; see `init` of the command."""
    with needs_extra(*POSTGRES_EXTRA):
        from .postgres.schema import prepare  # noqa: PLC0415 - psycopg is an extra
    prepare(url)


def open_async_store(
    url: str,
    *,
    token: str | Callable[[], str] | None = None,
    deadline: float = 1.0,
    insecure_hosts: Iterable[str] = (),
    listen_url: str | None = None,
) -> MemoryStore | SqliteStore | AsyncPostgresStore | AsyncHttpStore:
    """Do as `open_store` does, for asyncio: open an async store where there is one."""
    if is_http(checked_address(url)):
        from .http.async_store import AsyncHttpStore  # noqa: PLC0415 - as above

        return AsyncHttpStore(url, token=token, deadline=deadline, insecure_hosts=insecure_hosts)
    if is_postgres(url):
        with needs_extra(*POSTGRES_EXTRA):
            from .postgres.async_store import AsyncPostgresStore  # noqa: PLC0415 - psycopg is an extra
        return AsyncPostgresStore(url, deadline=BUSY_SHARE * deadline, listen_url=listen_url)
    return _open_local_store(url, BUSY_SHARE * deadline, create=True)


def url_from_env() -> tuple[str, Token | None]:
    """
    Read the URL and token from the environment.

    Raises:
        ValueError: there is no URL; and as `token_from_env` raises it.

        OSError: as `token_from_env` raises it.
    """
    url = os.environ.get(URL_VARIABLE)
    if not url:
        raise ValueError(f"{URL_VARIABLE} is not set: set it to {KNOWN_URLS}")
    return url, token_from_env(url)


def token_from_env(url: str) -> Token | None:
    """
    Read the token from the environment, or find the file that holds it, which is read again for each call.

    Args:
        url: The store's. Only a consent service takes a token; for a database the variables are not looked at, so a
            file that is missing stands in nobody's way who restores a ledger.

    Raises:
        ValueError: both are given, or the file holds no token.

        OSError: the file cannot be read, or another user could have written it.
    """
    if not is_http(url):
        return None
    token, path = os.environ.get(TOKEN_VARIABLE) or None, os.environ.get(TOKEN_FILE_VARIABLE) or None
    if token is not None and path is not None:
        raise ValueError(f"{TOKEN_VARIABLE} and {TOKEN_FILE_VARIABLE} are both set: set one of them")
    try:
        return token if path is None else TokenFromFile(path)
    except (OSError, ValueError) as error:
        error.add_note(f"{TOKEN_FILE_VARIABLE} names this file")
        raise


def listen_url_from_env() -> str | None:
    """Read from the environment the URL to listen on, past a pool before PostgreSQL; else return None."""
    return os.environ.get(LISTEN_URL_VARIABLE) or None


def actor_from_env() -> str | None:
    """Read from the environment the writer that entries name; None if the variable is not set."""
    return os.environ.get(ACTOR_VARIABLE) or None


def insecure_hosts_from_env() -> frozenset[str]:
    """Read from the environment the hosts to which plain http is allowed, which commas separate."""
    names = os.environ.get(INSECURE_HOSTS_VARIABLE, "").split(",")
    return frozenset(name.strip() for name in names if name.strip())
