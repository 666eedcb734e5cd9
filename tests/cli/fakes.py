"""Fakes for what is hard to make happen: a store that fails, streams that stop, a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import attrs

from diijam_consent_sdk.errors import InvalidEvent, VersionConflict
from diijam_consent_sdk.events import Event, LedgerEntry
from diijam_consent_sdk.stores import Appended, Changes, Cursor, Loaded, MemoryStore, Write
from diijam_consent_sdk.stores.protocol import Standings, StandingsPage, WriteResult


class FailingStore:
    """
    As much of a store as recording needs, over memory, whose calls can be made to fail.

    Attributes:
        failures: By the name of a method, what it raises.

        opened_with: The options it was opened with.
    """

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.failures: dict[str, BaseException] = {}
        self.opened_with: dict[str, object] = {}

    def open(self, url: str, **options: object) -> Self:
        """In the place of `open_store`."""
        self.opened_with = options
        return self

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        self._fail("load")
        return self.inner.load(user_ids)

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        self._fail("standings")
        return self.inner.standings(user_ids)

    def list_standings(self, after_user_id: str | None, limit: int = 1000) -> StandingsPage:
        """See `Store.list_standings`."""
        self._fail("list_standings")
        return self.inner.list_standings(after_user_id, limit)

    def changes(self, after: Cursor, **options: Any) -> Changes:
        """See `Store.changes`."""
        self._fail("changes")
        return self.inner.changes(after, **options)

    def append(self, user_id: str, events: Iterable[Event], **options: Any) -> Appended:
        """See `Store.append`."""
        self._fail("append")
        return self.inner.append(user_id, events, **options)

    def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """See `Store.append_many`: one by one, so that a test may let any of them fail."""
        return [self._result(write) for write in writes]

    def _result(self, write: Write) -> WriteResult:
        fields = attrs.asdict(write, recurse=False)
        try:
            return self.append(fields.pop("user_id"), fields.pop("events"), **fields)
        except (InvalidEvent, VersionConflict) as refused:
            return refused

    def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        return self.inner.history(user_id)

    def close(self) -> None:
        """The ledger stays, for the test to look at."""

    def _fail(self, method: str) -> None:
        if method in self.failures:
            raise self.failures[method]


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and keeps what it was shown."""

    def isatty(self) -> bool:
        """Yes."""
        return True


class Unread(io.StringIO):
    """A pipe whose reader is gone."""

    def write(self, text: str) -> int:
        """Fail as a pipe does that nobody reads."""
        raise BrokenPipeError


class Feed(io.RawIOBase):
    """A stream that gives one piece at a time, when it is asked for; what the pieces raise, reading raises."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next piece; nothing after the last."""
        piece = next(self._pieces, b"")
        buffer[: len(piece)] = piece
        return len(piece)


def then(error: BaseException, *pieces: bytes) -> Iterator[bytes]:
    """These pieces, and after them an error instead of an end."""
    yield from pieces
    raise error
