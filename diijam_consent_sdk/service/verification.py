"""
Walks over the ledger's chain in the background, again and again, at a bounded rate.

A ledger that was altered behind the service's back is found while the service runs. From then on no answer can be
trusted, so the service gives none, and writes noes alone, until the ledger was restored and the service started again.
One process of a service walks, and all refuse what it has found.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from .._logging import log
from ..errors import LedgerBroken, StoreUnusable
from ..status import cause_of
from ..stores._retry import backoff
from ..stores.answers import Cursor
from ..stores.sql.chain_walk import ChainWalk
from .board import Board
from .feed import ChangeFeed
from .store_executor import StoreExecutor

PAGE = 100  # entries in one read
ENTRIES_A_SECOND = 2_000  # at most: a million take 8 minutes and a half
LONGEST_PAUSE_SECONDS = 10.0  # between two tries to read a page
CERTAIN_FAILURES = 5  # that a store which calls itself unusable has in a row before it counts as broken
NO_LEDGER = "a relay has no ledger to verify: give --verify-every to the service over the database"


class Verification:
    """
    The walks of one service. Use it on one event loop only.

    Args:
        store: The store, which refuses all but noes once the ledger is broken.

        feed: The long polls to end then.

        every: The time from the start of one walk to that of the next; a longer walk is followed at once.

        board: Where the other processes of the service look whether the ledger is broken.

        clock: A monotonic clock, in seconds.

    Attributes:
        position: Where the walk under way is.

        verified: The head that the last whole walk led to; None before.

        verified_at: When that was, in seconds since 1970; 0 before.

    Raises:
        ValueError: the store is no database.
    """

    def __init__(
        self,
        store: StoreExecutor,
        feed: ChangeFeed,
        every: timedelta,
        board: Board,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not store.can_verify():
            raise ValueError(NO_LEDGER)
        self._store = store
        self._feed = feed
        self._board = board
        self._every = every.total_seconds()
        self._clock = clock
        self._walks: asyncio.Task[None] | None = None
        self.position = 0
        self.verified: Cursor | None = None
        self.verified_at = 0.0

    @property
    def is_broken(self) -> bool:
        """Whether a walk found the ledger broken."""
        return self._store.admission.broken is not None

    async def start(self) -> None:
        """Begin the first walk."""
        self._walks = asyncio.create_task(self._walk_for_ever())

    async def stop(self) -> None:
        """End the walk under way; the page that it waits for is not waited for."""
        if self._walks is not None:
            self._walks.cancel()
            with suppress(asyncio.CancelledError):
                await self._walks

    async def _walk_for_ever(self) -> None:
        try:
            while True:
                began = self._clock()
                self.verified = await self._walk()
                self.verified_at = time.time()
                log.info("service.ledger_verified", position=self.position)
                await asyncio.sleep(max(0.0, began + self._every - self._clock()))
        except StoreUnusable as error:
            self._mark_broken(error)

    async def _walk(self) -> Cursor:
        """Walk to the head, whose own history has to lead through the head of the walk before."""
        walk = ChainWalk(self.verified)
        while True:
            began = self._clock()
            head = await self._add_page(walk)
            self.position = walk.position
            if head is not None:
                return head
            await asyncio.sleep(max(0.0, began + PAGE / ENTRIES_A_SECOND - self._clock()))

    async def _add_page(self, walk: ChainWalk) -> Cursor | None:
        """Read and check the next page, as often as it takes to read it."""
        failures = unusable = 0
        while True:
            try:
                return await self._store.chain_page(walk.position, PAGE, walk.add)
            except LedgerBroken:
                raise
            except Exception as error:
                unusable = unusable + 1 if isinstance(error, StoreUnusable) else 0
                if unusable > CERTAIN_FAILURES:  # no moment of a pooler
                    raise
                if not failures:
                    log.warning("service.verification_waits", error=type(error).__name__, cause=cause_of(error))
                await asyncio.sleep(backoff(failures, longest=LONGEST_PAUSE_SECONDS))
                failures += 1

    def _mark_broken(self, error: StoreUnusable) -> None:
        """Refuse from now on whatever rests on the ledger, and end the long polls."""
        broken = error if isinstance(error, LedgerBroken) else LedgerBroken(self.position + 1, cause_of(error))
        log.error("service.ledger_broken", position=broken.position, cause=broken.why)
        self._store.admission.broken = broken
        self._board.mark_broken(broken)
        self._feed.wake(None)
