"""Stores for the service's tests that are slow, broken, hung or wrong on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from diijam_consent_sdk.events import Event, LedgerEntry
from diijam_consent_sdk.holders import RegisteredHolder
from diijam_consent_sdk.notices import NoticeText, RegisteredNotice
from diijam_consent_sdk.stores import Appended, Changes, Cursor, Loaded, MemoryStore
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


class FaultyStore:
    """A sync store over one in memory: its calls are counted, and can be held up or made to fail."""

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.calls: list[str] = []
        self.fails: dict[str, Exception] = {}  # by method: raised in place of an answer
        self.holds: dict[str, threading.Event] = {}  # by method: waited for before the inner call
        self.answer: threading.Event | None = None  # of `changes`: waited for after the inner call
        self.said_waited = 0.0  # added to the `waited` of the inner store

    def _enter(self, method: str) -> None:
        self.calls.append(method)
        if method in self.holds and not self.holds[method].wait(20):
            raise AssertionError("held up for too long")
        if method in self.fails:
            raise self.fails[method]

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        self._enter("load")
        return self.inner.load(user_ids)

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        self._enter("standings")
        return self.inner.standings(user_ids)

    def list_standings(self, after_user_id: str | None, limit: int = 1000) -> StandingsPage:
        """See `Store.list_standings`."""
        self._enter("list_standings")
        return self.inner.list_standings(after_user_id, limit)

    def append(self, user_id: str, events: Iterable[Event], **options: Any) -> Appended:
        """See `Store.append`."""
        self._enter("append")
        return self.inner.append(user_id, events, **options)

    def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """See `Store.append_many`."""
        self._enter("append_many")
        return self.inner.append_many(writes)

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`; a call that waits is counted and held up as `watch`."""
        self._enter("watch" if wait else "changes")
        found = self.inner.changes(after, wait=wait, limit=limit)
        if not wait and self.answer is not None and not self.answer.wait(20):
            raise AssertionError("held up for too long")
        return attrs.evolve(found, waited=found.waited + self.said_waited)

    def entries(self, after: Cursor, *, wait: float, limit: int = 1000) -> Entries:
        """See `Store.entries`."""
        self._enter("entries")
        return self.inner.entries(after, wait=wait, limit=limit)

    def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        self._enter("history")
        return self.inner.history(user_id)

    def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        self._enter("open_requests")
        return self.inner.open_requests(after, limit=limit)

    def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`."""
        self._enter("register_notice")
        return self.inner.register_notice(text, by=by)

    def notice(self, notice: str) -> RegisteredNotice | None:
        """See `Notices.notice`."""
        self._enter("notice")
        return self.inner.notice(notice)

    def notices(self, after: str | None = None, *, limit: int = MAX_NOTICES_PAGE) -> list[RegisteredNotice]:
        """See `Notices.notices`."""
        self._enter("notices")
        return self.inner.notices(after, limit=limit)

    def require_notices(self) -> None:
        """See `Notices.require_notices`."""
        self._enter("require_notices")
        self.inner.require_notices()

    def register_holder(self, holder: str, *, by: str | None = None) -> RegisteredHolder:
        """See `Holders.register_holder`."""
        self._enter("register_holder")
        return self.inner.register_holder(holder, by=by)

    def retire_holder(self, holder: str) -> None:
        """See `Holders.retire_holder`."""
        self._enter("retire_holder")
        self.inner.retire_holder(holder)

    def holders(self) -> list[RegisteredHolder]:
        """See `Holders.holders`."""
        self._enter("holders")
        return self.inner.holders()

    def erasures(self, holder: str, after: ErasurePlace | None = None, *, limit: int = 1000) -> OwedErasures:
        """See `Store.erasures`."""
        self._enter("erasures")
        return self.inner.erasures(holder, after, limit=limit)

    def close(self) -> None:
        """See `Store.close`."""
        self.inner.close()
