"""An async store as a sync one, so that one contract suite holds both."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from diijam_consent_sdk.events import Event, LedgerEntry
from diijam_consent_sdk.holders import RegisteredHolder
from diijam_consent_sdk.notices import NoticeText, RegisteredNotice
from diijam_consent_sdk.stores import Appended, AsyncStore, Changes, Cursor, Loaded
from diijam_consent_sdk.stores.history import HistoryPage, read_history_page
from diijam_consent_sdk.stores.protocol import (
    Entries,
    ErasurePlace,
    OpenRequests,
    OwedErasures,
    Standings,
    StandingsPage,
    Write,
    WriteResult,
)
from diijam_consent_sdk.stores.registry import MAX_NOTICES_PAGE

T = TypeVar("T")


class Blocking:
    """
    Runs an async store's coroutines in another event loop, in a thread.

    Args:
        store: To be used through this one alone.
    """

    def __init__(self, store: AsyncStore) -> None:
        self._store = store
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        return self._wait(self._store.load(user_ids))

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        return self._wait(self._store.standings(user_ids))

    def list_standings(self, after_user_id: str | None, limit: int = 1000) -> StandingsPage:
        """See `Store.list_standings`."""
        return self._wait(self._store.list_standings(after_user_id, limit))

    def append(self, user_id: str, events: Iterable[Event], **options: Any) -> Appended:
        """See `Store.append`."""
        return self._wait(self._store.append(user_id, events, **options))

    def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """See `Store.append_many`."""
        return self._wait(self._store.append_many(writes))

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        return self._wait(self._store.changes(after, wait=wait, limit=limit))

    def history_page(self, user_id: str, after: int) -> HistoryPage:
        """See `PagedHistory.history_page`."""
        return self._wait(self._page(user_id, after))

    async def _page(self, user_id: str, after: int) -> HistoryPage:
        page = read_history_page(self._store, user_id, after)
        assert not isinstance(page, HistoryPage)
        return await page

    def entries(self, after: Cursor, *, wait: float, limit: int = 1000) -> Entries:
        """See `Store.entries`."""
        return self._wait(self._store.entries(after, wait=wait, limit=limit))

    def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        return self._wait(self._store.history(user_id))

    def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        return self._wait(self._store.open_requests(after, limit=limit))

    def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`."""
        return self._wait(self._store.register_notice(text, by=by))

    def notice(self, notice: str) -> RegisteredNotice | None:
        """See `Notices.notice`."""
        return self._wait(self._store.notice(notice))

    def notices(self, after: str | None = None, *, limit: int = MAX_NOTICES_PAGE) -> list[RegisteredNotice]:
        """See `Notices.notices`."""
        return self._wait(self._store.notices(after, limit=limit))

    def require_notices(self) -> None:
        """See `Notices.require_notices`."""
        self._wait(self._store.require_notices())

    def register_holder(self, holder: str, *, by: str | None = None) -> RegisteredHolder:
        """See `Holders.register_holder`."""
        return self._wait(self._store.register_holder(holder, by=by))

    def retire_holder(self, holder: str) -> None:
        """See `Holders.retire_holder`."""
        self._wait(self._store.retire_holder(holder))

    def holders(self) -> list[RegisteredHolder]:
        """See `Holders.holders`."""
        return self._wait(self._store.holders())

    def erasures(self, holder: str, after: ErasurePlace | None = None, *, limit: int = 1000) -> OwedErasures:
        """See `Store.erasures`."""
        return self._wait(self._store.erasures(holder, after, limit=limit))

    def close(self) -> None:
        """Close the store; its loop stays for those who ask it all the same, until the process ends."""
        self._wait(self._store.close())

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)
