"""Fakes for the client's tests: clocks that stand still, stores that fail, hang or lie on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.events import Event, LedgerEntry
from diijam_consent_sdk.stores import Appended, Changes, Cursor, Loaded, MemoryStore


class LeaseClock:
    """A lease clock that goes on only when told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class WallClock:
    """A wall clock that goes on only when told, and can be set back."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class FaultyStore:
    """A store over another, whose calls can be counted, broken, held up and altered."""

    def __init__(self, inner: MemoryStore) -> None:
        self.inner = inner
        self.calls: list[str] = []
        self.loaded: list[tuple[str, ...]] = []
        self.broken: Exception | None = None  # raised before the inner call
        self.broken_after: Exception | None = None  # raised after the inner call was made
        self.hold: dict[str, threading.Event] = {}  # method: wait for this before answering
        self.before_answer: dict[str, threading.Event] = {}  # method: set once the inner answer is there
        self.alter: dict[str, Any] = {}

    def _enter(self, method: str) -> None:
        self.calls.append(method)
        if self.broken is not None:
            raise self.broken

    def _leave(self, method: str) -> None:
        if method in self.before_answer:
            self.before_answer[method].set()
        if method in self.hold and not self.hold[method].wait(10):
            raise AssertionError("held up for too long")
        if self.broken_after is not None:
            raise self.broken_after

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        wanted = tuple(user_ids)
        self._enter("load")
        self.loaded.append(wanted)
        loaded = self.inner.load(wanted)
        self._leave("load")
        return attrs.evolve(loaded, **self.alter)

    def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Appended:
        """See `Store.append`."""
        self._enter("append")
        appended = self.inner.append(
            user_id, events, expected_version=expected_version, idempotency_key=idempotency_key
        )
        self._leave("append")
        return appended

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        self._enter("changes")
        changes = self.inner.changes(after, wait=wait, limit=limit)
        self._leave("changes")
        return changes

    def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        self._enter("history")
        return self.inner.history(user_id)

    def close(self) -> None:
        """See `Store.close`."""
        self._enter("close")
        self.inner.close()


def unreachable() -> StoreUnavailable:
    """What a store says that is out of reach."""
    return StoreUnavailable("out of reach: try again")
