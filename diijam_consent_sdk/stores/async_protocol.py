"""The store protocol for asyncio: the methods of `protocol.Store` as coroutines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from ..events import Event, LedgerEntry, Provenance
from .answers import (
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
from .registry import AsyncRegistry


class AsyncStore(AsyncRegistry, Protocol):
    """The same ledger, its methods coroutines."""

    async def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""

    async def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""

    async def list_standings(self, after_user_id: str | None, limit: int = 1000) -> StandingsPage:
        """See `Store.list_standings`."""

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

    async def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """See `Store.append_many`."""

    async def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""

    async def entries(self, after: Cursor, *, wait: float, limit: int = 1000) -> Entries:
        """See `Store.entries`."""

    async def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""

    async def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""

    async def erasures(self, holder: str, after: ErasurePlace | None = None, *, limit: int = 1000) -> OwedErasures:
        """See `Store.erasures`."""

    async def close(self) -> None:
        """See `Store.close`."""
