"""The store behind a consent service, for asyncio; see `store` for threads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Unpack

from ...events import Event, LedgerEntry, Provenance
from ...holders import RegisteredHolder
from ...identifiers import identifier
from ...notices import NoticeText, RegisteredNotice
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
from ..history import HistoryPage, join_history
from ..message_fields import MAX_USERS
from ..registry import MAX_NOTICES_PAGE
from ..token_messages import OwnToken
from . import append_exchange, exchange, holder_exchange, ledger_exchange, registry_exchange, standing_exchange
from .exchange import Exchange
from .parts import Parts
from .stream import AsyncHttpChangesStream
from .transport import AsyncTransport, TransportOptions


class AsyncHttpStore:
    """
    `HttpStore` for asyncio: its methods are coroutines. Safe to use from several event loops, each with its own
    connections. They are closed when their loop shuts down (`asyncio.run` sees to that), and those of the loop that
    calls `close` at once.
    """

    def __init__(self, url: str, *, deadline: float = 1.0, **options: Unpack[TransportOptions]) -> None:
        self._deadline = deadline
        self._transport = AsyncTransport(url, **options)

    def __repr__(self) -> str:
        return f"<AsyncHttpStore {self._transport.url}>"

    async def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        pages = exchange.split_into_pages(checked_ids(user_ids))
        return exchange.join_pages([await self._run(exchange.load(page)) for page in pages])

    async def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        pages = exchange.split_into_pages(checked_ids(user_ids))
        return standing_exchange.join_standings([await self._run(standing_exchange.standings(page)) for page in pages])

    async def list_standings(self, after_user_id: str | None, limit: int = MAX_USERS) -> StandingsPage:
        """See `Store.list_standings`."""
        page: StandingsPage = await self._run(standing_exchange.list_standings(after_user_id, limit))
        return page

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
        appending = append_exchange.append(user_id, events, expected_version, idempotency_key, provenance)
        appended: Appended = await self._run(appending)
        return appended

    async def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """See `Store.append_many`. A write without a key gets one, so that the call may be repeated."""
        many = append_exchange.append_many(writes)
        answered: list[WriteResult] = await self._run(many.exchange()) if many.sent() else []
        return many.results(answered)

    async def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        changes: Changes = await self._run(exchange.changes(after, wait, limit))
        return changes

    async def entries(self, after: Cursor, *, wait: float, limit: int = 1000) -> Entries:
        """See `Store.entries`."""
        entries: Entries = await self._run(ledger_exchange.entries(after, wait, limit))
        return entries

    def stream_changes(
        self,
        after: Cursor,
        *,
        wait: float,
        beat: float,
        limit: int = 1000,
        client: str | None = None,
        silence: float | None = None,
    ) -> AsyncHttpChangesStream:
        """See `StreamsChanges.stream_changes`."""
        parts = Parts(after, wait=wait, beat=beat, limit=limit, client=client, silence=silence, deadline=self._deadline)
        return AsyncHttpChangesStream(self._transport, parts)

    async def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        entries: list[LedgerEntry] = []
        after: int | None = 0
        while after is not None:
            page = await self.history_page(user_id, after)
            entries += page.entries
            after = page.after
        return join_history(entries)

    async def history_page(self, user_id: str, after: int) -> HistoryPage:
        """See `PagedHistory.history_page`."""
        page: HistoryPage = await self._run(exchange.history(identifier(user_id), after))
        return page

    async def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        found: OpenRequests = await self._run(exchange.open_requests(after, limit))
        return found

    async def erasures(self, holder: str, after: ErasurePlace | None = None, *, limit: int = MAX_USERS) -> OwedErasures:
        """See `Store.erasures`."""
        page: OwedErasures = await self._run(holder_exchange.erasures(holder, after, limit))
        return page

    async def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `HttpStore.register_notice`."""
        registered: RegisteredNotice = await self._run(registry_exchange.register_notice(text, by))
        return registered

    async def notice(self, notice: str) -> RegisteredNotice | None:
        """See `Notices.notice`."""
        found: RegisteredNotice | None = await self._run(registry_exchange.notice(notice))
        return found

    async def notices(self, after: str | None = None, *, limit: int = MAX_NOTICES_PAGE) -> list[RegisteredNotice]:
        """See `HttpStore.notices`."""
        ids: list[str] = await self._run(registry_exchange.notice_ids(after, limit))
        found = [await self.notice(notice) for notice in ids]
        return [notice for notice in found if notice is not None]

    async def require_notices(self) -> None:
        """See `Notices.require_notices`."""
        await self._run(registry_exchange.require_notices())

    async def register_holder(self, holder: str, *, by: str | None = None) -> RegisteredHolder:
        """See `Holders.register_holder`. The writer is the token's name; *by* counts from a relay alone."""
        registered: RegisteredHolder = await self._run(holder_exchange.register_holder(holder, by))
        return registered

    async def retire_holder(self, holder: str) -> None:
        """See `Holders.retire_holder`."""
        await self._run(holder_exchange.retire_holder(holder))

    async def holders(self) -> list[RegisteredHolder]:
        """See `Holders.holders`."""
        found: list[RegisteredHolder] = await self._run(holder_exchange.holders())
        return found

    async def own_token(self) -> OwnToken:
        """See `HttpStore.own_token`."""
        own: OwnToken = await self._run(exchange.own_token())
        return own

    async def close(self) -> None:
        """See `Store.close`."""
        await self._transport.close()

    async def _run(self, exchange: Exchange) -> Any:
        attempts = exchange.attempts(self._deadline)
        return await attempts.run_async(partial(self._transport.send, exchange, attempts))
