"""Reads a user's history page by page, so that the deadline is each page's and no length of a history passes it."""

from __future__ import annotations

from collections.abc import Awaitable

import attrs

from ..events import LedgerEntry
from ..stores.history import HistoryPage, join_history, read_history_page
from .effects import AnyStore, Effects, StoreCall, perform
from .limiter import LimitedCalls


@attrs.frozen
class HistoryAfter(StoreCall[HistoryPage]):
    """Read the page of a user's entries that follows a version."""

    user_id: str = attrs.field(repr=False)
    after: int

    def on(self, store: AnyStore) -> HistoryPage | Awaitable[HistoryPage]:
        """See `StoreCall.on`."""
        return read_history_page(store, self.user_id, self.after)


def read_history(calls: LimitedCalls, user_id: str) -> Effects[list[LedgerEntry]]:
    """
    Read all of the user's entries, oldest first.

    Raises:
        StoreUnavailable: a page did not come within the deadline.
    """
    entries: list[LedgerEntry] = []
    after: int | None = 0
    while after is not None:
        page = yield from calls.run(perform(HistoryAfter(user_id, after)), calls.until())
        entries += page.entries
        after = page.after
    return join_history(entries)
