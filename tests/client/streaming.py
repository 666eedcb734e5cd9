"""A store in memory that answers polls in parts, as one over HTTP does, and goes wrong on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import attrs

from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import Changes, Cursor, MemoryStore
from diijam_consent_sdk.testing import FaultyStore

STEP_SECONDS = 0.02


@attrs.frozen
class Asked:
    """What a stream was asked with."""

    after: Cursor
    wait: float
    beat: float
    client: str | None
    silence: float | None


class Parts:
    """See `ChangesStream`: parts of a store in memory."""

    def __init__(self, store: Streaming, asked: Asked) -> None:
        self._store = store
        self._asked = asked
        self._after = asked.after
        self._began: float | None = None
        self.closed = threading.Event()

    def __iter__(self) -> Parts:
        return self

    def __next__(self) -> Changes:
        now = time.monotonic()
        is_first = self._began is None
        self._began = began = self._began or now
        quiet_until = now if is_first else now + self._asked.beat
        while not self.closed.is_set() and not self._store.ends.is_set():
            if self._store.stream_error is not None:
                raise self._store.stream_error
            looked_at = time.monotonic()
            part = self._store.inner.changes(self._after, wait=0.0)
            if part.cursor != self._after or looked_at >= quiet_until:
                self._after = part.cursor
                return self._store.alter_part(attrs.evolve(part, waited=looked_at - began))
            self.closed.wait(STEP_SECONDS)
        raise StopIteration

    def close(self) -> None:
        """See `ChangesStream.close`."""
        self.closed.set()


class Streaming(FaultyStore):
    """
    A store that streams.

    Attributes:
        streams: What each stream was asked with, and the stream.

        stream_error: Raised in place of the next part.

        ends: Ends all streams, as a service that stops.

        alter_part: Makes another part of each.
    """

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.streams: list[tuple[Asked, Parts]] = []
        self.stream_error: StoreUnavailable | None = None
        self.ends = threading.Event()
        self.alter_part: Callable[[Changes], Changes] = lambda part: part

    def stream_changes(
        self,
        after: Cursor,
        *,
        wait: float,
        beat: float,
        limit: int = 1000,
        client: str | None = None,
        silence: float | None = None,
    ) -> Parts:
        """See `StreamsChanges.stream_changes`."""
        assert limit == 1000
        asked = Asked(after, wait, beat, client, silence)
        self.streams.append((asked, Parts(self, asked)))
        return self.streams[-1][1]

    def open_streams(self) -> int:
        """How many streams nobody closed."""
        return sum(not parts.closed.is_set() for _, parts in self.streams)
