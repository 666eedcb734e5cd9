"""What auditors and customers ask, as either client offers it: explanations, histories, files and the head."""

from __future__ import annotations

from datetime import datetime

from ..customer_file import CustomerFile
from ..decisions import Ask, Explanation
from ..events import LedgerEntry
from ..vocabulary import Language
from .base import BaseClient
from .customer_files import gather
from .runners import TaskRunner, ThreadRunner


class Audit(BaseClient):
    """The auditor's methods of the client for threads."""

    _runner: ThreadRunner

    def explain(self, user_id: str, ask: Ask, at: datetime | None = None) -> Explanation:
        """
        Decide on a record loaded now, and give the evidence, for audit and support.

        Args:
            user_id: The customer.

            ask: What is asked.

            at: A past instant (aware): the answer on the record as it was then. Of an erased user nothing of the past
                is left, so the answer is `ERASED` at every instant: clause 6.

        Raises:
            ValueError: *at* is naive, or in the future by the store's clock.

            TypeError: *at* is not a datetime, or *ask* is not an ask. All other errors are those of `load`.
        """
        return self._runner.run(self._engine.reads.explain(user_id, ask, at))

    def history(self, user_id: str) -> list[LedgerEntry]:
        """List the user's ledger entries, oldest first; after an erasure, its entry alone. Errors as for `load`."""
        return self._runner.run(self._engine.reads.history(user_id))

    def customer_file(self, user_id: str, language: Language = "vi") -> CustomerFile:
        """
        Read everything that the store has of one customer: what was said and how, the words shown each time, what holds
        now, requests, holds, and the hashes that prove it. Of an erased customer that is the tombstone alone: clause 6.

        Time and memory grow with the number of the customer's entries.

        Args:
            user_id: The customer.

            language: The language of the file, "vi" or "en". Words that were shown are in the language of the question.

        Raises:
            ValueError: *language* is another, or the id is malformed. All other errors are those of `load`.
        """
        return self._runner.run(gather(self._engine, user_id, language))

    def head(self) -> str:
        """
        Read the ledger's head, as a token to keep elsewhere: the epoch, position and chain hash of the last entry.

        `diijam-consent verify --since` proves later that the ledger still continues this head: that nobody cut it,
        restored an older copy or forged an entry up to there. Errors as for `load`; any scope `ask…` is enough, too.
        """
        return str(self._runner.run(self._engine.reads.head()))


class AsyncAudit(BaseClient):
    """The auditor's methods of the client for asyncio."""

    _runner: TaskRunner

    async def explain(self, user_id: str, ask: Ask, at: datetime | None = None) -> Explanation:
        """Decide on a record loaded now, and give the evidence, for audit and support. See `ConsentClient.explain`."""
        return await self._runner.run(self._engine.reads.explain(user_id, ask, at))

    async def history(self, user_id: str) -> list[LedgerEntry]:
        """
        List the user's ledger entries, oldest first; after an erasure, its entry alone. See `ConsentClient.history`.
        """
        return await self._runner.run(self._engine.reads.history(user_id))

    async def customer_file(self, user_id: str, language: Language = "vi") -> CustomerFile:
        """
        Read everything that the store has of one customer: what was said and how, the words shown each time, what holds
        now, requests, holds, and the hashes that prove it. See `ConsentClient.customer_file`.
        """
        return await self._runner.run(gather(self._engine, user_id, language))

    async def head(self) -> str:
        """
        Read the ledger's head, as a token to keep elsewhere: the epoch, position and chain hash of the last entry. See
        `ConsentClient.head`.
        """
        return str(await self._runner.run(self._engine.reads.head()))
