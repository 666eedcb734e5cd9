"""The part of the store protocol that answers one poll in parts, which saves a request for each news."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from .answers import Changes, Cursor


class ChangesStream(Iterator[Changes], Protocol):
    """
    The answer to a poll in parts. Each part is a whole answer, whose `after` is the `cursor` of the part before.

    `next` waits for a part, and raises `StoreUnavailable` if none came in time or one is not right; the stream is over
    then.
    """

    def close(self) -> None:
        """End the stream, from any thread at any time. A thread that waits for a part is woken, and finds the end."""


class AsyncChangesStream(Protocol):
    """The same for tasks."""

    def __aiter__(self) -> AsyncChangesStream: ...

    async def __anext__(self) -> Changes: ...

    async def aclose(self) -> None:
        """End the stream, from any task of its event loop."""

    def close(self) -> None:
        """End the stream without waiting for that, from anywhere; what is left is done by its event loop."""


@runtime_checkable
class StreamsChanges(Protocol):
    """A store, of either kind, that can answer one poll in parts: one over HTTP."""

    def stream_changes(
        self,
        after: Cursor,
        *,
        wait: float,
        beat: float,
        limit: int = 1000,
        client: str | None = None,
        silence: float | None = None,
    ) -> ChangesStream | AsyncChangesStream:
        """
        Begin a poll that is answered in parts: one at once, one for each news, and one after *beat* seconds without.

        Nothing is sent before the first part is asked for.

        Args:
            after: As for `Store.changes`.

            wait: Seconds after which the stream ends.

            beat: Seconds after which a part comes without news.

            limit: How many entries each part goes on at most.

            client: A random name of the asking client. A new stream of the same name ends the one before it.

            silence: Seconds without a part after which the stream is over; by default *beat* and the call's deadline.
        """
