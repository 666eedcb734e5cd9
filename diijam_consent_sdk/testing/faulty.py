"""A store that fails, hangs or lies on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import attrs

from ..errors import StoreUnavailable
from ..events import Event, LedgerEntry
from ..stores.protocol import Appended, Changes, Cursor, Loaded, Store


class FaultyStore:
    """
    A store over another, whose calls can be counted, broken, held up and altered.

    Attributes:
        calls: The methods called, in order.

        loaded: The ids of each load.

        broken: Raised instead of calling the inner store: nothing was written.

        broken_after: Raised after the inner store was called: an append was written, but nobody says so.

        hold: By method, what to wait for before answering; ten seconds at most.

        before_answer: By method, what is set once the inner store has answered.

        alter: By name, what to put in place of a field of `Loaded`.
    """

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.calls: list[str] = []
        self.loaded: list[tuple[str, ...]] = []
        self.broken: Exception | None = None
        self.broken_after: Exception | None = None
        self.hold: dict[str, threading.Event] = {}
        self.before_answer: dict[str, threading.Event] = {}
        self.alter: dict[str, object] = {}

    @contextmanager
    def offline(self) -> Iterator[None]:
        """Within this block the store is out of reach."""
        before, self.broken = self.broken, unreachable()
        try:
            yield
        finally:
            self.broken = before

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
        return attrs.evolve(loaded, **self.alter)  # type: ignore[arg-type]  # a test may put anything there

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
        entries = self.inner.history(user_id)
        self._leave("history")
        return entries

    def close(self) -> None:
        """See `Store.close`."""
        self._enter("close")
        self.inner.close()


def unreachable() -> StoreUnavailable:
    """What a store says that is out of reach."""
    return StoreUnavailable("out of reach: try again")
