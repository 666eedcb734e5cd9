"""What both PostgreSQL stores share without waiting: settings, why connections failed, and what a new one must show."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from ...errors import StoreError, StoreUnavailable, StoreUnusable
from .._retry import Attempts, Failure
from ..sql.statements import Statement
from .connection import PEER, PREPARE_AFTER, SETUP_SECONDS, AnyConnection, is_direct, options
from .errors import connection_failure, translated
from .schema import FORMAT_OF_LEDGER, SCHEMA, check_format
from .tables import TABLES, check_tables
from .transactions import begin_writing

NO_CONNECTION = (PoolTimeout, PoolClosed)
UNREACHED = "PostgreSQL did not answer in time, or every connection is in use"
CLOSED = "the store is closed: make a new one"
VACUUM = f"VACUUM {SCHEMA}.entries, {SCHEMA}.records, {SCHEMA}.appends"
SET_UP: list[Statement] = [(PEER, ()), FORMAT_OF_LEDGER, (TABLES, ())]


class PostgresBase:
    """
    Settings and state of either store. For the arguments and what is raised see `PostgresStore`.
    """

    def __init__(
        self, url: str, *, deadline: float = 1.0, connections: int = 10, listen_url: str | None = None
    ) -> None:
        self._deadline = deadline
        self._turn_seconds = deadline / 3  # to wait for a connection, or for others that write
        self._options = options(url)
        self._listen_options = options(url if listen_url is None else listen_url)
        self._may_be_shared = listen_url is None
        self._begin_writing = begin_writing(deadline)
        # The pool tries once to connect: the call that waits for it tries again, as long as it has time.
        self._pool_options: dict[str, Any] = {
            "kwargs": self._options | {"on_error": self._note_failure}, "min_size": 0, "max_size": connections,
            "open": False, "num_workers": 2, "reconnect_timeout": 0.0, "name": "diijam-consent",
        }  # fmt: skip
        self._last_failure: StoreError | Failure | None = None  # of connecting
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self._is_closed else 'open'}>"

    def _attempts(self, key: str | None = None) -> Attempts:
        return Attempts(self._deadline, idempotency_key=key or "")

    def _note_failure(self, error: psycopg.Error) -> None:
        self._last_failure = Failure(connection_failure(error) or UNREACHED, maybe_written=False)

    @contextmanager
    def _setting_up(self, connection: AnyConnection) -> Iterator[None]:
        """Within the block set up a new connection; an error closes it, and is kept for calls that wait for one."""
        connection.until = time.monotonic() + SETUP_SECONDS
        try:
            with translated():
                yield
        except StoreError as error:
            connection.pgconn.finish()
            self._last_failure = error
            raise
        self._last_failure = None

    def _no_connection(self) -> Exception:
        """Make the error for a call that got no connection in time."""
        failure = self._last_failure
        if isinstance(failure, StoreUnusable):
            return type(failure)(*failure.args)
        return Failure(UNREACHED if failure is None else str(failure), maybe_written=False)

    def _begin_attempt(self, until: float) -> float:
        """Choose how long to wait for a connection: a part of the time left, so that another attempt can follow."""
        if self._is_closed:
            raise StoreUnavailable(CLOSED)
        return max(0.01, min(until - time.monotonic(), self._turn_seconds))


def check_connection(connection: AnyConnection, rows: list[list[Any]]) -> None:
    """
    Check by the rows of `SET_UP` that a new connection is to a ledger, and let it prepare statements if that is safe.

    Raises:
        StoreUnusable: there is no ledger, or one of another format, or something else acts on its tables.
    """
    (peer,), formats, tables = rows
    check_format(formats)
    check_tables(tables)
    connection.prepare_threshold = PREPARE_AFTER if is_direct(connection, peer) else None


@contextmanager
def tried_once() -> Iterator[None]:
    """Raise a failed attempt in the block as `StoreUnavailable`: no other follows."""
    try:
        yield
    except Failure as failure:
        raise StoreUnavailable(f"{failure.why}: try again") from None
