"""
The base of stores for threads over a SQL database: the public methods, over reads and writes that each database runs.

`async_store` is its twin, with coroutines.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
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
from .chain_walk import ChainPage, chain_page
from .changes import EntriesPage
from .dialect import Dialect, entries_of, history_page_query, history_query, rows_translated
from .operations import Clock, Operations
from .registry_store import SqlRegistry
from .repeats import LongFolds, Repeat, known_as_written, rebuild
from .standings import ENDLESS, StandingReads
from .statements import Query

T = TypeVar("T")
News = TypeVar("News", Changes, EntriesPage)
CALLERS_CLOCK = "entries were stamped by a clock that a caller gave, as tests do: their times prove nothing"


class SqlStore(SqlRegistry):
    """A `Store` over a SQL database. A subclass runs its queries and transactions."""

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
    def _append(self, plan: PlannedAppend) -> AppendOutcome:
        """Write an append; what it deletes is cleared away when this returns."""

    @abstractmethod
    def _append_many(self, plans: list[PlannedAppend]) -> list[AppendOutcome]:
        """Write appends in one transaction; what they delete is cleared away when this returns."""

    @abstractmethod
    def _watch(self) -> Callable[[float], object]:
        """Begin to watch for appends. What this returns waits at most so many seconds for one, or less."""

    @abstractmethod
    def verify(self, *, since: str | None = None) -> Cursor:
        """
        Re-compute the whole chain, and each record and standing from its entries; check that the tables are as they
        were made.

        Args:
            since: A head that was kept (`client.head()`), which the ledger has to continue, whatever its epoch.

        Returns:
            The head that all of it leads to.

        Raises:
            LedgerBroken: names the first entry that is missing, altered or out of order, or the last entry if all
                fit but a record is not what its entries make, or the user's last if a standing is not.

            HeadNotContinued: the ledger was cut short, replaced or forged since *since* was its head.

            ValueError: *since* is no head.
        """

    @abstractmethod
    def close(self) -> None:
        """See `Store.close`."""

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        return self._read(self._operations.load(checked_ids(user_ids)))

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        for query in self._standings.standings(checked_ids(user_ids)):
            if (found := self._read(query)) is not None:
                return found
        raise StoreUnusable(ENDLESS)

    def list_standings(self, after_user_id: str | None, limit: int = 1000) -> StandingsPage:
        """See `Store.list_standings`."""
        try:
            for query in self._standings.page(after_user_id, limit):
                if (page := self._read(query)) is not None:
                    return page
        except TooLarge:  # which one user's never is
            return self.list_standings(after_user_id, limit // 2)
        raise StoreUnusable(ENDLESS)

    def append(
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
        outcome = self._append(plan)
        if isinstance(outcome, Exception):
            raise outcome
        return self._repeated(outcome, plan.idempotency_key) if isinstance(outcome, Repeat) else outcome

    def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """See `Store.append_many`."""
        plans = plan_many(writes)
        valid = [plan for plan in plans if isinstance(plan, PlannedAppend)]
        outcomes = iter(self._append_many(valid) if valid else ())
        return [self._result(next(outcomes), plan) if isinstance(plan, PlannedAppend) else plan for plan in plans]

    def _result(self, outcome: AppendOutcome, plan: PlannedAppend) -> WriteResult:
        if not isinstance(outcome, Repeat):
            return outcome
        try:
            return self._repeated(outcome, plan.idempotency_key)
        except ConsentError as error:
            return error

    def remarks(self) -> list[str]:
        """List what an operator should know of a ledger that verifies."""
        return [CALLERS_CLOCK] * self._read(self._operations.is_tested())

    def _repeated(self, repeat: Repeat, key: str | None = None) -> Appended:
        with known_as_written(key or ""):
            found = self._read(self._appends.repeated(repeat))
            if isinstance(found, Appended):
                return found
            with self._long_folds.folding(found.version), rows_translated():
                return rebuild(found, self._read(history_query(found.user_id, found.version)))

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        return self._read_news(after, wait, partial(self._operations.changes, after, limit))

    def entries(self, after: Cursor, *, wait: float, limit: int = 1000) -> Entries:
        """See `Store.entries`."""
        return self._read_news(after, wait, lambda _: self._operations.entries(after, limit)).decode()

    def _read_news(self, after: Cursor, wait: float, look: Callable[[float], Query[News]]) -> News:
        """Look, given how long it waited before, until there is news after *after* or *wait* seconds are over."""
        started = time.monotonic()
        while True:
            # Before the look: an append that comes just after it ends the wait.
            wait_for_news = self._watch() if wait > 0 else None
            waited = time.monotonic() - started
            found = self._read(look(waited))
            if found.cursor != after or wait_for_news is None or not waited < wait:
                return found
            wait_for_news(wait - waited)

    def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        links = self._read(self._operations.history(user_id))
        with rows_translated():
            return entries_of(links)

    def history_page(self, user_id: str, after: int) -> HistoryPage:
        """See `PagedHistory.history_page`."""
        links = self._read(history_page_query(identifier(user_id), after))
        with rows_translated():
            return cut_page(entries_of(links))

    def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        return self._read(self._operations.open_requests(after, limit))

    def erasures(self, holder: str, after: ErasurePlace | None = None, *, limit: int = 1000) -> OwedErasures:
        """See `Store.erasures`."""
        try:
            page = self._read(self._holders.erasures(holder, after, limit))
        except TooLarge:  # which one user's never is
            return self.erasures(holder, after, limit=limit // 2)
        if page is None:
            raise ValueError(UNKNOWN_HOLDER)
        return page

    def chain_page(self, after: int, limit: int) -> ChainPage:
        """Read the links after a position, at most *limit* of them, for a `ChainWalk` beside a ledger in use."""
        return self._read(chain_page(self._operations, after, limit))

    def clock_trouble(self) -> str | None:
        """Describe what was wrong with the clock at the last call, so that no yes is written; None: nothing."""
        return self._operations.clock_trouble()
