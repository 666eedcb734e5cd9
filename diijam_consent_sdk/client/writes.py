"""
Writes of this process: each is repeated with its idempotency key until the outcome is definite (protocol.md, rule 8).

Until then the user is denied, since a guard must not say yes on what an unknown write may have withdrawn.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from functools import partial
from math import inf

import attrs

from .._logging import log
from .._threads import Promise
from ..cache.leases import Leases
from ..cache.pending_writes import Write
from ..errors import NotEntitled, OutcomeUnknown, StoreUnavailable, StoreUnusable, VersionConflict
from ..events import is_no, takes_away
from ..status import cause_of
from ..stores._retry import backoff
from ..stores.answers import Appended
from .effects import Append, Effects, Sleep, Spawn, perform, wait
from .limiter import NOT_BEGUN

MAX_BACKOFF_SECONDS = 5.0
NOTHING_WRITTEN = (NotEntitled, StoreUnavailable, StoreUnusable)  # by this try
GIVEN_UP = (
    "the service's token may not write this any more, and whether it was written before is not known: load the user to"
    " see; repeat it with a token that may; see .idempotency_key"
)
UNKNOWN = "the store has not said whether it wrote this: the user is denied until it does; see .idempotency_key"


@attrs.define(eq=False)
class PendingWrite:
    """An append whose outcome is not definite yet."""

    append: Append = attrs.field(repr=False)
    takes_away: bool
    outcome: Promise[Appended] = attrs.field(factory=Promise)
    write: Write | None = None  # once its user is denied
    is_unknown: bool = False  # it may have been written
    not_before: float = -inf  # of the lease clock: when it may be sent again
    worker: object = None  # identifies the effects that work on it; None: none do

    @property
    def user_id(self) -> str:
        """The user it is about."""
        return self.append.user_id


class Writes:
    """
    All writes of one client that are under way or of unknown outcome. Safe to use from several threads.

    A write runs in the background, so an interrupted caller cannot leave its user denied for ever. If its event loop
    ends before the outcome is definite, `resume` continues it on another.

    Args:
        leases: Where users are denied meanwhile.

        clock: The lease clock, in seconds.

        spawn: Runs effects in the background.

        max_staleness: Seconds between two tries of a no that the service's token may not write.
    """

    def __init__(self, leases: Leases, clock: Callable[[], float], spawn: Spawn, max_staleness: float) -> None:
        self._leases = leases
        self._max_staleness = max_staleness
        self._clock = clock
        self._spawn = spawn
        self._lock = threading.RLock()  # a signal handler may write while its thread is denying
        self._pending: set[PendingWrite] = set()
        self._is_stopped = False

    def __len__(self) -> int:
        """How many there are."""
        return len(self._pending)

    def begin(self, append: Append) -> PendingWrite:
        """
        Begin to write.

        Raises:
            StoreUnavailable: too many writes of this kind are under way or of unknown outcome.
        """
        pending = PendingWrite(append, takes_away(append.events))
        self._leases.check_writes(takes_away=pending.takes_away)  # before a thread is started for it
        self._start(pending)
        return pending

    def deny(self, pending: PendingWrite) -> None:
        """
        Deny the user of a write, unless that is done. Its caller does so too before it leaves early: the effects may
        not have run yet. If there is no room for the write, it ends here.
        """
        with self._lock:
            if pending.write is None and not pending.outcome.done():
                try:
                    pending.write = self._leases.begin_write(pending.user_id, takes_away=pending.takes_away)
                except StoreUnavailable as error:
                    pending.outcome.set_exception(error)
                else:
                    self._pending.add(pending)

    def resume(self) -> None:
        """Continue the writes whose effects ended without an outcome."""
        if self._pending and not self._is_stopped:
            for pending in list(self._pending):
                if pending.worker is None:
                    self._start(pending)

    def close(self, until: float) -> Effects[None]:
        """Wait until then for every outcome, and give up what is still unknown."""
        try:
            self.resume()
            for pending in list(self._pending):
                try:
                    yield from wait(pending.outcome, until)
                except Exception as error:  # noqa: BLE001 - the caller of `record` got it, or this line is all there is
                    log.warning("client.closed_with_unknown_write", error=type(error).__name__)
        finally:
            self._is_stopped = True

    def _start(self, pending: PendingWrite) -> None:
        worker = object()
        self._spawn(self._work(pending, worker)).add_done_callback(partial(self._on_end, pending, worker))

    def _work(self, pending: PendingWrite, worker: object) -> Effects[None]:
        with self._lock:
            if pending.worker is not None or pending.outcome.done():
                return
            pending.worker = worker
        self.deny(pending)
        if pending.write is None:
            return
        outcome = yield from self._repeat(pending)
        if isinstance(outcome, Appended):
            self._leases.finish_write(pending.write, outcome.cursor, self._clock())
            self._pending.discard(pending)
            pending.outcome.set_result(outcome)
        else:
            if not (isinstance(outcome, OutcomeUnknown) and self._is_stopped):
                self._leases.finish_write(pending.write, None, self._clock())
            self._pending.discard(pending)
            pending.outcome.set_exception(outcome)

    def _repeat(self, pending: PendingWrite) -> Effects[Appended | Exception]:
        """
        Repeat the append until the outcome is definite, and give it: `OutcomeUnknown` once the client is closed, or if
        the token may not repeat what only gives permission: then the user is fetched, whatever became of it.
        """
        if (wait_for := pending.not_before - self._clock()) > 0:  # an event loop ended during the pause
            yield Sleep(wait_for)
        for attempt in itertools.count():
            was_unknown, pending.is_unknown = pending.is_unknown, True  # first: the effects may end inside the call
            failure: Exception | None = None
            try:
                appended = yield from perform(pending.append)
            except (ValueError, TypeError, VersionConflict) as refused:
                return refused
            except Exception as error:  # noqa: BLE001 - whatever it was, the append may have been written
                end = _end_after(error, pending, was_unknown=was_unknown)
                if end is not None:
                    return end
                failure = error
            else:
                # Without a record, the store has compared the answer's user id.
                if appended.record is None or appended.record.user_id == pending.user_id:
                    return appended
                log.error("write.answer_of_another_user")
            if self._is_stopped:
                return OutcomeUnknown(UNKNOWN, pending.append.idempotency_key)
            pause = self._pause_after(failure, attempt)
            if isinstance(failure, NotEntitled):
                pending.not_before = self._clock() + pause
            yield Sleep(pause)
        raise AssertionError

    def _pause_after(self, error: Exception | None, attempt: int) -> float:
        """Choose the seconds until the next try: B while the token is refused, since only people can change that."""
        return self._max_staleness if isinstance(error, NotEntitled) else backoff(attempt, longest=MAX_BACKOFF_SECONDS)

    def _on_end(self, pending: PendingWrite, worker: object, ended: Promise[None]) -> None:
        """Leave the write to `resume` if its effects ended without an outcome, or fail it if they never began."""
        if pending.outcome.done() or ended.exception() is None:
            return
        with self._lock:
            if pending.worker is worker:
                pending.worker = None
            if pending.write is None and pending.worker is None:  # in the lock, or its caller denies the user for ever
                error = StoreUnavailable(NOT_BEGUN)
                error.__cause__ = ended.exception()
                pending.outcome.set_exception(error)


def _end_after(error: Exception, pending: PendingWrite, *, was_unknown: bool) -> Exception | None:
    """
    Choose what ends a write after a failed try; None: it is repeated.

    A refusal for the token is definite only if nothing was sent before. Later, only a no is worth repeating: nobody is
    allowed by a yes that may not have been written.
    """
    if not was_unknown:
        if isinstance(error, NOTHING_WRITTEN):
            return error
        log.warning("write.outcome_unknown", error=type(error).__name__)
    elif isinstance(error, NotEntitled) and not any(map(is_no, pending.append.events)):
        log.warning("write.given_up", cause=cause_of(error))
        return OutcomeUnknown(GIVEN_UP, pending.append.idempotency_key)
    return None
