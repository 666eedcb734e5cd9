"""
Runs the store's methods for the event loop, which none of them blocks, but for reads that wait for nobody.

Calls of different kinds have threads and queues apart, so a slow list or a crowd of writers delays no load.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import attrs

from .._threads import await_promise, run_in_thread
from ..events import Event, Provenance, takes_away
from ..identifiers import is_user_id
from ..stores.answers import (
    Appended,
    Changes,
    Cursor,
    Entries,
    ErasurePlace,
    Loaded,
    OpenRequests,
    OwedErasures,
    Standings,
    StandingsPage,
    Write,
    WriteResult,
)
from ..stores.async_protocol import AsyncStore
from ..stores.checks import checked_ids
from ..stores.history import HistoryPage, read_history_page
from ..stores.protocol import Store
from ..stores.sql.append_plans import plan_append
from ..stores.sql.chain_walk import ChainPage
from ..stores.sql.repeats import Repeat
from ..stores.sqlite.store import SqliteDatabaseStore, SqliteStore
from .admission import Admission
from .joint_appends import MAX_JOINED_EVENTS, JointAppends
from .joint_loads import MAX_JOINED_USERS, JointLoads, cutter_of_records, cutter_of_standings
from .lanes import Lane
from .prompt_reads import PromptReads
from .registry_executor import RegistryExecutor, unchanged
from .store_calls import check_arguments, run_call
from .store_lanes import StoreLanes

T = TypeVar("T")


class StoreExecutor(RegistryExecutor):
    """
    The store's methods as coroutines. Use it on one event loop only.

    A method's `convert` is called with the store's answer, off the event loop if the answer may be large.

    Args:
        store: A sync store, whose methods run in a bounded number of threads, or an async one.
    """

    def __init__(self, store: Store | AsyncStore) -> None:
        self._store: Any = store
        self._is_async = inspect.iscoroutinefunction(store.load)
        self._run = partial(run_call, is_async=self._is_async)
        self._lanes = StoreLanes.for_store(store, is_async=self._is_async)
        run = partial(self._run, self._lanes.readers)
        self._standings = JointLoads(run, self._store.standings, cutter_of_standings)
        self._records = JointLoads(run, self._store.load, cutter_of_records)
        self._joint_appends = (
            JointAppends(self._lanes.writers, store.append_together) if isinstance(store, SqliteDatabaseStore) else None
        )
        self._prompt_reads = PromptReads(store.standing_at_once) if isinstance(store, SqliteStore) else None
        self.admission = Admission()

    async def head(self) -> Cursor:
        """Load the ledger's head, ahead of all loads and lists."""
        found: Standings = await self._call(self._lanes.heads, None, partial(self._store.standings, ()), unchanged)
        return found.cursor

    async def standings(self, caller: Hashable, user_ids: list[str], convert: Callable[[Standings], T]) -> T:
        """See `Store.standings`. One user's is read at once where that waits for nobody; small loads are joined."""
        if self._prompt_reads is not None and len(user_ids) == 1 and is_user_id(user_ids[0]):
            self.admission.check_whole()
            if (found := self._prompt_reads.read(user_ids[0])) is not None:
                return convert(found)
        return await self._load(caller, self._standings, user_ids, convert)

    async def load(self, caller: Hashable, user_ids: list[str], convert: Callable[[Loaded], T]) -> T:
        """See `Store.load`. Small loads are joined."""
        return await self._load(caller, self._records, user_ids, convert)

    async def list_standings(
        self, caller: Hashable, after: str | None, limit: int, convert: Callable[[StandingsPage], T]
    ) -> T:
        """See `Store.list_standings`."""
        call = partial(self._store.list_standings, after, limit=limit)
        return await self._call(self._lanes.listers, caller, call, convert)

    async def append(
        self,
        caller: Hashable,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None,
        idempotency_key: str | None,
        provenance: Provenance,
        convert: Callable[[Appended], T],
    ) -> T:
        """
        See `Store.append`. Events that only take away queue apart from the caller's other appends, and are written also
        to a broken ledger. The answer then has no record, which nobody can trust.
        """
        batch = tuple(events)
        is_refusal = takes_away(batch)

        def convert_trusted(appended: Appended) -> T:
            """Convert the answer, without its record if the ledger is broken."""
            return convert(appended if self.admission.broken is None else attrs.evolve(appended, record=None))

        key = (caller, is_refusal)
        with self.admission.admit(self._lanes.writers, key, is_allowed_when_broken=is_refusal):
            if self._joint_appends is not None and len(batch) <= MAX_JOINED_EVENTS:
                planning = partial(plan_append, user_id, batch, expected_version, idempotency_key, provenance)
                plan = check_arguments(planning)
                if not plan.is_erasure:
                    done: T | Repeat = await self._joint_appends.append(key, plan, convert_trusted)
                    if not isinstance(done, Repeat):
                        return done
                    return await self._run(self._lanes.writers, key, partial(self._store.answer, done), convert_trusted)
            call = partial(
                self._store.append, user_id, batch,
                expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance,
            )  # fmt: skip
            return await self._run(self._lanes.writers, key, call, convert_trusted)

    async def append_many(
        self, caller: Hashable, writes: Sequence[Write], convert: Callable[[Sequence[WriteResult]], T]
    ) -> T:
        """See `Store.append_many`. To a broken ledger only those that take away are written."""
        broken = self.admission.broken
        is_refusal = [takes_away(write.events) for write in writes]
        allowed = [write for write, is_no in zip(writes, is_refusal, strict=True) if is_no or broken is None]

        def convert_trusted(results: Sequence[WriteResult]) -> T:
            """Convert the results, without records if the ledger is broken, and with its error for the others."""
            if broken is None and self.admission.broken is None:
                return convert(results)
            left = map(_without_record, results)
            return convert([
                next(left) if is_no or broken is None else type(broken)(*broken.args) for is_no in is_refusal
            ])  # fmt: skip

        call = partial(self._store.append_many, allowed)
        key = (caller, all(is_refusal))
        return await self._call(self._lanes.writers, key, call, convert_trusted, is_allowed_when_broken=True)

    async def chain_page(self, after: int, limit: int, convert: Callable[[ChainPage], T]) -> T:
        """See `SqlStore.chain_page`; only where `can_verify`."""
        return await self._call(self._lanes.verifiers, None, partial(self._store.chain_page, after, limit), convert)

    def can_verify(self) -> bool:
        """Whether the store is a database, whose chain can be walked over."""
        return hasattr(self._store, "chain_page")

    async def history_page(self, caller: Hashable, user_id: str, after: int, convert: Callable[[HistoryPage], T]) -> T:
        """See `read_history_page`."""
        call = partial(read_history_page, self._store, user_id, after)
        return await self._call(self._lanes.listers, caller, call, convert)

    async def entries(self, caller: Hashable, after: Cursor, limit: int, convert: Callable[[Entries], T]) -> T:
        """Call `Store.entries` without waiting for news."""
        call = partial(self._store.entries, after, wait=0.0, limit=limit)
        return await self._call(self._lanes.listers, caller, call, convert)

    async def open_requests(
        self, caller: Hashable, after: str | None, limit: int, convert: Callable[[OpenRequests], T]
    ) -> T:
        """See `Store.open_requests`."""
        call = partial(self._store.open_requests, after, limit=limit)
        return await self._call(self._lanes.listers, caller, call, convert)

    async def erasures(
        self,
        caller: Hashable,
        holder: str,
        after: ErasurePlace | None,
        limit: int,
        convert: Callable[[OwedErasures], T],
    ) -> T:
        """See `Store.erasures`."""
        call = partial(self._store.erasures, holder, after, limit=limit)
        return await self._call(self._lanes.listers, caller, call, convert)

    async def changes(self, after: Cursor, limit: int, caller: Hashable = None) -> Changes:
        """Call `Store.changes` without waiting for news; for one caller, or for all."""
        call = partial(self._store.changes, after, wait=0.0, limit=limit)
        changes: Changes = await self._call(self._lanes.looks, caller, call, unchanged)
        return changes

    async def wait_for_changes(self, after: Cursor, wait: float) -> Changes:
        """Call `Store.changes` and wait for news, in a daemon thread, which keeps the process from no exit."""
        call = partial(self._store.changes, after, wait=wait)
        if self._is_async:
            return await call()  # type: ignore[no-any-return]
        return await await_promise(run_in_thread(call))

    def clock_trouble(self) -> str | None:
        """Tell what is wrong with the clock that the store stamps with, as of its last call; None if nothing is."""
        trouble = getattr(self._store, "clock_trouble", None)
        return None if trouble is None else trouble()

    def close(self) -> None:
        """Begin no further call. The store itself stays open."""
        self._lanes.close()

    async def _load(
        self, caller: Hashable, loads: JointLoads[Any], user_ids: list[str], convert: Callable[[Any], T]
    ) -> T:
        with self.admission.admit(self._lanes.readers, caller):
            if len(user_ids) > MAX_JOINED_USERS:
                return await self._run(self._lanes.large_readers, caller, partial(loads.call, user_ids), convert)
            return await loads.load(caller, check_arguments(partial(checked_ids, user_ids)), convert)

    async def _call(
        self,
        lane: Lane,
        caller: Hashable,
        call: Callable[[], Any],
        convert: Callable[[Any], T],
        *,
        is_allowed_when_broken: bool = False,
    ) -> T:
        """Make a call in its lane, if it is let in."""
        with self.admission.admit(lane, caller, is_allowed_when_broken=is_allowed_when_broken):
            return await self._run(lane, caller, call, convert)


def _without_record(result: WriteResult) -> WriteResult:
    return attrs.evolve(result, record=None) if isinstance(result, Appended) else result
