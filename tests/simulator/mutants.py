"""Each rule of protocol.md switched off, one at a time: what the simulator has to notice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs
from cachetools import Cache
from msgspec.structs import replace

from diijam_consent_sdk._threads import Promise, WaitTimeout
from diijam_consent_sdk.cache.compiled import ALL_STALE, ALL_UNAVAILABLE, AnswerPool, Answers, Compiled
from diijam_consent_sdk.cache.entries import UserCache
from diijam_consent_sdk.cache.fast_path import FastPath
from diijam_consent_sdk.cache.history import History
from diijam_consent_sdk.cache.in_flight import Fetch, Fetches, Poll
from diijam_consent_sdk.cache.installs import CLOCK_RATE
from diijam_consent_sdk.cache.leases import Leases
from diijam_consent_sdk.cache.pending_writes import MinimumPositions, PendingWrites, Write
from diijam_consent_sdk.cache.user import UserConsent
from diijam_consent_sdk.client.effects import Append, Effects, perform, wait
from diijam_consent_sdk.client.exchanges import Exchanges
from diijam_consent_sdk.client.limiter import LimitedCalls
from diijam_consent_sdk.client.lookups import PATIENCE, Lookups
from diijam_consent_sdk.client.single_flight import SharedLoad, SingleFlight
from diijam_consent_sdk.client.write_order import PendingWrite
from diijam_consent_sdk.client.write_outcomes import end_after
from diijam_consent_sdk.client.writes import Writes
from diijam_consent_sdk.errors import NotEntitled, StoreUnavailable
from diijam_consent_sdk.standing import View
from diijam_consent_sdk.stores.protocol import Appended, Changes, Cursor, Standings
from tests.simulator.ledger import Ledger, Poller

_fetched, _polled, _kept_out, _written = (
    Leases.finish_fetch,
    Leases.finish_poll,
    Leases._kept_out,
    Leases.finish_write,
)
_restart, _until, _wait_for = Leases._restart, LimitedCalls.until, Lookups._wait_for
_pause_after = Writes._pause_after
_compile, _begin_view = AnswerPool.compile, Leases._begin_view


def lease_from_arrival(self: Leases, fetch: Fetch, answer: Standings | None, now: float) -> dict[str, UserConsent]:
    fetch.sent_at, fetch.own_until = now, now + self.length
    return _fetched(self, fetch, answer, now)


def no_waiting_for_sent(self: Leases, poll: Poll, changes: Changes, now: float) -> None:
    _polled(self, attrs.evolve(poll, sent_at=poll.sent_at + self.length), changes, now + self.length)


def renew_incomplete(self: Leases, poll: Poll, changes: Changes, now: float) -> None:
    _polled(self, poll, attrs.evolve(changes, complete=True), now)


def renew_never(self: Leases, poll: Poll, changes: Changes, now: float) -> None:
    _polled(self, poll, attrs.evolve(changes, complete=False), now)


def publish_before_dropping(self: Leases, poll: Poll, changes: Changes, now: float) -> None:
    if poll.generation is self._history.generation and changes.complete and changes.after == poll.after:
        until = poll.sent_at + changes.waited * CLOCK_RATE + self.length
        self._history.generation.fresh_until = max(self._history.generation.fresh_until, until)
    _polled(self, poll, changes, now)


def note_nothing(self: Leases, user_id: str, position: int) -> None:
    user = self.users.get(user_id)
    if user is not None and user.position < position:
        self._drop(user_id)


def drop_nothing(self: Leases, user_id: str, position: int) -> None:
    self._fetches.note(user_id, position)


def remove_only(self: UserCache, user_id: str) -> None:
    Cache.__delitem__(self, user_id)


def install_anything(self: Leases, fetch: Fetch, position: int) -> set[str]:
    return {user_id for user_id in fetch.wanted if user_id in self._writes}


def no_floor(self: Leases, write: Write, cursor: Cursor | None, now: float) -> None:
    _written(self, write, None, now)


def leave_out_other_histories(self: Leases, write: Write, cursor: Cursor | None, now: float) -> None:
    """An acknowledgement of another history counts for nothing."""
    _written(self, write, cursor if cursor and self._history.continues_at(cursor) else None, now)


def forget_epochs(self: MinimumPositions, left: str, entered: str) -> None:
    self.clear()


def overtake_nothing(self: Fetches, user_id: str) -> None:
    """Loads from before a write compete with it by position alone."""


def install_during_writes(self: Leases, fetch: Fetch, position: int) -> set[str]:
    writes, self._writes = self._writes, PendingWrites()
    try:
        return _kept_out(self, fetch, position)
    finally:
        self._writes = writes


def install_late(self: Leases, fetch: Fetch, answer: Standings | None, now: float) -> dict[str, UserConsent]:
    fetch.own_until = fetch.sent_at + 3 * self.length
    return _fetched(self, fetch, answer, now)


def any_name(self: Leases, fetch: Fetch, answer: Standings | None, now: float) -> dict[str, UserConsent]:
    if answer is not None and len(answer.users) == len(fetch.user_ids):
        named = zip(fetch.user_ids, answer.users, strict=True)
        answer = attrs.evolve(answer, users=tuple(replace(row, user_id=u) for u, row in named))
    return _fetched(self, fetch, answer, now)


def forget_ends(self: AnswerPool, standing: bytes, view: View, at: datetime) -> Compiled:
    """Answers that were seen before never end."""
    was_seen = (standing, view) in self._compiled
    answers, ends_at = _compile(self, standing, view, at)
    return answers, None if was_seen else ends_at


def keep_other_views(self: Leases, view: View) -> None:
    self.view, self.is_view_doubted = view, False


def forget_writes_of_other_views(self: Leases, view: View) -> None:
    if view != self.view:
        self._writes = PendingWrites()
    _begin_view(self, view)


def renew_other_views(self: Leases, view: View) -> None:
    pass


def clock_after_the_look(self: Ledger, poller: Poller) -> bool:
    """The store measures how long it waited only when it answers, some time after it looked."""
    found = self.find(poller.after, poller.limit, poller.lag)
    if found.cursor == poller.after and self.loop.now < poller.until:
        return False
    late = self._reach / 25
    waited = (self.loop.now + late - poller.began) * self.clock_rate if found.is_continuation() else 0.0
    self.loop.after(late, lambda: poller.answer(attrs.evolve(found, waited=waited)))
    return True


def agree_always(self: History, head: Cursor) -> bool:
    self.latest_head = head
    return True


def continue_always(self: Changes) -> bool:
    return True


def never_behind(head: Cursor, seen_before: Cursor | None) -> bool:
    return False


def believe_at_once(self: Leases, fetch: Fetch, answer: Standings | None, now: float) -> dict[str, UserConsent]:
    users = _fetched(self, fetch, answer, now)
    if fetch.lies_behind is not None and answer is not None:
        fetch.lies_behind = None
        self._restart(answer.cursor, now)
        self._minimums.clear()
    return users


def keep_no_floor(self: MinimumPositions, until: float) -> None:
    self.clear()


def forget_passed_floors(self: MinimumPositions, position: int, now: float) -> None:
    above = {user_id: minimum for user_id, minimum in self._current.items() if minimum[0] > position}
    self._current.by_user = above


def keep_on_restart(self: Leases, head: Cursor, now: float, *, is_same_history: bool = False) -> None:
    users, fresh_until = dict(self.users), self._history.generation.fresh_until
    for user_id in users:
        Cache.__delitem__(self.users, user_id)
    _restart(self, head, now, is_same_history=is_same_history)
    self.users.update(users)
    for user in users.values():
        user._generation = self._history.generation
    self._history.generation.fresh_until = fresh_until


def any_after(self: Leases, poll: Poll, changes: Changes, now: float) -> None:
    _polled(self, poll, attrs.evolve(changes, after=poll.after), now)


def clock_first(self: UserConsent) -> Answers:
    now = self._generation.clock()
    fresh_until = self._generation.fresh_until
    answers = self._answers
    if (now < self._basis.own_until or now < fresh_until) and now < self._ends_at:
        return answers
    return ALL_UNAVAILABLE if self._answers is ALL_UNAVAILABLE else ALL_STALE


def entry_first(self: UserConsent) -> Answers:
    answers, ends_at = self._answers, self._ends_at
    fresh_until = self._generation.fresh_until
    now = self._generation.clock()
    return answers if (now < self._basis.own_until or now < fresh_until) and now < ends_at else ALL_STALE


def never_turn(self: UserConsent) -> Answers:
    fresh_until, answers = self._generation.fresh_until, self._answers
    now = self._generation.clock()
    return answers if now < self._basis.own_until or now < fresh_until else ALL_STALE


def never_end(self: UserConsent) -> Answers:
    return self._answers


def clock_first_in_one_step(self: Leases, user_id: str) -> Answers | None:
    now = self._clock()
    fresh_until = self.fast_path.fresh_until
    answers = self._fast_answers.get(user_id)
    return answers if answers is not None and now < fresh_until else self._own_answers(user_id)


def user_first_in_one_step(self: Leases, user_id: str) -> Answers | None:
    answers = self._fast_answers.get(user_id)
    fresh_until = self.fast_path.fresh_until
    return answers if answers is not None and self._clock() < fresh_until else self._own_answers(user_id)


def never_turn_in_one_step(self: FastPath, fresh_until: float) -> None:
    self.fresh_until = fresh_until


def remove_nobody(self: FastPath, user_id: str) -> bool:
    return user_id in self


def clear_nothing(self: FastPath) -> None:
    pass


def cover_anybody(self: Leases) -> None:
    while self._wanted_on_fast_path:
        user_id, user = self._wanted_on_fast_path.popitem()
        if self.users.get(user_id) is user:
            self.fast_path.add(user)


def cover_whoever_is_asked(self: Leases) -> None:
    while self._wanted_on_fast_path:
        user_id, user = self._wanted_on_fast_path.popitem()
        self.fast_path.answers[user_id] = user.compiled()[0]


def never_die(self: UserConsent, answers: Answers = ALL_STALE) -> None:
    pass


def no_denial_while_writing(self: Leases, write: Write) -> None:
    with self._lock:
        self._writes.add(write)


def unknown_is_refused(self: Writes, pending: PendingWrite) -> Effects[Appended | Exception]:
    try:
        appended = yield from perform(pending.append)
    except Exception as error:  # noqa: BLE001 - that is the mistake
        return error
    return appended


def refusal_is_definite(error: Exception, pending: PendingWrite, *, was_unknown: bool) -> Exception | None:
    if isinstance(error, NotEntitled):
        pending.is_left = was_unknown = False  # for a refusal, nobody else has to see it through either
    return end_after(error, pending, was_unknown=was_unknown)


def never_given_up(error: Exception, pending: PendingWrite, *, was_unknown: bool) -> Exception | None:
    return None if was_unknown else end_after(error, pending, was_unknown=False)


def pause_as_ever(self: Writes, error: Exception | None, attempt: int) -> float:
    return _pause_after(self, None, attempt)


def resume_nothing(self: Writes) -> None:
    pass


def lost_is_refused(self: Writes, pending: PendingWrite, worker: object, ended: Promise[None]) -> None:
    if not pending.outcome.done() and ended.exception() is not None and pending.write is not None:
        self._leases.finish_write(pending.write, None, self._clock())
        self._pending.pop(pending, None)
        pending.outcome.set_exception(StoreUnavailable("its event loop ended"))


def keep_what_was_inherited(self: Leases) -> None:
    pass


def note_no_later(self: PendingWrite, said: Append, written: Cursor | None) -> None:
    pass


def close_nothing(self: Leases) -> None:
    self.closed = True


def no_cap(self: SingleFlight) -> list[SharedLoad]:
    ready = list(self._queue)
    self._in_flight.update(dict.fromkeys(self._queue))
    self._queue.clear()
    return ready


def no_sharing(self: Leases, user_ids: Any, now: float) -> Fetch:
    wanted = tuple(user_ids)
    with self._lock:
        history = self._history
        fetch = Fetch(wanted, frozenset(wanted), now, now + self.length, history.generation, 0, history.latest_head)
        self._fetches.update((fetch, attrs.evolve(fetch)))
        return fetch


def wait_forever(self: LimitedCalls) -> float:
    return _until(self) + 40 * self.deadline


def wait_for_parts(self: Lookups, load: SharedLoad, until: float, *, is_patient: bool) -> Effects[None]:
    return _wait_for(self, load, until, is_patient=True)


def wait_from_the_look(self: Lookups, load: SharedLoad, until: float, *, is_patient: bool) -> Effects[None]:
    patience = PATIENCE * self._calls.deadline if is_patient and until else 0.0
    while True:
        ended_at = load.part_ended_at
        try:
            return (yield from wait(load.done, until + patience))
        except WaitTimeout:
            if not patience or load.part_ended_at == ended_at:
                raise
            until = self._calls.until()


def reachable_always(exchanges: Exchanges) -> Effects[bool]:
    yield from ()
    return True


def prove_anything(self: Leases, poll: Poll, changes: Changes, now: float, *, is_head: bool = False) -> bool:
    return True


def follow_nothing(*_: Any, **__: Any) -> Effects[None]:
    return
    yield


def one_poll_only(exchanges: Exchanges, on_poll: Any, stream: Any) -> Effects[None]:
    if exchanges.leases.applied is not None:
        try:
            yield from exchanges.poll(exchanges.leases.applied, exchanges.max_staleness / 4)
        except (StoreUnavailable, OSError):
            on_poll(None)
