"""A ledger in PostgreSQL, shared by any number of machines: the store for asyncio."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from psycopg_pool import AsyncConnectionPool

from ..._logging import log
from ...errors import ConsentError, StoreError, StoreUnusable, TooLarge
from ...events import Event, LedgerEntry, Provenance
from ...identifiers import identifier
from ...notices import NoticeText, RegisteredNotice
from .._fork_safety import leak
from .._retry import Attempts
from ..checks import checked_ids
from ..history import HistoryPage, cut_page
from ..protocol import (
    Appended,
    Changes,
    Cursor,
    Entries,
    Loaded,
    OpenRequests,
    Standings,
    StandingsPage,
    Write,
    WriteResult,
)
from ..registry import MAX_NOTICES_PAGE
from ..sql.appends import Appends, Outcome, PlannedAppend, has_erased, plan_append, plan_many
from ..sql.async_group_commit import AsyncGroupCommit
from ..sql.chain_walk import ChainPage, chain_page
from ..sql.changes import EntriesPage
from ..sql.dialect import entries_of, history_page_query, history_query, rows_translated
from ..sql.group_commit import Group
from ..sql.operations import Clock, Operations
from ..sql.registry import Registry
from ..sql.repeats import LongFolds, Repeat, rebuild
from ..sql.standings import ENDLESS, StandingReads
from ..sql.statements import Query, Steps, Transaction
from .base import NO_CONNECTION, SET_UP, VACUUM, PostgresBase, check_connection
from .connection import AsyncDeadlineConnection, is_alive
from .dialect import DIALECT
from .errors import translated
from .listener import AsyncListener
from .transactions import read, run_alone, write

T = TypeVar("T")
News = TypeVar("News", Changes, EntriesPage)


class AsyncPostgresStore(PostgresBase):
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
        super().__init__(url, deadline=deadline, connections=connections, listen_url=listen_url)
        self._operations = Operations(DIALECT, clock)
        self._registry = Registry(self._operations)
        self._long_folds = LongFolds()
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._groups = AsyncGroupCommit(self._deadline, self._turn_seconds)
        self._pool: AsyncConnectionPool[AsyncDeadlineConnection] | None = None
        self._listener = AsyncListener(
            partial(AsyncDeadlineConnection.connect, **self._listen_options), may_be_shared=self._may_be_shared
        )

    @property
    def _standings(self) -> StandingReads:
        return StandingReads(self._operations)

    @property
    def _appends(self) -> Appends:
        return Appends(self._operations)

    def clock_trouble(self) -> str | None:
        """See `SqlStore.clock_trouble`."""
        return self._operations.clock_trouble()

    async def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        return await self._read(self._operations.load(checked_ids(user_ids)))

    async def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        for query in self._standings.standings(checked_ids(user_ids)):
            if (found := await self._read(query)) is not None:
                return found
        raise StoreUnusable(ENDLESS)

    async def list_standings(self, after_user_id: str | None, limit: int = 1000) -> StandingsPage:
        """See `Store.list_standings`."""
        try:
            for query in self._standings.page(after_user_id, limit):
                if (page := await self._read(query)) is not None:
                    return page
        except TooLarge:  # which one user's never is
            return await self.list_standings(after_user_id, limit // 2)
        raise StoreUnusable(ENDLESS)

    async def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        provenance: Provenance | None = None,
    ) -> Appended:
        """See `Store.append`."""
        plan = plan_append(user_id, events, expected_version, idempotency_key, provenance)
        outcome = await self._append(plan)
        if isinstance(outcome, Exception):
            raise outcome
        return await self._repeated(outcome) if isinstance(outcome, Repeat) else outcome

    async def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """See `Store.append_many`."""
        plans = plan_many(writes)
        valid = [plan for plan in plans if isinstance(plan, PlannedAppend)]
        outcomes = iter(await self._append_many(valid) if valid else ())
        return [await self._result(next(outcomes)) if isinstance(plan, PlannedAppend) else plan for plan in plans]

    async def _result(self, outcome: Outcome) -> WriteResult:
        if not isinstance(outcome, Repeat):
            return outcome
        try:
            return await self._repeated(outcome)
        except ConsentError as error:
            return error

    async def _repeated(self, repeat: Repeat) -> Appended:
        found = await self._read(self._appends.repeated(repeat))
        if isinstance(found, Appended):
            return found
        with self._long_folds.folding(found.version), rows_translated():
            links = await self._read(history_query(found.user_id, found.version))
            return await asyncio.to_thread(rebuild, found, links)

    async def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        return await self._read_news(after, wait, partial(self._operations.changes, after, limit))

    async def entries(self, after: Cursor, *, wait: float, limit: int = 1000) -> Entries:
        """See `Store.entries`."""
        page = await self._read_news(after, wait, lambda _: self._operations.entries(after, limit))
        return await asyncio.to_thread(page.decode)

    async def _read_news(self, after: Cursor, wait: float, look: Callable[[float], Query[News]]) -> News:
        """See `SqlStore._read_news`."""
        started = time.monotonic()
        while True:
            append = self._listener.next_append() if wait > 0 else None
            waited = time.monotonic() - started
            found = await self._read(look(waited))
            if found.cursor != after or append is None or not waited < wait:
                return found
            await self._listener.wait(append, wait - waited)

    async def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        links = await self._read(self._operations.history(user_id))
        with rows_translated():
            return await asyncio.to_thread(entries_of, links)

    async def history_page(self, user_id: str, after: int) -> HistoryPage:
        """See `PagedHistory.history_page`."""
        links = await self._read(history_page_query(identifier(user_id), after))
        with rows_translated():
            return cut_page(await asyncio.to_thread(entries_of, links))

    async def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        return await self._read(self._operations.open_requests(after, limit))

    async def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`."""
        return await self._write(self._registry.register(text, by))

    async def notice(self, notice: str) -> RegisteredNotice | None:
        """See `Notices.notice`."""
        return await self._read(self._registry.notice(notice))

    async def notices(self, after: str | None = None, *, limit: int = MAX_NOTICES_PAGE) -> list[RegisteredNotice]:
        """See `Notices.notices`."""
        return await self._read(self._registry.page(after, limit))

    async def require_notices(self) -> None:
        """See `Notices.require_notices`."""
        await self._write(self._registry.require())

    async def chain_page(self, after: int, limit: int) -> ChainPage:
        """See `SqlStore.chain_page`."""
        return await self._read(chain_page(self._operations, after, limit))

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

    async def _append(self, plan: PlannedAppend) -> Outcome:
        attempts = self._attempts(plan.idempotency_key)
        outcome = await attempts.run_async(lambda: self._groups.append(plan, attempts.until, self._write_group))
        if has_erased([plan], [outcome]):
            await self._scrub(attempts)
        return outcome

    async def _append_many(self, plans: list[PlannedAppend]) -> list[Outcome]:
        transaction = self._appends.write(plans)
        attempts = self._attempts(transaction.idempotency_key)
        outcomes = await self._run(lambda: write(self._begin_writing, transaction.start()), attempts)
        if has_erased(plans, outcomes):
            await self._scrub(attempts)
        return outcomes

    async def _write_group(self, group: Group) -> list[Outcome]:
        with translated():
            steps = group.run(self._appends.write(group.plans))
            return await self._attempt(write(self._begin_writing, steps), group.until)

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

    async def _scrub(self, attempts: Attempts) -> None:
        """See `PostgresStore._scrub`."""
        try:
            await self._run(lambda: run_alone(VACUUM), attempts)
        except StoreError as error:
            log.warning("store.scrub_postponed", error=type(error).__name__)
