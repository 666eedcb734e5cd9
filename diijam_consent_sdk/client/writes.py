"""
Writes of this process: each is repeated with its idempotency key until the outcome is definite (protocol.md, rule 8).

Until then the user is denied, since a guard must not say yes on what an unknown write may have withdrawn.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from functools import partial

from .._logging import log
from .._threads import Promise
from ..cache.bounded import remember
from ..cache.leases import Leases
from ..errors import InvalidEvent, OutcomeUnknown, StoreUnavailable
from ..events import takes_away
from ..stores._retry import backoff
from ..stores.answers import Appended
from .effects import Append, Effects, Sleep, Spawn, perform, wait
from .limiter import NOT_BEGUN
from .write_order import PendingWrite, is_said_after, noes_to_repeat, waits_for
from .write_outcomes import REFUSALS, end_after, may_pass

MAX_BACKOFF_SECONDS = 5.0
MAX_IN_DOUBT = 1_000  # users with yeses that ended in doubt; the oldest are forgotten
MAX_KEYS = 16  # of one such user
UNKNOWN = "the store has not said whether it wrote this: the user is denied until it does; see .idempotency_key"


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
        self._pending: dict[PendingWrite, None] = {}  # a set that keeps its order
        self._in_doubt: dict[str, tuple[str, ...]] = {}  # by user: keys of yeses that ended and may still be written
        self._numbers = itertools.count(1)
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
        pending = PendingWrite(append, takes_away(append.events), number=next(self._numbers))
        self._leases.check_writes(takes_away=pending.takes_away)  # before a thread is started for it
        self._start(pending)
        return pending

    def leave(self, pending: PendingWrite) -> None:
        """
        Take over a write whose caller stops waiting. Its user is denied at once, even before the effects run, and a no
        is repeated until it is written, however long the store is out of reach.
        """
        with self._lock:
            pending.is_left = True
            self.deny(pending)

    def deny(self, pending: PendingWrite) -> None:
        """Deny the user of a write, unless that is done. If there is no room for the write, it ends here."""
        with self._lock:
            if not pending.is_denied and not pending.outcome.done():
                try:
                    self._leases.begin_write(pending.write)
                except StoreUnavailable as error:
                    pending.outcome.set_exception(error)
                else:
                    self._pending[pending] = None
                    pending.is_denied = True  # last: what was interrupted before is done again by the effects

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
        if not pending.is_denied:
            return
        while not self._settle(pending, (yield from self._repeat(pending))):
            pass

    def _settle(self, pending: PendingWrite, outcome: Appended | Exception) -> bool:
        """End a write, or the step of it that is written now. Return whether nothing of it is left to write."""
        with self._lock:  # `leave` takes it too
            self._note(pending, outcome)
            if self._goes_on(pending, outcome):
                return False
            if not (isinstance(outcome, OutcomeUnknown) and self._is_stopped):
                self._leases.finish_write(pending.write, pending.written, self._clock())
            self._pending.pop(pending, None)
            if pending.is_in_doubt and pending.said_yes():
                keys = (*self._in_doubt.get(pending.user_id, ()), pending.said.idempotency_key)
                remember(self._in_doubt, pending.user_id, keys[-MAX_KEYS:], MAX_IN_DOUBT)
            end = pending.end or outcome
            if isinstance(end, Appended):
                pending.outcome.set_result(end)
            else:
                pending.outcome.set_exception(end)
            return True

    def _note(self, pending: PendingWrite, outcome: Appended | Exception) -> None:
        """Tell other writes of the user where this one stands, or that the ledger refused it."""
        if isinstance(outcome, Appended) and noes_to_repeat(pending.append):
            for key in self._in_doubt.pop(pending.user_id, ()):
                pending.note_earlier(key, None)
        if isinstance(outcome, (Appended, InvalidEvent)):
            cursor = outcome.cursor if isinstance(outcome, Appended) else None
            for other in self._pending:
                if is_said_after(pending, other):
                    other.note_later(pending.append, cursor)
                elif cursor is not None and pending.end is None and is_said_after(other, pending):
                    other.note_earlier(pending.append.idempotency_key, cursor)

    def _goes_on(self, pending: PendingWrite, outcome: Appended | Exception) -> bool:
        """Whether a write is repeated, or something else is written after it, so that no no is lost."""
        if isinstance(outcome, Appended):
            pending.note_written(outcome)
        elif (pending.is_unknown or isinstance(outcome, OutcomeUnknown)) and pending.is_overtaken():
            pending.give_way()
        elif may_pass(outcome) and self._is_seen_through(pending):
            pending.is_unknown = True
            return True
        return pending.go_on()

    def _is_seen_through(self, pending: PendingWrite) -> bool:
        """Whether nobody but this client would write it again, and a no may be lost."""
        return pending.is_left and (pending.has_no() or pending.end is not None) and not self._is_stopped

    def _wait_for_turn(self, pending: PendingWrite, attempt: int) -> Effects[bool]:
        """
        Let noes of the same user be written first, as `waits_for` chooses them. Return whether to send the write after
        that: not if a later no overtook it, or if the client was closed meanwhile.
        """
        for waits in itertools.count():
            now = self._clock()
            with self._lock:
                is_behind = any(waits_for(pending, other, now) for other in self._pending)
            if self._is_stopped and (is_behind or attempt):
                return False
            if not is_behind:
                return not pending.is_overtaken()
            yield Sleep(backoff(waits, longest=MAX_BACKOFF_SECONDS))
        raise AssertionError

    def _repeat(self, pending: PendingWrite) -> Effects[Appended | Exception]:
        """
        Repeat the append until the outcome is definite, and return it.

        It is `OutcomeUnknown` once the client is closed, and for an append that only gives permission once the token
        may not repeat it: the next guard then loads the user, which shows what became of it.
        """
        if (wait_for := pending.not_before - self._clock()) > 0:  # an event loop ended during the pause
            yield Sleep(wait_for)
        for attempt in itertools.count():
            if not (yield from self._wait_for_turn(pending, attempt)):
                return OutcomeUnknown(UNKNOWN, pending.said.idempotency_key)
            was_unknown, pending.is_unknown = pending.is_unknown, True  # first: the effects may end inside the call
            pending.is_in_doubt |= was_unknown
            failure: Exception | None = None
            try:
                appended = yield from perform(pending.append)
            except Exception as error:  # noqa: BLE001 - whatever it was, the append may have been written
                end = end_after(error, pending, was_unknown=was_unknown)
                if end is not None:
                    pending.is_unknown = was_unknown
                    return end
                failure = error
            else:
                # Without a record, the store has compared the answer's user id.
                if appended.record is None or appended.record.user_id == pending.user_id:
                    return appended
                log.error("write.answer_of_another_user")
            pause = self._pause_after(failure, attempt)
            if isinstance(failure, REFUSALS):
                pending.not_before = self._clock() + pause
            yield Sleep(pause)
        raise AssertionError

    def _pause_after(self, error: Exception | None, attempt: int) -> float:
        """Choose the seconds until the next try: B while the write is refused, since only people can change that."""
        if self._is_stopped:  # no other try comes
            return 0.0
        return self._max_staleness if isinstance(error, REFUSALS) else backoff(attempt, longest=MAX_BACKOFF_SECONDS)

    def _on_end(self, pending: PendingWrite, worker: object, ended: Promise[None]) -> None:
        """Leave the write to `resume` if its effects ended without an outcome, or fail it if they never began."""
        if pending.outcome.done() or ended.exception() is None:
            return
        with self._lock:
            if pending.worker is worker:
                pending.worker = None
            if not pending.is_denied and pending.worker is None:  # in the lock, or its caller denies the user for ever
                self._leases.finish_write(pending.write, None, self._clock())  # an interrupted `deny` may have begun it
                self._pending.pop(pending, None)
                error = StoreUnavailable(NOT_BEGUN)
                error.__cause__ = ended.exception()
                pending.outcome.set_exception(error)
