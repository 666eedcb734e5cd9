"""The operations of a client that read the store past its cache, written once for both clients."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ..decisions import Ask, Explanation, check_ask, explain
from ..due import Due, due
from ..errors import StoreUnavailable, StoreUnusable
from ..events import LedgerEntry
from ..holders import HolderRegistry
from ..identifiers import identifier
from ..record import ConsentRecord, record_at
from ..stores.answers import Cursor, Loaded
from ..vocabulary import instant
from .effects import ChangesSince, Effects, Load, OpenRequestsAfter, StoreCall, perform
from .exchanges import LAGS, NOWHERE, A, Exchanges
from .histories import read_history
from .limiter import LimitedCalls
from .lookups import ROUNDS
from .registry_effects import ListHolders


class ReadOperations:
    """
    The operations of a client that answer from the store alone. Safe to use from several threads.

    Args:
        check_open: Raises `ClientClosed` if the client is closed, and continues its pending writes if not.

        calls: Runs each call within the deadline.

        exchanges: Show the leases what the answers tell of the history.
    """

    def __init__(self, check_open: Callable[[], None], calls: LimitedCalls, exchanges: Exchanges) -> None:
        self._check_open = check_open
        self._calls = calls
        self._exchanges = exchanges

    def load(self, user_id: str) -> Effects[Loaded]:
        """Load one record from the store. The leases take what the answer shows of the history."""
        user_id = identifier(user_id)
        loaded = yield from self._read(Load((user_id,)))
        if [record.user_id for record in loaded.records] != [user_id]:
            raise StoreUnusable("the store answered with the record of another user")
        self._exchanges.leases.drop_older(user_id, loaded.records[0].version)
        return loaded

    def head(self) -> Effects[Cursor]:
        """Load the ledger's head."""
        return (yield from self._read(ChangesSince(NOWHERE, limit=1))).cursor

    def _read(self, call: StoreCall[A]) -> Effects[A]:
        self._check_open()
        until = self._calls.until()
        for _ in range(ROUNDS):  # an answer that lies behind is discarded here as it is for a guard
            answer = yield from self._calls.run(self._exchanges.read(call), until)
            if answer is not None:
                return answer
        raise StoreUnavailable(LAGS)

    def explain(self, user_id: str, ask: Ask, at: datetime | None) -> Effects[Explanation]:
        """Decide on a record from the store, now or as of a past instant, and give the evidence."""
        check_ask(ask)
        past = None if at is None else instant(at)
        loaded = yield from self.load(user_id)
        (record,) = loaded.records
        if past is None:
            return explain(record, ask, loaded.at)
        if past > loaded.at:
            raise ValueError("at is in the future by the store's clock: leave it out to ask about now")
        history = yield from self.history(user_id)
        if (history[-1].version if history else 0) < record.version:
            raise StoreUnavailable(LAGS)
        return explain(record_at(user_id, history, past), ask, past)

    def history(self, user_id: str) -> Effects[list[LedgerEntry]]:
        """Read the user's entries, oldest first."""
        user_id = identifier(user_id)
        self._check_open()
        return (yield from read_history(self._calls, user_id))

    def due(self) -> Effects[Due]:
        """Read the work list, page by page, as the holders are that were registered before."""
        self._check_open()
        holders = yield from self._calls.run(perform(ListHolders()), self._calls.until())
        records: list[ConsentRecord] = []
        after: str | None = None
        while True:
            page = yield from self._calls.run(perform(OpenRequestsAfter(after)), self._calls.until())
            records += page.records
            after = page.after
            if after is None:
                return due(records, page.at, HolderRegistry.of(holders))
