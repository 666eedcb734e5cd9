"""A ledger in PostgreSQL, shared by any number of machines: the store for threads."""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import psycopg
from psycopg_pool import ConnectionPool

from ..._logging import log
from ...errors import StoreError, StoreUnavailable
from .._call_queue import CallQueue
from .._fork_safety import gate, leak
from .._retry import Attempts
from ..answers import Cursor
from ..sql.append_plans import AppendOutcome, PlannedAppend, has_erased, rests_on_repeats
from ..sql.group_commit import Group, GroupCommit
from ..sql.notices import ALL_NOTICES
from ..sql.operations import Clock
from ..sql.repeats import known_as_written
from ..sql.statements import Query, Steps, Transaction
from ..sql.store import SqlStore
from ..sql.verify import ALL_LINKS, ALL_RECORDS, refold_query, verify
from .base import CLOSED, NO_CONNECTION, SET_UP, VACUUM, PostgresBase, check_connection, tried_once
from .connection import DeadlineConnection, is_alive
from .dialect import DIALECT, qualified
from .errors import translated
from .listener import Listener
from .transactions import read, run_alone, wait_for_replicas, write

T = TypeVar("T")
NO_TIMEOUTS = (  # of those that this server has
    "SELECT pg_catalog.set_config(name, '0', true) FROM pg_catalog.pg_settings WHERE name IN"
    " ('idle_in_transaction_session_timeout', 'statement_timeout', 'transaction_timeout')"
)


class PostgresStore(PostgresBase, SqlStore):
    """
    A store in the PostgreSQL database at *url*, made by `diijam-consent init`: for any number of processes on any
    number of machines.

    Safe to use from several threads; a forked child opens its own connections. Each call ends within *deadline* (a long
    poll: its wait and *deadline*). What may be repeated is tried again within it: after lost connections and failovers,
    and when transactions were in each other's way.

    Args:
        url: `postgresql://user@host/database?sslmode=verify-full`, as libpq takes it; several hosts with
            `target_session_attrs=read-write`.

        clock: Returns the time that stamps entries, an aware datetime. Unless given, the database's own.

        deadline: Seconds for one call.

        connections: How many connections to keep at most, beside one that listens.

        listen_url: Where to listen for news of appends, if *url* leads through a pool that shares connections between
            transactions: a URL that leads past it.

    Raises:
        ValueError: the URL is malformed, or leads to another host and asks for no TLS.

        StoreUnusable: the database holds no ledger, or one of another version. (A database that cannot be reached just
            now raises when it is used.)
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        deadline: float = 1.0,
        connections: int = 10,
        listen_url: str | None = None,
    ) -> None:
        PostgresBase.__init__(self, url, deadline=deadline, connections=connections, listen_url=listen_url)
        SqlStore.__init__(self, DIALECT, clock)
        self._groups = GroupCommit(CallQueue(), self._turn_seconds)
        self._finalizer: weakref.finalize[[], PostgresStore] | None = None  # one: each fork makes another listener
        self._reset()
        gate.register(self)
        with suppress(StoreUnavailable), tried_once(), translated(), self._connect() as connection:
            self._configure(connection)

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._pool: ConnectionPool[DeadlineConnection] | None = None
        self._lock = threading.Lock()
        self._make_listener()

    def _make_listener(self) -> None:
        # The listener gets no method of this store: a reference from its thread would keep the store for ever.
        self._listener = Listener(
            partial(DeadlineConnection.connect, **self._listen_options), may_be_shared=self._may_be_shared
        )
        if self._finalizer is not None:
            self._finalizer.detach()
        self._finalizer = weakref.finalize(self, self._listener.close)

    def verify(self, *, since: str | None = None) -> Cursor:
        """See `SqliteStore.verify`. Reads the whole ledger, as it is at one moment, on a new connection."""
        with translated(), tried_once(), self._connect() as connection:
            self._configure(connection)
            connection.until = math.inf
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute(NO_TIMEOUTS)
            with (
                connection.cursor("links") as links,
                connection.cursor("records") as records,
                connection.cursor("notices") as notices,
            ):
                return verify(
                    links.execute(qualified(ALL_LINKS)),
                    lambda: records.execute(qualified(ALL_RECORDS)),
                    lambda user_id: connection.run(read(refold_query(user_id))),
                    lambda: connection.run(read(self._operations.head())),
                    notices=notices.execute(qualified(ALL_NOTICES)),
                    unreadable=psycopg.InternalError,
                    since=since,
                )

    def close(self) -> None:
        """See `Store.close`."""
        self._is_closed = True
        self.release()

    def release(self) -> None:
        """Close the connections that are idle now, those in use when they come back; a later call opens new ones."""
        if self._pid != os.getpid():
            return
        self._listener.close()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(timeout=1)
        if not self._is_closed:
            self._make_listener()

    def reset_after_fork(self) -> None:
        """Start with no connection in a forked child. To close the inherited ones would end the parent's."""
        leak(self._pool, self._listener)
        self._reset()

    def _connect(self) -> DeadlineConnection:
        return DeadlineConnection.connect(**self._options)

    def _open_pool(self) -> ConnectionPool[DeadlineConnection]:
        if self._pid != os.getpid():  # forked without the hooks of `os.register_at_fork`
            self.reset_after_fork()
        with self._lock:
            if self._is_closed:  # since the call began: nobody would close another pool
                raise StoreUnavailable(CLOSED)
            if self._pool is None:
                pool = ConnectionPool(
                    connection_class=DeadlineConnection, configure=self._configure, **self._pool_options
                )
                pool.open()  # first: a signal handler may raise in it, and nothing opens a pool that is kept here
                self._pool = pool
            return self._pool

    def _configure(self, connection: DeadlineConnection) -> None:
        with self._setting_up(connection):
            check_connection(connection, connection.run_batch(SET_UP))

    def _read(self, query: Query[T]) -> T:
        return self._run(lambda: read(query), self._attempts())

    def _write(self, transaction: Transaction[T]) -> T:
        attempts = self._attempts(transaction.idempotency_key)
        result = self._run(lambda: write(self._begin_writing, transaction.start()), attempts)
        if transaction.is_erasure:
            self._scrub(attempts)
        return result

    def _append(self, plan: PlannedAppend) -> AppendOutcome:
        attempts = self._attempts(plan.idempotency_key)
        outcome = attempts.run(lambda: self._groups.append(plan, attempts.until, self._write_group))
        self._settle_repeats([outcome], attempts, plan.idempotency_key)
        if has_erased([plan], [outcome]):
            self._scrub(attempts)
        return outcome

    def _append_many(self, plans: list[PlannedAppend]) -> list[AppendOutcome]:
        transaction = self._appends.write(plans)
        attempts = self._attempts(transaction.idempotency_key)
        outcomes = self._run(lambda: write(self._begin_writing, transaction.start()), attempts)
        self._settle_repeats(outcomes, attempts, transaction.idempotency_key)
        if has_erased(plans, outcomes):
            self._scrub(attempts)
        return outcomes

    def _write_group(self, group: Group) -> list[AppendOutcome]:
        with gate.call(), translated():
            steps = group.run(self._appends.write(group.plans))
            return self._attempt(write(self._begin_writing, steps), group.until)

    def _watch(self) -> Callable[[float], object]:
        return partial(self._listener.wait, self._listener.next_append())

    def _run(self, steps: Callable[[], Steps[T]], attempts: Attempts) -> T:
        def attempt() -> T:
            with gate.call(), translated():
                return self._attempt(steps(), attempts.until)

        return attempts.run(attempt)

    def _attempt(self, steps: Steps[T], until: float) -> T:
        share = self._begin_attempt(until)
        pool = self._open_pool()
        try:
            # After a restart of the server each idle connection may have ended, which is no failed attempt.
            while not is_alive(connection := pool.getconn(share)):
                pool.putconn(connection)
        except NO_CONNECTION:
            raise self._no_connection() from None
        try:
            connection.until = until
            return connection.run(steps)
        finally:
            try:
                connection.settle()
            finally:
                pool.putconn(connection)

    def _settle_repeats(self, outcomes: list[AppendOutcome], attempts: Attempts, key: str | None) -> None:
        """Acknowledge what was written before only once it is as durable as what is written now."""
        if rests_on_repeats(outcomes):
            with known_as_written(key or ""):
                self._run(wait_for_replicas, attempts)

    def _scrub(self, attempts: Attempts) -> None:
        """
        Have PostgreSQL clear away what was erased. An error postpones that to its autovacuum, and is not raised: the
        erasure is durable already.
        """
        try:
            self._run(lambda: run_alone(VACUUM), attempts)
        except StoreError as error:
            log.warning("store.scrub_postponed", error=type(error).__name__)
