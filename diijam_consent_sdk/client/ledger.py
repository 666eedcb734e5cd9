"""The ledger in order, as either client offers it. They share `LedgerOperations`."""

from __future__ import annotations

from ..stores.protocol import Entries
from .base import BaseClient
from .runners import TaskRunner, ThreadRunner


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


class AsyncLedger(BaseClient):
    """The methods of the client for asyncio that read the ledger in order."""

    _runner: TaskRunner

    async def entries(self, after: str | None = None, *, wait: float = 0.0) -> Entries:
        """See `ConsentClient.entries`."""
        return await self._runner.run(self._engine.ledger.entries(after, wait))
