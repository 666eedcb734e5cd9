"""The base of stores for asyncio over a SQL database: the twin of `store`, with coroutines."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from ...errors import ConsentError, StoreUnusable, TooLarge
from ...events import Event, LedgerEntry, Provenance
from ...holders import UNKNOWN_HOLDER
from ...identifiers import identifier
from ..answers import (
    Appended,
    Changes,
    Cursor,
    Entries,
    ErasurePlace,
    Loaded,
    OpenRequests,
    OwedErasures,
    Standings,
    StandingsPage,
    Write,
    WriteResult,
)
from ..checks import checked_ids
from ..history import HistoryPage, cut_page
from .append_plans import AppendOutcome, PlannedAppend, plan_append, plan_many
from .appends import Appends
from .async_registry_store import AsyncSqlRegistry
from .chain_walk import ChainPage, chain_page
from .changes import EntriesPage
from .dialect import Dialect, entries_of, history_page_query, history_query, rows_translated
from .operations import Clock, Operations
from .repeats import LongFolds, Repeat, known_as_written, rebuild
from .standings import ENDLESS, StandingReads
from .statements import Query

T = TypeVar("T")
News = TypeVar("News", Changes, EntriesPage)


class AsyncSqlStore(AsyncSqlRegistry):
    """`SqlStore` for asyncio: its methods are coroutines."""

    def __init__(self, dialect: Dialect, clock: Clock | None) -> None:
        self._operations = Operations(dialect, clock)
        self._long_folds = LongFolds()

    @property
    def _standings(self) -> StandingReads:
        return StandingReads(self._operations)

    @property
    def _appends(self) -> Appends:
        return Appends(self._operations)

    @abstractmethod
    async def _append(self, plan: PlannedAppend) -> AppendOutcome:
        """See `SqlStore._append`."""

    @abstractmethod
    async def _append_many(self, plans: list[PlannedAppend]) -> list[AppendOutcome]:
        """See `SqlStore._append_many`."""

    @abstractmethod
    def _watch(self) -> Callable[[float], Awaitable[object]]:
        """See `SqlStore._watch`."""

    @abstractmethod
    async def close(self) -> None:
        """See `Store.close`."""

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
        return await self._repeated(outcome, plan.idempotency_key) if isinstance(outcome, Repeat) else outcome

    async def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """See `Store.append_many`."""
        plans = plan_many(writes)
        valid = [plan for plan in plans if isinstance(plan, PlannedAppend)]
        outcomes = iter(await self._append_many(valid) if valid else ())
        return [await self._result(next(outcomes), plan) if isinstance(plan, PlannedAppend) else plan for plan in plans]

    async def _result(self, outcome: AppendOutcome, plan: PlannedAppend) -> WriteResult:
        if not isinstance(outcome, Repeat):
            return outcome
        try:
            return await self._repeated(outcome, plan.idempotency_key)
        except ConsentError as error:
            return error

    async def _repeated(self, repeat: Repeat, key: str | None = None) -> Appended:
        with known_as_written(key or ""):
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
            wait_for_news = self._watch() if wait > 0 else None
            waited = time.monotonic() - started
            found = await self._read(look(waited))
            if found.cursor != after or wait_for_news is None or not waited < wait:
                return found
            await wait_for_news(wait - waited)

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

    async def erasures(self, holder: str, after: ErasurePlace | None = None, *, limit: int = 1000) -> OwedErasures:
        """See `Store.erasures`."""
        try:
            page = await self._read(self._holders.erasures(holder, after, limit))
        except TooLarge:  # which one user's never is
            return await self.erasures(holder, after, limit=limit // 2)
        if page is None:
            raise ValueError(UNKNOWN_HOLDER)
        return page

    async def chain_page(self, after: int, limit: int) -> ChainPage:
        """See `SqlStore.chain_page`."""
        return await self._read(chain_page(self._operations, after, limit))

    def clock_trouble(self) -> str | None:
        """See `SqlStore.clock_trouble`."""
        return self._operations.clock_trouble()
