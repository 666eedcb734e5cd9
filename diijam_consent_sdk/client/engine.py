"""What both clients do, step by step. The clients differ only in how the steps are run."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import attrs

from .._logging import log
from .._threads import Late, Lost, Promise
from ..cache.compiled import ALL_UNAVAILABLE
from ..cache.leases import Leases
from ..cache.user import UserConsent
from ..decisions import Ask, Decision, Explanation, check_ask, explain
from ..due import Due, due
from ..errors import ClientClosed, OutcomeUnknown, StoreUnavailable, StoreUnusable
from ..events import Event, LedgerEntry
from ..record import ConsentRecord
from ..status import Feed, Status, cause_of
from ..stores.protocol import Appended, Cursor, Loaded, OpenRequests
from ..vocabulary import identifier
from .batching import Malformed, OnMalformed, batches, on_malformed
from .effects import Call, Spawn, Steps, Wait
from .exchanges import LAGS, Exchanges
from .limiter import Limiter
from .masks import AWAY, NO, Confirming, Mask
from .poller import follow
from .single_flight import Flight, Flights
from .writes import NOT_BEGUN, UNKNOWN, Writes

ROUNDS = 2  # rule 4: what could not be installed is fetched once more
PATIENCE = 0.25  # of a deadline: a load that is late is found out to be too much only after it
MAX_CALLS = 8  # of `load`, `explain` and `history` at once, beside the flights


@attrs.frozen(eq=False)
class Batch:
    """Some users in order: those found in memory, and the flights that bring the others."""

    user_ids: list[str] = attrs.field(factory=list, repr=False)
    found: dict[str, UserConsent] = attrs.field(factory=dict, repr=False)
    flights: list[Flight] = attrs.field(factory=list, repr=False)


class ClientSteps:
    """
    The operations of a client over its leases. Safe to use from several threads.

    Args:
        clock: The lease clock, in seconds.

        max_staleness: The bound B, in seconds.

        capacity: How many users are kept.

        deadline: How long, in real seconds, an operation may wait for the store.

        is_following: Whether the change feed is followed.

        spawn: Runs steps beside everything else.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        max_staleness: float,
        capacity: int,
        deadline: float,
        is_following: bool,
        spawn: Spawn,
    ) -> None:
        self.leases = Leases(max_staleness=max_staleness, capacity=capacity, clock=clock, follow=is_following)
        self._clock = clock
        self._max_staleness = max_staleness
        self._deadline = deadline
        self._too_late = f"the store did not answer within {deadline} s: try again"
        self._is_following = is_following
        self._spawn = spawn
        self._exchanges = Exchanges(self.leases, clock, deadline)
        self._flights = Flights(self._exchanges, spawn, self._landed)
        self._limiter = Limiter(MAX_CALLS)
        self._lock = threading.Lock()
        self._writes = Writes(self.leases, clock, spawn)
        self._is_reachable: bool | None = None  # not known before the first exchange
        self._last_error: str | None = None
        self._feed: tuple[Feed, datetime | None] = (Feed.OFF, None)
        self._follower: object = None  # whose steps follow the feed

    def user(self, user_id: str, at_least: str | None = None) -> Steps[UserConsent]:
        """One user, from memory or the store; `UNAVAILABLE` where neither will do."""
        user_id = identifier(user_id)
        self._writes.take_up()
        if at_least is not None:
            return (yield from self._user_with(user_id, Cursor.parse(at_least), self._until()))
        batch, _ = self._read(on_malformed("raise"), 0, [user_id])
        (user,) = yield from self._users(batch.user_ids, batch.found, batch.flights)
        return user

    def batches(self, user_ids: Iterable[str], malformed: Malformed = "raise") -> Iterator[Batch]:
        """The ids in batches for `users`, whose loads begin ahead of them."""
        return self._batches(user_ids, on_malformed(malformed))

    def _batches(self, user_ids: Iterable[str], on_malformed: OnMalformed) -> Iterator[Batch]:
        if isinstance(user_ids, (str, bytes)):
            raise TypeError("user_ids is an iterable of ids, not one id")
        return batches(iter(user_ids), self.leases.capacity, partial(self._read, on_malformed))

    def users(self, batch: Batch) -> Steps[list[UserConsent]]:
        """Users in order: a batch of `batches`."""
        self._writes.take_up()
        flights = [flight for flight in batch.flights if not flight.failed]  # since then the store may be there again
        return (yield from self._users(batch.user_ids, batch.found, flights))

    def mask(
        self, user_ids: Iterable[str], ask: Ask, malformed: Malformed = "raise", *, partly: bool = False
    ) -> Steps[bytearray]:
        """For each id in order 1 if it may, 0 if not, and, only if *partly*, `masks.UNKNOWN` if nothing is known."""
        left_out: list[int] = []
        then = on_malformed(malformed)

        def leave_out(place: int, error: TypeError | ValueError) -> None:
            then(place, error)
            left_out.append(place)

        with self.leases.watching_writes() as written:
            mask = Mask(ask, self._count_no)
            for batch in self._batches(user_ids, leave_out):
                users = yield from self.users(batch)
                is_whole = mask.add(users, *self.leases.feed())
                if not (is_whole or partly) and any(_is_unavailable(user, written) for user in users):
                    self._check_open()
                    raise StoreUnavailable(AWAY)
            confirming = Confirming(mask, written, self._exchanges, self._clock, self._within_deadline)
            try:
                yield from confirming.confirmed(partly=partly)
            except StoreUnavailable:
                self._check_open()
                if not partly:
                    raise
                mask.forget()
            self._check_open()
            for place in left_out:
                mask.answers.insert(place, NO)
            return mask.answers

    def record(
        self, user_id: str, events: tuple[Event, ...], expected_version: int | None, idempotency_key: str | None
    ) -> Steps[Appended]:
        """Append, with the user denied until the store's answer is definite: rule 8."""
        user_id = identifier(user_id)
        self._check_open()
        key = uuid.uuid4().hex if idempotency_key is None else identifier(idempotency_key)
        until = self._until()
        pending = self._writes.begin(user_id, events, expected_version, key)
        try:
            appended: Appended = yield Wait(pending.outcome, until)
        except Late:
            raise OutcomeUnknown(UNKNOWN, key) from None
        return appended

    def load(self, user_id: str) -> Steps[Loaded]:
        """One record, fresh from the store; what it shows of the history is not lost on the leases."""
        user_id = identifier(user_id)
        self._check_open()
        loaded: Loaded | None = None
        until = self._until()
        for _ in range(ROUNDS):  # what lies behind is no more for whoever asks for a record than for a guard
            loaded, _users = yield from self._ask(self._exchanges.load([user_id]), until)
            if loaded is not None:
                break
        else:
            raise StoreUnavailable(LAGS)
        if [record.user_id for record in loaded.records] != [user_id]:
            raise StoreUnusable("the store answered with the record of another user")
        return loaded

    def explain(self, user_id: str, ask: Ask) -> Steps[Explanation]:
        """A fresh decision with its evidence."""
        check_ask(ask)
        loaded = yield from self.load(user_id)
        return explain(loaded.records[0], ask, loaded.at)

    def history(self, user_id: str) -> Steps[list[LedgerEntry]]:
        """The user's entries, oldest first."""
        user_id = identifier(user_id)
        self._check_open()
        history: list[LedgerEntry] = yield from self._ask(self._call(Call("history", (user_id,))), self._until())
        return history

    def due(self) -> Steps[Due]:
        """The work list, page by page."""
        self._check_open()
        records: list[ConsentRecord] = []
        after: str | None = None
        while True:
            call = self._call(Call("open_requests", (after,)))
            page: OpenRequests = yield from self._ask(call, self._until())
            records += page.records
            after = page.after
            if after is None:
                return due(records, page.at)

    def close(self) -> Steps[None]:
        """Deny from now on; give writes of unknown outcome one deadline to become definite."""
        self.leases.close()
        yield from self._writes.close(self._until())

    def _users(
        self, user_ids: list[str], found: dict[str, UserConsent], flights: list[Flight]
    ) -> Steps[list[UserConsent]]:
        until = self._until()
        left_out: set[str] = set()
        for rounds_left in reversed(range(ROUNDS + (not flights))):  # with none, the first round only looks
            try:
                for flight in flights:
                    yield from self._landing(flight, until, is_patient=len(user_ids) > 1)
            except Late:
                until = 0.0
            for flight in flights:
                found |= flight.users  # of one that goes on in parts, those it has
                left_out |= flight.left_out
            missing = [user_id for user_id in user_ids if user_id not in found or not found[user_id].is_live()]
            has_failed = bool(flights) and all(flight.failed for flight in flights)
            again = [user_id for user_id in missing if user_id not in left_out]
            if not again or has_failed or not rounds_left or self.leases.closed:
                break
            flights = self._flights.book(again)
        unavailable = {user_id: self.leases.unavailable(user_id) for user_id in missing}
        return [unavailable[user_id] if user_id in unavailable else found[user_id] for user_id in user_ids]

    def _landing(self, flight: Flight, until: float, *, is_patient: bool) -> Steps[None]:
        """Wait for a flight; who asked for many waits on as long as one that goes on in parts gets further."""
        patience = PATIENCE * self._deadline if is_patient and until else 0.0
        while True:
            parts = flight.parts
            try:
                yield Wait(flight.landed, until + patience)
            except Late:
                if not patience or flight.parts == parts:
                    raise
                until = self._until()
            else:
                return

    def _read(self, on_malformed: OnMalformed, first: int, given: list[str]) -> tuple[Batch, Exception | None]:
        """A batch of these: who is not in memory is on the way. Each is counted as found or missed."""
        get = self.leases.get
        batch = Batch()
        missing: list[str] = []
        failure: Exception | None = None
        for place, user_id in enumerate(given, first):
            user = get(user_id) if type(user_id) is str else None
            if user is not None and user.is_live():
                batch.found[user_id] = user
                batch.user_ids.append(user_id)
                continue
            try:
                missing.append(identifier(user_id))
            except (TypeError, ValueError) as error:
                failure = _failure(on_malformed, place, error)
                if failure is not None:
                    break
            else:
                batch.user_ids.append(missing[-1])
        self.leases.counts.misses += len(missing)
        self.leases.counts.found += len(batch.user_ids) - len(missing)
        if missing and not self.leases.closed:
            batch.flights.extend(self._flights.book(missing))
        return batch, failure

    def _user_with(self, user_id: str, token: Cursor, until: float) -> Steps[UserConsent]:
        """
        A user with a write of another process. What the feed has not shown is loaded anew, and the token seen to be of
        the store's history only then: in any other order a restore in between would go unnoticed.
        """
        user = self.leases.get(user_id)
        if user is not None and user.is_live() and self.leases.has_shown(token, user):
            self.leases.counts.found += 1
            return user
        self.leases.counts.misses += 1
        if self.leases.closed:
            return self.leases.unavailable(user_id)
        try:
            for _ in range(ROUNDS):
                user = (yield from self._ask(self._exchanges.load([user_id]), until))[1].get(user_id)
                if user is not None:
                    break
            is_proven = yield from self._ask(self._exchanges.prove(token), until)
        except Exception as error:  # noqa: BLE001 - a guard never raises for what the world does
            self._landed(error)
            is_proven = False
        else:
            self._landed(None)
        if user is None or not is_proven or user.position < token.position:
            return self.leases.unavailable(user_id)
        return user

    def _count_no(self, decision: Decision) -> None:
        self.leases.counts.by_decision[decision].denied += 1

    def _within_deadline(self, steps: Steps[Any]) -> Steps[Any]:
        return self._ask(steps, self._until())

    def _call(self, call: Call) -> Steps[Any]:
        return (yield call)

    def _ask(self, steps: Steps[Any], until: float) -> Steps[Any]:
        """Run *steps*, a few at once, and wait for them."""
        try:
            return (yield Wait(self._spawn(self._limited(steps, until)), until))
        except Late:
            raise StoreUnavailable(self._too_late) from None
        except Lost as error:
            raise StoreUnavailable(NOT_BEGUN) from error

    def _limited(self, steps: Steps[Any], until: float) -> Steps[Any]:
        """*steps* once there is a permit: in spawned steps, so that what interrupts the caller loses none."""
        permit = self._limiter.acquire()
        try:
            yield Wait(permit, until)
            return (yield from steps)
        finally:
            self._limiter.release(permit)

    def status(self) -> Status:
        """One look at the client."""
        leases, counts = self.leases, self.leases.counts
        feed, since = (Feed.OFF, None) if leases.closed else self._feed
        return Status(
            ready=not leases.closed and self._is_reachable is True,
            last_error=self._last_error,
            feed=feed,
            feed_since=since,
            position=leases.applied.position if leases.applied else None,
            age_seconds=leases.age(self._clock()),
            users=len(leases),
            hits=counts.hits,
            misses=counts.misses,
            denials=counts.denials,
        )

    def _until(self) -> float:
        return time.monotonic() + self._deadline

    def _check_open(self) -> None:
        self._writes.take_up()
        if self.leases.closed:
            raise ClientClosed("the client is closed: make a new one")

    def _landed(self, failure: BaseException | None) -> None:
        """After each exchange: a log line when the store goes out of reach or comes back; the follower's start."""
        if self.leases.closed:
            return
        cause = None if failure is None else cause_of(failure)
        with self._lock:
            was_reachable, self._is_reachable = self._is_reachable, failure is None
            self._last_error = cause
        if self._is_following and self._follower is None:
            self._begin_following()
        if failure is not None and was_reachable is not False:
            log.warning("store.unreachable", error=type(failure).__name__, cause=cause)
        elif failure is None and was_reachable is False:
            log.info("store.reachable")

    def _begin_following(self) -> None:
        token = object()
        self._spawn(self._follow(token)).add_done_callback(partial(self._unfollowed, token))

    def _follow(self, token: object) -> Steps[None]:
        """Follow the feed, unless others do that were begun at the same time."""
        with self._lock:
            if self._follower is not None:
                return
            self._follower = token
        yield from follow(self._exchanges, max_staleness=self._max_staleness, on_poll=self._polled)

    def _unfollowed(self, token: object, _: Promise[None]) -> None:
        """The follower ended, by a close or by what no steps catch: then the next exchange starts another."""
        if self._follower is token:
            self._follower = None
            if not self.leases.closed:
                self._feed = (Feed.DOWN, datetime.now(UTC))

    def _polled(self, failure: BaseException | None) -> None:
        """After each poll: what `status` says of the feed."""
        feed = Feed.UP if failure is None else Feed.DOWN
        if feed is not self._feed[0]:
            self._feed = (feed, datetime.now(UTC))
        self._landed(failure)


def _failure(on_malformed: OnMalformed, place: int, error: TypeError | ValueError) -> Exception | None:
    """Why a batch ends at a malformed id; None: the id is left out."""
    try:
        on_malformed(place, error)
    except Exception as failure:  # noqa: BLE001 - raised once what stands before the place was handed out
        return failure
    return None


def _is_unavailable(user: UserConsent, written: set[str]) -> bool:
    """Whether nothing could be known of a user, for another reason than a write of this process."""
    return user.answers() is ALL_UNAVAILABLE and user.user_id not in written
