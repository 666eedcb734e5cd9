"""
A user's history in pages, each a call with its own deadline: a long history is read whatever its length.

`Store.history` stays one call, for callers who need no pages. A store without pages gives the whole history as one.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, runtime_checkable

import attrs

from ..events import Erased, LedgerEntry
from .async_protocol import AsyncStore
from .protocol import Store

MAX_HISTORY_PAGE = 1_000  # entries


@attrs.frozen
class HistoryPage:
    """Some of a user's entries, oldest first, and the version to go on from, which is None on the last page."""

    entries: list[LedgerEntry] = attrs.field(repr=False)
    after: int | None


@runtime_checkable
class PagedHistory(Protocol):
    """A store that reads a history page by page."""

    def history_page(self, user_id: str, after: int) -> HistoryPage | Awaitable[HistoryPage]:
        """Read the user's entries after a version, as many as one page takes."""


def read_history_page(store: Store | AsyncStore, user_id: str, after: int) -> HistoryPage | Awaitable[HistoryPage]:
    """Read a page of any store: an async one's is to be awaited."""
    if isinstance(store, PagedHistory):
        return store.history_page(user_id, after)
    history = store.history(user_id)
    return _await_page(history, after) if isinstance(history, Awaitable) else _make_page(history, after)


async def _await_page(history: Awaitable[list[LedgerEntry]], after: int) -> HistoryPage:
    return _make_page(await history, after)


def _make_page(history: list[LedgerEntry], after: int) -> HistoryPage:
    return HistoryPage([entry for entry in history if entry.version > after], None)


def cut_page(entries: list[LedgerEntry]) -> HistoryPage:
    """Make the page of up to one entry more than a page takes: that entry shows that there are more."""
    page = entries[:MAX_HISTORY_PAGE]
    return HistoryPage(page, page[-1].version if len(entries) > len(page) else None)


def join_history(entries: list[LedgerEntry]) -> list[LedgerEntry]:
    """Return the entries of all pages; of a user who was erased between two of them, the `Erased` alone."""
    return entries[-1:] if entries and isinstance(entries[-1].event, Erased) else entries
