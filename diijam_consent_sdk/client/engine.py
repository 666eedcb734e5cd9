"""
The engine: every operation of a client, written once as generators of effects (see `effects`).

`ConsentClient` and `AsyncConsentClient` differ only in the runner that drives the generators.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator

import attrs

from .._threads import WaitTimeout
from ..cache.compiled import ALL_UNAVAILABLE
from ..cache.leases import Leases
from ..cache.user import UserConsent
from ..decisions import Ask, Decision
from ..errors import OutcomeUnknown, StoreUnavailable
from ..events import Event, Provenance
from ..identifiers import identifier
from ..status import Feed, Status
from ..stores.answers import Appended, Cursor
from ..stores.checks import checked_provenance
from .batching import Malformed, on_malformed
from .effects import Append, Effects, Limit, Spawn, wait
from .exchanges import Exchanges
from .health import Health
from .ledger_operations import LedgerOperations
from .limiter import LimitedCalls
from .lookups import Lookups, UserBatch
from .mask_confirmation import AWAY, MaskConfirmation
from .masks import Mask
from .poller import Poller
from .read_operations import ReadOperations
from .registry_operations import RegistryOperations
from .single_flight import SingleFlight
from .writes import UNKNOWN, Writes


class Engine:
    """
    The operations of a client over its leases. Safe to use from several threads.

    Args:
        clock: The lease clock, in seconds.

        max_staleness: The bound B, in seconds.

        capacity: How many users are kept.

        deadline: How long, in real seconds, an operation may wait for the store.

        is_following: Whether the change feed is followed.

        can_stream: Whether the store answers polls in parts.

        spawn: Runs effects in the background.

        limit: Gives a `spawn` that runs so many at once.

        actor: The writer that appends name.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        max_staleness: float,
        capacity: int,
        deadline: float,
        is_following: bool,
        can_stream: bool,
        spawn: Spawn,
        limit: Limit,
        actor: str | None = None,
    ) -> None:
        self.leases = Leases(max_staleness=max_staleness, capacity=capacity, clock=clock, follow=is_following)
        self._clock, self._is_following, self._actor = clock, is_following, actor
        self._exchanges = Exchanges(self.leases, clock, deadline, max_staleness)
        self._calls = LimitedCalls(deadline, limit)
        self.reads = ReadOperations(self._check_open, self._calls, self._exchanges)
        self.registry = RegistryOperations(self._check_open, self._calls, actor)
        self.ledger = LedgerOperations(
            self.reads.head, self._check_open, deadline=deadline, max_staleness=max_staleness, limit=limit
        )
        self._health = Health(self.leases, clock, self.ledger.watch_lag, self.ledger.watch_caught_up_at)
        self._single_flight = SingleFlight(self._exchanges, spawn, self._on_exchange)
        self._lookups = Lookups(self._exchanges, self._single_flight, self._calls, self._on_exchange)
        self._writes = Writes(self.leases, clock, spawn, max_staleness)
        self._poller = Poller(self._exchanges, spawn, self._on_poll, self._on_poller_end, can_stream=can_stream)

    def user(self, user_id: str, at_least: str | None = None) -> Effects[UserConsent]:
        """Find one user in memory or the store; `UNAVAILABLE` where neither answers."""
        user_id = identifier(user_id)
        self._writes.resume()
        if at_least is not None:
            return (yield from self._lookups.user_with(user_id, Cursor.parse(at_least), self._calls.until()))
        batch, _ = self._lookups.start_batch(on_malformed("raise"), 0, [user_id])
        (user,) = yield from self._lookups.users(batch)
        return user

    def batches(self, user_ids: Iterable[str], malformed: Malformed = "raise") -> Iterator[UserBatch]:
        """Give the ids in batches for `users`, whose loads are started ahead of them."""
        return self._lookups.batches(user_ids, on_malformed(malformed))

    def users(self, batch: UserBatch) -> Effects[list[UserConsent]]:
        """Give the users of a batch of `batches`, in order."""
        self._writes.resume()
        return (yield from self._lookups.users(batch.without_failed_loads()))

    def mask(
        self, user_ids: Iterable[str], ask: Ask, malformed: Malformed = "raise", *, partly: bool = False
    ) -> Effects[bytearray]:
        """Answer for each id in order: 1 if it may, 0 if not and, only if *partly*, `masks.UNKNOWN`."""
        left_out: list[int] = []
        report = on_malformed(malformed)

        def leave_out(place: int, error: TypeError | ValueError) -> None:
            report(place, error)
            left_out.append(place)

        with self.leases.watching_writes() as written:
            mask = Mask(ask, self._count_no)
            for batch in self._lookups.batches(user_ids, leave_out):
                users = yield from self.users(batch)
                is_whole = mask.add(users, *self.leases.feed())
                if not (is_whole or partly) and any(_is_unavailable(user, written) for user in users):
                    self._check_open()
                    raise StoreUnavailable(AWAY)
            mask.leave_out(left_out)  # before the clock is read for the last time
            confirmation = MaskConfirmation(mask, written, self._exchanges, self._clock, self._calls)
            try:
                yield from confirmation.confirm(partly=partly)
            except StoreUnavailable:
                self._check_open()
                if not partly:
                    raise
                mask.forget_yes()
            self._check_open()
            return mask.answers

    def record(
        self,
        user_id: str,
        events: tuple[Event, ...],
        expected_version: int | None,
        idempotency_key: str | None,
        provenance: Provenance | None = None,
    ) -> Effects[Appended]:
        """Append events; the user is denied until the outcome is definite (rule 8)."""
        user_id = identifier(user_id)
        self._check_open()
        key = uuid.uuid4().hex if idempotency_key is None else identifier(idempotency_key)
        said = attrs.evolve(checked_provenance(provenance), by=self._actor)
        until = self._calls.until()
        pending = self._writes.begin(Append(user_id, events, expected_version, key, said))
        try:
            return (yield from wait(pending.outcome, until))
        except WaitTimeout:
            self._writes.leave(pending)
            if pending.outcome.done():
                return pending.outcome.result()
            raise OutcomeUnknown(UNKNOWN, key) from None
        except BaseException:  # the caller was interrupted; of a refused write this denies nobody
            self._writes.leave(pending)
            raise

    def close(self) -> Effects[None]:
        """Deny everything from now on, and wait one deadline for writes of unknown outcome."""
        self.leases.close()
        self._poller.close()
        yield from self._writes.close(self._calls.until())

    def status(self) -> Status:
        """Look at the client once, in memory."""
        return self._health.status()

    def _count_no(self, decision: Decision) -> None:
        self.leases.counters.by_decision[decision].denied += 1

    def _check_open(self) -> None:
        self._writes.resume()
        self.leases.check_open()

    def _on_exchange(self, failure: BaseException | None) -> None:
        """Note a load or poll for guards, and start polling after the first: nothing runs before a guard is asked."""
        if self.leases.closed:
            return
        if self._is_following:
            self._poller.ensure_started()
        self._health.note_exchange(failure)

    def _on_poll(self, failure: BaseException | None, /, *, is_streaming: bool = False) -> None:
        self._health.note_feed(Feed.UP if failure is None else Feed.DOWN, is_streaming=is_streaming)
        self._on_exchange(failure)

    def _on_poller_end(self) -> None:
        """The next exchange starts another poller."""
        self._health.note_feed(Feed.DOWN)


def _is_unavailable(user: UserConsent, written: set[str]) -> bool:
    """Whether a user has no answer for another reason than a write of this process."""
    return user.answers() is ALL_UNAVAILABLE and user.user_id not in written
