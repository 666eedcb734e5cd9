"""
A store that fails, hangs or answers wrongly on demand.

Outages are rare and short, so a test must make the one that it is about.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import attrs

from ..errors import InvalidEvent, KeyReused, OutcomeUnknown, StoreError, StoreUnavailable, VersionConflict
from ..events import Event, LedgerEntry, Provenance
from ..holders import RegisteredHolder
from ..notices import NoticeText, RegisteredNotice
from ..stores.answers import (
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
from ..stores.protocol import Store
from ..stores.registry import MAX_NOTICES_PAGE

T = TypeVar("T", Loaded, Standings)
A = TypeVar("A")

METHODS = (
    "load", "standings", "list_standings", "append", "append_many", "changes", "entries", "history", "open_requests",
    "erasures", "register_notice", "notice", "notices", "require_notices", "register_holder", "retire_holder",
    "holders",
)  # fmt: skip
Raised = StoreError | InvalidEvent | KeyReused | VersionConflict  # by stores
WRITE_ERRORS = (InvalidEvent, KeyReused, OutcomeUnknown, VersionConflict)  # which no read raises


class FaultyStore:
    """
    A store over another, whose calls can be counted, broken, held up and altered.

    Attributes:
        calls: The methods called, in order.

        loaded: The ids of each load, of records or standings.

        broken: Raised instead of calling the inner store, so nothing is written.

        broken_after: Raised after the inner store was called, so an append is written.

        hold: By method, an event to wait for before the answer; ten seconds at most.

        before_answer: By method, an event to set once the inner store has answered.

        alter: By name, the value to put into a field of `Loaded` or `Standings`.
    """

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.calls: list[str] = []
        self.loaded: list[tuple[str, ...]] = []
        self.broken: Exception | None = None
        self.broken_after: Exception | None = None
        self._refusals: dict[str, Exception] = {}  # as `broken`, by method
        self._losses: dict[str, Exception] = {}  # as `broken_after`
        self.hold: dict[str, threading.Event] = {}
        self.before_answer: dict[str, threading.Event] = {}
        self.alter: dict[str, object] = {}

    def offline(self) -> AbstractContextManager[None]:
        """Put the store out of reach within a block."""
        return self.failing(unreachable())

    @contextmanager
    def failing(self, error: Raised, *, written: bool = False, only_appends: bool = False) -> Iterator[None]:
        """
        Raise *error* in place of an answer within a block; `WRITE_ERRORS` only for writes.

        Args:
            error: What the store raises.

            written: Whether appends are written all the same; then only appends raise.

            only_appends: Whether only appends raise, as with a token that may not write (`NotEntitled`).

        Raises:
            TypeError: no store raises such an error.
        """
        if not isinstance(error, Raised):
            raise TypeError(f"no store raises {type(error).__name__}: a guard's no and a closed client make theirs")
        failures = self._losses if written else self._refusals
        before = dict(failures)
        only_appends = only_appends or written or isinstance(error, WRITE_ERRORS)
        failures.update(dict.fromkeys(("append", "append_many") if only_appends else METHODS, error))
        try:
            yield
        finally:
            failures.clear()
            failures.update(before)

    def _enter(self, method: str) -> None:
        self.calls.append(method)
        if self.broken is not None:
            raise self.broken
        if method in self._refusals:
            raise self._refusals[method]

    def _leave(self, method: str) -> None:
        if method in self.before_answer:
            self.before_answer[method].set()
        if method in self.hold and not self.hold[method].wait(10):
            raise AssertionError("held up for too long")
        if self.broken_after is not None:
            raise self.broken_after
        if method in self._losses:
            raise self._losses[method]

    def _call(self, method: str, call: Callable[[], A]) -> A:
        self._enter(method)
        answer = call()
        self._leave(method)
        return answer

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        wanted = tuple(user_ids)
        self._enter("load")
        self.loaded.append(wanted)
        loaded = self.inner.load(wanted)
        self._leave("load")
        return self._altered(loaded)

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        wanted = tuple(user_ids)
        self._enter("standings")
        self.loaded.append(wanted)
        standings = self.inner.standings(wanted)
        self._leave("standings")
        return self._altered(standings)

    def list_standings(self, after_user_id: str | None, limit: int = 1000) -> StandingsPage:
        """See `Store.list_standings`."""
        return self._call("list_standings", lambda: self.inner.list_standings(after_user_id, limit))

    def _altered(self, answer: T) -> T:
        fields = {name: value for name, value in self.alter.items() if hasattr(answer, name)}
        return attrs.evolve(answer, **fields)  # type: ignore[arg-type]  # a test may put anything there

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
        self._enter("append")
        appended = self.inner.append(
            user_id, events, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )
        self._leave("append")
        return appended

    def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """See `Store.append_many`."""
        return self._call("append_many", lambda: self.inner.append_many(writes))

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        return self._call("changes", lambda: self.inner.changes(after, wait=wait, limit=limit))

    def entries(self, after: Cursor, *, wait: float, limit: int = 1000) -> Entries:
        """See `Store.entries`."""
        return self._call("entries", lambda: self.inner.entries(after, wait=wait, limit=limit))

    def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        return self._call("history", lambda: self.inner.history(user_id))

    def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        return self._call("open_requests", lambda: self.inner.open_requests(after, limit=limit))

    def erasures(self, holder: str, after: ErasurePlace | None = None, *, limit: int = 1000) -> OwedErasures:
        """See `Store.erasures`."""
        return self._call("erasures", lambda: self.inner.erasures(holder, after, limit=limit))

    def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`."""
        return self._call("register_notice", lambda: self.inner.register_notice(text, by=by))

    def notice(self, notice: str) -> RegisteredNotice | None:
        """See `Notices.notice`."""
        return self._call("notice", lambda: self.inner.notice(notice))

    def notices(self, after: str | None = None, *, limit: int = MAX_NOTICES_PAGE) -> list[RegisteredNotice]:
        """See `Notices.notices`."""
        return self._call("notices", lambda: self.inner.notices(after, limit=limit))

    def require_notices(self) -> None:
        """See `Notices.require_notices`."""
        self._call("require_notices", self.inner.require_notices)

    def register_holder(self, holder: str, *, by: str | None = None) -> RegisteredHolder:
        """See `Holders.register_holder`."""
        return self._call("register_holder", lambda: self.inner.register_holder(holder, by=by))

    def retire_holder(self, holder: str) -> None:
        """See `Holders.retire_holder`."""
        self._call("retire_holder", lambda: self.inner.retire_holder(holder))

    def holders(self) -> list[RegisteredHolder]:
        """See `Holders.holders`."""
        return self._call("holders", self.inner.holders)

    def close(self) -> None:
        """See `Store.close`."""
        self._enter("close")
        self.inner.close()


def unreachable() -> StoreUnavailable:
    """Make the error of a store that is out of reach."""
    return StoreUnavailable("out of reach: try again")
