"""The client for asyncio: its operations run the engine in the caller's task."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from typing import Self

from ..cache.compiled import ALL_STALE, DecisionsOn
from ..cache.entries import NOBODY
from ..cache.user import UserConsent
from ..decisions import STALE, Ask, Decision, check_ask, check_entitled
from ..due import Due
from ..events import Event, Provenance
from ..record import ConsentRecord
from ..stores.answers import Appended
from ..stores.url import open_async_store
from .audit import AsyncAudit
from .batching import Malformed
from .iterators import LoudAsyncIterator
from .ledger import AsyncLedger
from .lookups import UserBatch
from .registry import AsyncRegistry
from .runners import TaskRunner


class AsyncConsentClient(AsyncAudit, AsyncLedger, AsyncRegistry):
    """
    `ConsentClient` for asyncio: the same options and operations, over either kind of store.

    Each operation is a coroutine, except that `users`, `permitted` and `watch` return async iterators, and `status`
    answers at once. There are no guards by id, since a forgotten `await` must never read as yes. `await` the user, and
    call its guards plainly. Use a client in one event loop at a time.
    """

    _runner_type = TaskRunner
    _takes_async_stores = True
    _open_store = staticmethod(open_async_store)
    _runner: TaskRunner

    async def user(self, user_id: str, at_least: str | None = None) -> UserConsent:
        """Give one user's answers, under one lease. See `ConsentClient.user`."""
        is_simple = at_least is None and self._runner.is_on_its_loop()
        if is_simple and (user := self._cached.get(user_id, NOBODY)).answers() is not ALL_STALE:
            self._counters.found += 1
            return user
        return await self._runner.run(self._engine.user(user_id, at_least))

    def users(self, user_ids: Iterable[str], malformed: Malformed = "raise") -> AsyncIterator[UserConsent]:
        """
        Give the users in order, loaded in batches as the iteration goes on: a few thousand ids are read ahead. See
        `ConsentClient.users`.
        """
        return LoudAsyncIterator(self._live(self._engine.batches(user_ids, malformed)))

    def permitted(self, user_ids: Iterable[str], ask: Ask, malformed: Malformed = "raise") -> AsyncIterator[str]:
        """
        Give the ids that may, in order, each decided at the moment it is handed out. See `ConsentClient.permitted`.
        """
        check_ask(ask)
        return LoudAsyncIterator(self._permitted(self._engine.batches(user_ids, malformed), ask))

    async def permitted_mask(self, user_ids: Iterable[str], ask: Ask, malformed: Malformed = "raise") -> bytearray:
        """
        Decide for frames and arrays: for each id in order 1 if it may, else 0. See `ConsentClient.permitted_mask`.
        """
        check_ask(ask)
        return await self._runner.run(self._engine.mask(user_ids, ask, malformed))

    async def record(
        self,
        user_id: str,
        *events: Event,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        provenance: Provenance | None = None,
    ) -> Appended:
        """Append events, all or none. See `ConsentClient.record`."""
        recording = self._engine.record(user_id, events, expected_version, idempotency_key, provenance)
        return await self._runner.run(recording)

    async def load(self, user_id: str) -> ConsentRecord:
        """Load the whole record from the store. See `ConsentClient.load`."""
        return (await self._runner.run(self._engine.reads.load(user_id))).records[0]

    async def due(self) -> Due:
        """
        Read the work list: open requests by due time, and pending erasures that may be done now or are on hold. See
        `ConsentClient.due`.
        """
        return await self._runner.run(self._engine.reads.due())

    async def close(self) -> None:
        """Deny everything from now on, and close the store if `from_url` made it. See `ConsentClient.close`."""
        if not self._is_closed:
            try:
                await self._runner.run(self._engine.close())
            finally:
                await self._runner.stop()
                if self._owns_store:
                    closing = self._store.close()
                    if closing is not None:
                        await closing
            self._finish_close()

    aclose = close  # the name that contextlib.aclosing calls

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _live(self, batches: Iterator[UserBatch]) -> AsyncGenerator[UserConsent, None]:
        for batch in batches:
            for user in await self._runner.run(self._engine.users(batch)):
                yield user if user.is_live() else await self.user(user.user_id)

    async def _permitted(self, batches: Iterator[UserBatch], ask: Ask) -> AsyncGenerator[str, None]:
        for batch in batches:
            decisions = DecisionsOn(ask)
            for user in await self._runner.run(self._engine.users(batch)):
                decision = decisions[user.answers()]
                if decision.allowed or await self._is_permitted_after(decision, user, ask):
                    yield user.user_id

    async def _is_permitted_after(self, denial: Decision, user: UserConsent, ask: Ask) -> bool:
        if denial is STALE:
            return check_entitled((await self.user(user.user_id)).decide(ask), ask).allowed
        self._counters.by_decision[denial].denied += 1
        return check_entitled(denial, ask).allowed
