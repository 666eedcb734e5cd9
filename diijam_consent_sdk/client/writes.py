"""The writes of this process: each is repeated with its key until its outcome is definite (protocol.md, rule 8)."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from functools import partial

import attrs

from .._logging import log
from .._threads import Promise
from ..cache.leases import Leases, Write
from ..errors import OutcomeUnknown, StoreUnavailable, StoreUnusable, VersionConflict
from ..events import Event, is_no
from ..stores.protocol import Appended
from .effects import Call, Sleep, Spawn, Steps, Wait

MAX_BACKOFF_SECONDS = 5.0
NOT_BEGUN = "there is no thread or event loop for the call, it was not sent: try again"
UNKNOWN = "the store has not said whether it wrote this: the user is denied until it does; see .idempotency_key"


@attrs.define(eq=False)
class PendingWrite:
    """An append until its outcome is definite."""

    user_id: str = attrs.field(repr=False)
    call: Call = attrs.field(repr=False)
    key: str = attrs.field(repr=False)
    takes_away: bool
    outcome: Promise[Appended] = attrs.field(factory=Promise)
    write: Write | None = None  # once its user is denied
    is_unknown: bool = False  # it may have been written
    turn: object = None  # of the steps that are at work on it; None: nobody is


class Writes:
    """
    All writes of one client that are under way or of unknown outcome. Safe to use from several threads.

    All that is noted of a write is noted in spawned steps: what interrupts the caller cannot come between a denial and
    its end. Steps that end without an outcome (their event loop did) leave the write to `take_up`.

    Args:
        leases: Where users are denied meanwhile.

        clock: The lease clock, in seconds.

        spawn: Runs steps beside everything else.
    """

    def __init__(self, leases: Leases, clock: Callable[[], float], spawn: Spawn) -> None:
        self._leases = leases
        self._clock = clock
        self._spawn = spawn
        self._lock = threading.Lock()
        self._pending: set[PendingWrite] = set()
        self._is_stopped = False

    def __len__(self) -> int:
        """How many there are."""
        return len(self._pending)

    def begin(self, user_id: str, events: tuple[Event, ...], expected_version: int | None, key: str) -> PendingWrite:
        """
        Begin to write.

        Raises:
            StoreUnavailable: as many writes of its kind as may be are under way or of unknown outcome.
        """
        takes_away = all(is_no(event) for event in events)
        self._leases.check_writes(takes_away=takes_away)  # before there is a thread for it
        call = Call("append", (user_id, events), {"expected_version": expected_version, "idempotency_key": key})
        pending = PendingWrite(user_id, call, key, takes_away)
        self._go_on(pending)
        return pending

    def take_up(self) -> None:
        """Go on with the writes that nobody is at work on any more."""
        if self._pending and not self._is_stopped:
            for pending in list(self._pending):
                if pending.turn is None:
                    self._go_on(pending)

    def close(self, until: float) -> Steps[None]:
        """Wait until then for every outcome; what is still unknown is given up."""
        try:
            self.take_up()
            for pending in list(self._pending):
                try:
                    yield Wait(pending.outcome, until)
                except Exception as error:  # noqa: BLE001 - whoever called `record` was told, or is told by this line
                    log.warning("client.closed_with_unknown_write", error=type(error).__name__)
        finally:
            self._is_stopped = True

    def _go_on(self, pending: PendingWrite) -> None:
        turn = object()
        self._spawn(self._work(pending, turn)).add_done_callback(partial(self._left, pending, turn))

    def _work(self, pending: PendingWrite, turn: object) -> Steps[None]:
        with self._lock:
            if pending.turn is not None or pending.outcome.done():
                return
            pending.turn = turn
        if pending.write is None:
            try:
                pending.write = self._leases.begin_write(pending.user_id, takes_away=pending.takes_away)
            except StoreUnavailable as error:
                pending.outcome.set_exception(error)
                return
            self._pending.add(pending)
        outcome = yield from self._repeated(pending)
        if isinstance(outcome, Appended):
            self._leases.finish_write(pending.write, outcome.cursor, self._clock())
            self._pending.discard(pending)
            pending.outcome.set_result(outcome)
        else:
            if not isinstance(outcome, OutcomeUnknown):
                self._leases.finish_write(pending.write, None, self._clock())
            self._pending.discard(pending)
            pending.outcome.set_exception(outcome)

    def _repeated(self, pending: PendingWrite) -> Steps[Appended | Exception]:
        """The definite outcome; if the client was closed meanwhile, that there is none."""
        for attempt in itertools.count():
            was_unknown, pending.is_unknown = pending.is_unknown, True  # also if this ends here
            try:
                appended: Appended = yield pending.call
            except (ValueError, TypeError, VersionConflict) as refused:
                return refused
            except (StoreUnavailable, StoreUnusable) as failed:
                if not was_unknown:
                    return failed
            except Exception as error:  # noqa: BLE001 - whatever it was, the append may have been written
                if not was_unknown:
                    log.warning("write.outcome_unknown", error=type(error).__name__)
            else:
                if appended.record.user_id == pending.user_id:
                    return appended
                log.error("write.answer_of_another_user")
            if self._is_stopped:
                return OutcomeUnknown(UNKNOWN, pending.key)
            yield Sleep(random.uniform(0, min(MAX_BACKOFF_SECONDS, 0.05 * 2 ** min(attempt, 10))))  # noqa: S311
        raise AssertionError

    def _left(self, pending: PendingWrite, turn: object, worked: Promise[None]) -> None:
        """Some steps are over. Without an outcome, others go on with the write; if it never began, it is over too."""
        if pending.outcome.done() or worked.exception() is None:
            return
        with self._lock:
            if pending.turn is turn:
                pending.turn = None
            never_began = pending.write is None and pending.turn is None
        if never_began:
            error = StoreUnavailable(NOT_BEGUN)
            error.__cause__ = worked.exception()
            pending.outcome.set_exception(error)
