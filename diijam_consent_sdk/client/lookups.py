"""
Lookups: finding users in memory, or by loads that concurrent misses share; UNAVAILABLE where neither answers in time.

A batch is looked up in two steps, so that its loads run while earlier users are handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import attrs

from .._threads import WaitTimeout
from ..cache.compiled import ALL_STALE
from ..cache.entries import NOBODY
from ..cache.user import UserConsent
from ..identifiers import are_plain, identifier
from ..stores.answers import Cursor
from .batching import OnMalformed, batches
from .effects import Effects, wait
from .exchanges import Exchanges
from .limiter import LimitedCalls
from .single_flight import SharedLoad, SingleFlight

ROUNDS = 2  # rule 4: what could not be installed is fetched once more
PATIENCE = 0.25  # of a deadline: after a load that is late, for the store's head, which tells whether parts follow


@attrs.frozen(eq=False)
class UserBatch:
    """Some users in order: those found in memory, and the loads that bring the others."""

    user_ids: list[str] = attrs.field(factory=list, repr=False)
    found: dict[str, UserConsent] = attrs.field(factory=dict, repr=False)
    loads: list[SharedLoad] = attrs.field(factory=list, repr=False)

    def without_failed_loads(self) -> UserBatch:
        """Leave out the loads that have failed since they were started: the store may be reachable again."""
        return attrs.evolve(self, loads=[load for load in self.loads if not load.has_failed])


class Lookups:
    """
    The lookups of one client. Safe to use from several threads.

    Args:
        exchanges: How the store is asked, for the leases that keep the users.

        single_flight: Where misses join.

        calls: Runs what is no shared load, within the deadline.

        on_exchange: Called after each exchange that is no shared load, with its error or None.
    """

    def __init__(
        self,
        exchanges: Exchanges,
        single_flight: SingleFlight,
        calls: LimitedCalls,
        on_exchange: Callable[[BaseException | None], None],
    ) -> None:
        self._exchanges = exchanges
        self._leases = exchanges.leases
        self._single_flight = single_flight
        self._calls = calls
        self._on_exchange = on_exchange

    def batches(self, user_ids: Iterable[str], on_malformed: OnMalformed) -> Iterator[UserBatch]:
        """Give the ids in batches for `users`, whose loads are started ahead of them."""
        if isinstance(user_ids, (str, bytes)):
            raise TypeError("user_ids is an iterable of ids, not one id")
        return batches(iter(user_ids), self._leases.capacity, partial(self.start_batch, on_malformed))

    def start_batch(
        self, on_malformed: OnMalformed, first: int, user_ids: list[str]
    ) -> tuple[UserBatch, Exception | None]:
        """
        Start the loads of a batch whose first id has this place. Counts each user as found or missed.

        Gives the error to raise after the batch, if it ends early at a malformed id.
        """
        cached = self._leases.users.by_id
        found: dict[str, UserConsent] = {}
        missing: list[str] = []
        failure: Exception | None = None
        for user_id in user_ids:
            if type(user_id) is str and (user := cached.get(user_id)) is not None and user.is_live():
                found[user_id] = user
            else:
                missing.append(user_id)
        if not are_plain(missing):
            user_ids, failure = _well_formed(user_ids, first, on_malformed)
            missing = [user_id for user_id in user_ids if user_id not in found]
        self._leases.counters.misses += len(missing)
        self._leases.counters.found += len(user_ids) - len(missing)
        loads = self._single_flight.join(missing) if missing and not self._leases.closed else []
        return UserBatch(user_ids, found, loads), failure

    def users(self, batch: UserBatch) -> Effects[list[UserConsent]]:
        """Give the users of a batch in order, each with an answer or UNAVAILABLE."""
        found, loads = batch.found, batch.loads
        until = self._calls.until()
        left_out: set[str] = set()
        for rounds_left in reversed(range(ROUNDS + (not loads))):  # without loads, the first round only looks
            try:
                for load in loads:
                    yield from self._wait_for(load, until, is_patient=len(batch.user_ids) > 1)
            except WaitTimeout:
                until = 0.0
            for load in loads:
                found |= load.users  # of a load that goes on in parts, those loaded so far
                left_out |= load.left_out
            missing = [user_id for user_id in batch.user_ids if found.get(user_id, NOBODY).answers() is ALL_STALE]
            have_failed = bool(loads) and all(load.has_failed for load in loads)
            again = [user_id for user_id in missing if user_id not in left_out]
            if not again or have_failed or not rounds_left or self._leases.closed:
                break
            loads = self._single_flight.join(again)
        found |= {user_id: self._leases.unavailable(user_id) for user_id in missing}
        return [found[user_id] for user_id in batch.user_ids]

    def user_with(self, user_id: str, token: Cursor, until: float) -> Effects[UserConsent]:
        """
        Give a user as of a token or later: the write of another process.

        What the feed has not shown is loaded, and only then is the token confirmed to be in the store's history. In the
        other order, a restore in between would go unnoticed.
        """
        cached = self._leases.users[user_id]
        if cached.is_live() and self._leases.has_shown(token, cached):
            self._leases.counters.found += 1
            return cached
        self._leases.counters.misses += 1
        if self._leases.closed:
            return self._leases.unavailable(user_id)
        user: UserConsent | None = None
        try:
            for _ in range(ROUNDS):
                _, users = yield from self._calls.run(self._exchanges.load([user_id]), until)
                user = users.get(user_id)
                if user is not None:
                    break
            is_confirmed = yield from self._calls.run(self._exchanges.confirm(token), until)
        except Exception as error:  # noqa: BLE001 - guards never raise on outages
            self._on_exchange(error)
            is_confirmed = False
        else:
            self._on_exchange(None)
        if user is None or not is_confirmed or user.position < token.position:
            return self._leases.unavailable(user_id)
        return user

    def _wait_for(self, load: SharedLoad, until: float, *, is_patient: bool) -> Effects[None]:
        """Wait for a load. If it goes on in parts, a patient caller gives each part its own deadline."""
        patience = PATIENCE * self._calls.deadline if is_patient and until else 0.0
        until += patience
        while True:
            try:
                return (yield from wait(load.done, until))
            except WaitTimeout:
                until_next = load.part_ended_at + self._calls.deadline + patience
                if not patience or until_next <= until:
                    raise
                until = until_next


def _well_formed(user_ids: list[str], first: int, on_malformed: OnMalformed) -> tuple[list[str], Exception | None]:
    """Give the ids that are well-formed, as plain strings, up to one whose error is not passed over, and this error."""
    kept: list[str] = []
    for place, user_id in enumerate(user_ids, first):
        try:
            kept.append(identifier(user_id))
        except (TypeError, ValueError) as error:
            failure = _failure(on_malformed, place, error)
            if failure is not None:
                return kept, failure
    return kept, None


def _failure(on_malformed: OnMalformed, place: int, error: TypeError | ValueError) -> Exception | None:
    """Report a malformed id. Gives the error that ends the batch; None: the id is left out."""
    try:
        on_malformed(place, error)
    except Exception as failure:  # noqa: BLE001 - raised once the users before it were handed out
        return failure
    return None
