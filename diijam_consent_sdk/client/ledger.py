"""The ledger in order, as either client offers it. They share `LedgerOperations`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from itertools import repeat

from ..decisions import Ask
from ..stores.answers import Entries
from .base import BaseClient
from .iterators import LoudAsyncIterator, LoudIterator
from .runners import TaskRunner, ThreadRunner
from .watch import Watch, Watched


class Ledger(BaseClient):
    """The methods of the client for threads that read the ledger in order."""

    _runner: ThreadRunner

    def entries(self, after: str | None = None, *, wait: float = 0.0) -> Entries:
        """
        Read the ledger in order, a page at a time, each entry at least once.

        Keep `.token` of the answer with the work that the entries cause, and pass it as *after* to go on. Entries that
        an erasure blanked are left out; the `Erased` of the same user follows.

        Args:
            after: The token to go on from; None for the beginning.

            wait: With nothing new, wait for up to so many seconds; at most 60 are waited.

        Returns:
            `.entries`, `.token`, and `.complete`, true at the ledger's end.

        Raises:
            HistoryChanged: the token is of another history. Empty what you keep, and begin again with None.

            StoreUnavailable: the store did not answer within the wait and the deadline.

            StoreUnusable: its answer cannot be trusted.

            NotEntitled: the service's token lacks the scope `read`.

            ClientClosed: the client is closed.

            ValueError, TypeError: the token is malformed, or *wait* is no such number.
        """
        return self._runner.run(self._engine.ledger.entries(after, wait))

    def watch(self, ask: Ask, after: str | None = None) -> Iterator[Watched]:
        """
        Iterate over everybody's answer to *ask*, then for ever over the answer of each user that changes: for those who
        keep copies, such as a mail provider's list.

        Take each item as the truth, whether it turned or not. Keep its `.token` with that work, and pass the last one
        as *after* to go on: at least once follows, also for a beginning that was broken off. Time gives no item: a yes
        ends by itself at its `.until`. An erased user is denied. Memory does not grow with the number of users.

        Args:
            ask: What is asked of each user.

            after: The token to go on from; None for everybody first.

        Raises:
            HistoryChanged: the store is of another history than the token or the items so far. Empty what you keep, and
                begin again with None.

            StoreUnavailable: nothing was heard of the store for `max_staleness` seconds. The last token still holds.

            StoreUnusable: an answer of the store cannot be trusted.

            NotEntitled: the service's token is not for such asks, or lacks the scope `list`.

            ClientClosed: the client is closed.

            TypeError, ValueError: *ask* is not an ask, or *after* is no token.
        """
        pages = watch_pages(self, ask, after)
        return LoudIterator(item for page in pages for item in page)


def watch_pages(client: Ledger, ask: Ask, after: str | None) -> Iterator[list[Watched]]:
    """Begin `ConsentClient.watch`, and give its items page by page, an empty page after a wait without news."""
    watch = client._engine.ledger.watch(ask, after)  # noqa: SLF001
    return (client._runner.run(watch.next_items()) for _ in repeat(None))  # noqa: SLF001


class AsyncLedger(BaseClient):
    """The methods of the client for asyncio that read the ledger in order."""

    _runner: TaskRunner

    async def entries(self, after: str | None = None, *, wait: float = 0.0) -> Entries:
        """Read the ledger in order, a page at a time, each entry at least once. See `ConsentClient.entries`."""
        return await self._runner.run(self._engine.ledger.entries(after, wait))

    def watch(self, ask: Ask, after: str | None = None) -> AsyncIterator[Watched]:
        """
        Iterate over everybody's answer to *ask*, then for ever over the answer of each user that changes: for those who
        keep copies, such as a mail provider's list. See `ConsentClient.watch`.
        """
        return LoudAsyncIterator(self._watch(self._engine.ledger.watch(ask, after)))

    async def _watch(self, watch: Watch) -> AsyncGenerator[Watched, None]:
        while True:
            for item in await self._runner.run(watch.next_items()):
                yield item
