"""A ledger in PostgreSQL, shared by any number of machines: the store for asyncio."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from psycopg_pool import AsyncConnectionPool

from ..._logging import log
from ...errors import StoreError
from .._fork_safety import leak
from .._retry import Attempts
from ..sql.append_plans import AppendOutcome, PlannedAppend, has_erased, rests_on_repeats
from ..sql.async_group_commit import AsyncGroupCommit
from ..sql.async_store import AsyncSqlStore
from ..sql.group_commit import Group
from ..sql.operations import Clock
from ..sql.repeats import known_as_written
from ..sql.statements import Query, Steps, Transaction
from .base import NO_CONNECTION, SET_UP, VACUUM, PostgresBase, check_connection
from .connection import AsyncDeadlineConnection, is_alive
from .dialect import DIALECT
from .errors import translated
from .listener import AsyncListener
from .transactions import read, run_alone, wait_for_replicas, write

T = TypeVar("T")


class AsyncPostgresStore(PostgresBase, AsyncSqlStore):
    """`PostgresStore` for asyncio: its methods are coroutines. Belongs to the event loop it is first used in."""

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
        AsyncSqlStore.__init__(self, DIALECT, clock)
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._groups = AsyncGroupCommit(self._deadline, self._turn_seconds)
        self._pool: AsyncConnectionPool[AsyncDeadlineConnection] | None = None
        self._listener = AsyncListener(
            partial(AsyncDeadlineConnection.connect, **self._listen_options), may_be_shared=self._may_be_shared
        )

    async def close(self) -> None:
        """See `Store.close`."""
        self._is_closed = True
        if self._pid == os.getpid():
            await self._listener.close()
            if self._pool is not None:
                await self._pool.close(timeout=1)

    async def _open_pool(self) -> AsyncConnectionPool[AsyncDeadlineConnection]:
        if self._pid != os.getpid():
            leak(self._pool, self._listener)
            self._reset()
        if self._pool is None:
            self._pool = AsyncConnectionPool(
                connection_class=AsyncDeadlineConnection, configure=self._configure, **self._pool_options
            )
        if self._pool.closed:
            await self._pool.open()
        return self._pool

    async def _configure(self, connection: AsyncDeadlineConnection) -> None:
        with self._setting_up(connection):
            check_connection(connection, await connection.run_batch(SET_UP))

    async def _read(self, query: Query[T]) -> T:
        return await self._run(lambda: read(query), self._attempts())

    async def _write(self, transaction: Transaction[T]) -> T:
        attempts = self._attempts(transaction.idempotency_key)
        result = await self._run(lambda: write(self._begin_writing, transaction.start()), attempts)
        if transaction.is_erasure:
            await self._scrub(attempts)
        return result

    async def _append(self, plan: PlannedAppend) -> AppendOutcome:
        attempts = self._attempts(plan.idempotency_key)
        outcome = await attempts.run_async(lambda: self._groups.append(plan, attempts.until, self._write_group))
        await self._settle_repeats([outcome], attempts, plan.idempotency_key)
        if has_erased([plan], [outcome]):
            await self._scrub(attempts)
        return outcome

    async def _append_many(self, plans: list[PlannedAppend]) -> list[AppendOutcome]:
        transaction = self._appends.write(plans)
        attempts = self._attempts(transaction.idempotency_key)
        outcomes = await self._run(lambda: write(self._begin_writing, transaction.start()), attempts)
        await self._settle_repeats(outcomes, attempts, transaction.idempotency_key)
        if has_erased(plans, outcomes):
            await self._scrub(attempts)
        return outcomes

    async def _write_group(self, group: Group) -> list[AppendOutcome]:
        with translated():
            steps = group.run(self._appends.write(group.plans))
            return await self._attempt(write(self._begin_writing, steps), group.until)

    def _watch(self) -> Callable[[float], Awaitable[object]]:
        append = self._listener.next_append()
        return lambda seconds: self._listener.wait(append, seconds)

    async def _run(self, steps: Callable[[], Steps[T]], attempts: Attempts) -> T:
        async def attempt() -> T:
            with translated():
                return await self._attempt(steps(), attempts.until)

        return await attempts.run_async(attempt)

    async def _attempt(self, steps: Steps[T], until: float) -> T:
        share = self._begin_attempt(until)
        pool = await self._open_pool()
        try:
            while not is_alive(connection := await pool.getconn(share)):
                await pool.putconn(connection)
        except NO_CONNECTION:
            raise self._no_connection() from None
        try:
            connection.until = until
            return await connection.run(steps)
        finally:
            try:
                await connection.settle()
            finally:
                await pool.putconn(connection)

    async def _settle_repeats(self, outcomes: list[AppendOutcome], attempts: Attempts, key: str | None) -> None:
        """See `PostgresStore._settle_repeats`."""
        if rests_on_repeats(outcomes):
            with known_as_written(key or ""):
                await self._run(wait_for_replicas, attempts)

    async def _scrub(self, attempts: Attempts) -> None:
        """See `PostgresStore._scrub`."""
        try:
            await self._run(lambda: run_alone(VACUUM), attempts)
        except StoreError as error:
            log.warning("store.scrub_postponed", error=type(error).__name__)
