"""
Leases: how a cached answer stays true. Rules are cited by their number in docs/protocol.md.

Pure: no I/O, no threads, no reading of clocks. Every time is an argument, in seconds of the client's lease clock.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import inf

import attrs

from ..errors import StoreUnavailable
from ..record import ConsentRecord
from ..stores.protocol import Changes, Cursor, Loaded
from .compiled import ALL_STALE, ALL_UNAVAILABLE, NO_ANSWERS, AnswerPool, Answers
from .counters import Counters
from .fast_path import FastPath
from .pending_writes import MinimumPositions
from .user import Generation, UserConsent

CLOCK_RATE = 0.999  # every lease ends this much early, for a lease clock that runs a little slow
MARGIN_SECONDS = 0.01
MAX_WRITES = 256  # under way or of unknown outcome; past that new writes are refused
MAX_WITHDRAWALS = 256  # of writes that only take away: apart, so that no other write locks out a no
MAX_CONFIRMED = 1_000  # cursors known to be of this history
MAX_UNCONFIRMED = 100  # heads of loads that are not proven yet; of more, the users just have their own leases


@attrs.define(eq=False)
class Fetch:
    """A load under way: what was known when it was sent (rules 1 and 4), and who changed meanwhile (rule 3)."""

    user_ids: tuple[str, ...] = attrs.field(repr=False)
    wanted: frozenset[str] = attrs.field(repr=False)
    sent_at: float
    own_until: float
    generation: Generation
    applied: int
    seen: Cursor | None
    changed: dict[str, int] = attrs.field(factory=dict, repr=False)
    lies_behind: Cursor | None = None  # the head that the answer lies behind, to be asked for

    def note(self, user_id: str, position: int) -> None:
        """Of this user nothing older than *position* will do."""
        if user_id in self.wanted:
            self.changed[user_id] = max(position, self.changed.get(user_id, 0))


@attrs.define(eq=False)
class Poll:
    """A poll of the change feed under way, and the newest head that was seen when it was sent."""

    after: Cursor
    sent_at: float
    generation: Generation
    seen: Cursor | None
    lies_behind: Cursor | None = None  # the head that the answer lies behind, to be asked for


@attrs.frozen(eq=False)
class Write:
    """An append under way, or of unknown outcome: its user is denied until it ends (rule 8)."""

    user_id: str = attrs.field(repr=False)
    generation: Generation
    takes_away: bool


class Leases:
    """
    What a client keeps of its users, and the only place that lets a lease begin. Writers share one lock, readers
    (`get`, `answers`, `live_user`, and the guards of a `UserConsent`) take none.

    Args:
        max_staleness: The bound B of the protocol, in seconds, at least 1.

        capacity: How many users are kept; one that nobody asked for lately makes room.

        clock: The lease clock that guards read. `Leases` itself never does.

        follow: Whether a change feed is going to be applied.
    """

    def __init__(self, *, max_staleness: float, capacity: int, clock: Callable[[], float], follow: bool) -> None:
        self.length = max_staleness * CLOCK_RATE - MARGIN_SECONDS
        self.capacity = capacity
        self.applied: Cursor | None = None
        self.closed = False
        self.abandoned = False  # closed by `abandon` alone
        self._follow = follow
        self._clock = clock
        self._lock = threading.RLock()  # a signal handler may close the client while its thread is closing it
        self.counts = Counters()
        self._pool = AnswerPool(self.counts.by_decision)
        self._generation = Generation(clock, self.counts)
        self.fast_path = FastPath()
        self._fast_answers = self.fast_path.answers
        self._entries: dict[str, UserConsent] = {}
        self._asked: dict[str, UserConsent] = {}  # by guards in one step, to be covered
        self._eviction_cursor: Iterator[UserConsent] = iter(())  # goes round the entries, to make room
        self._fetches: set[Fetch] = set()
        self._latest_head: Cursor | None = None  # the newest head in any answer of this history
        self._max_staleness = max_staleness
        self._minimums = MinimumPositions(max_staleness)
        self._writes: Counter[str] = Counter()
        self._writes_by_kind: Counter[bool] = Counter()  # whether they only take away
        self._watched: list[set[str]] = []  # by each mask under way: the users written since it began
        self._confirmed_heads: set[Cursor] = set()
        self._unconfirmed: dict[Cursor, Generation] = {}  # by head of a load that the feed has not shown
        self.get = self._entries.get

    def answers(self, user_id: str) -> Answers | None:
        """
        Look up what a user answers now, for guards by id: on the fast path, then under the user's own lease. None:
        fetch the user. Takes no lock: a guard waits for nobody, and a signal handler may interrupt it anywhere.
        """
        # protocol.md, rule 7: the shared state first, then what is kept of the user, the clock last.
        fresh_until, clock = self.fast_path.fresh_until, self._clock
        answers = self._fast_answers.get(user_id)
        if answers is not None and clock() < fresh_until:
            return answers
        return self._own_answers(user_id)

    def live_user(self, user_id: str) -> UserConsent | None:
        """Look up a user whose lease lasts, and count it. None: fetch the user. Takes no lock."""
        user = self._entries.get(user_id)
        if user is None or user.answers() is ALL_STALE:
            return None
        self.counts.found += 1
        return user

    def _own_answers(self, user_id: str) -> Answers | None:
        user = self._entries.get(user_id)
        if user is None or (answers := user.answers()) in NO_ANSWERS:
            return None
        self.ask_for_fast_path(user)
        return answers

    def ask_for_fast_path(self, user: UserConsent) -> None:
        """Have the store's next answer put a user on the fast path, if the feed covers the user. Takes no lock."""
        if self._follow and user.user_id not in self.fast_path:
            self._asked[user.user_id] = user

    def begin_fetch(self, user_ids: Iterable[str], now: float) -> Fetch:
        """A load of these users is about to be sent: each attempt begins anew (rule 1)."""
        wanted = tuple(user_ids)
        with self._lock:
            applied = self.applied.position if self.applied else 0
            fetch = Fetch(
                wanted, frozenset(wanted), now, now + self.length, self._generation, applied, self._latest_head
            )
            self._fetches.add(fetch)
            return fetch

    def finish_fetch(self, fetch: Fetch, loaded: Loaded | None, now: float) -> dict[str, UserConsent]:
        """The load is over: keep of it what rule 4 allows, and give that back. None: it failed."""
        with self._lock:
            self._fetches.discard(fetch)
            self._cover_asked()
            if loaded is None or self.closed or fetch.generation is not self._generation:
                return {}
            if not self._continues_history(loaded.cursor):
                self._restart(loaded.cursor, now)
                return {}
            if _is_behind(loaded.cursor, fetch.seen):
                fetch.lies_behind = fetch.seen
                return {}
            if self._follow and self.applied is None:  # the first head: the feed covers what is loaded from here on
                self._restart(loaded.cursor, now, same_history=True)
            if now >= fetch.own_until or len(loaded.records) != len(fetch.user_ids):
                return {}
            asked = zip(fetch.user_ids, loaded.records, strict=True)
            ahead = self._is_ahead(loaded.cursor)
            return {
                user_id: self._install(record, fetch, loaded, ahead)
                for user_id, record in asked
                if record.user_id == user_id and self._may_install(user_id, fetch, loaded.cursor.position)
            }

    def begin_poll(self, after: Cursor, now: float) -> Poll:
        """A poll of the feed, from `applied` on, or from a cursor to prove, is about to be sent."""
        with self._lock:
            return Poll(after, now, self._generation, self._latest_head)

    def finish_poll(self, poll: Poll, changes: Changes, now: float) -> None:
        """
        The poll is over: rules 2, 3 and 6.

        Raises:
            StoreUnavailable: the answer is to another question, or contradicts itself: it renews nothing.
        """
        with self._lock:
            if self.closed or poll.generation is not self._generation:
                return
            _check_answer(poll, changes)
            if poll.after != self.applied:  # another poll from there was answered first
                return
            seen_before = poll.seen if changes.complete else poll.after
            if not self._continues_history(changes.cursor):
                self._restart(changes.cursor, now)
                return
            if _is_behind(changes.cursor, seen_before):
                poll.lies_behind = seen_before
                return
            if not changes.is_continuation():
                self._restart(changes.cursor, now)
                return
            for user_id, position in changes.user_ids.items():
                self._change(user_id, position)
            self.applied = changes.cursor
            self._note_confirmed(changes.cursor)
            self._minimums.pass_by(changes.cursor.position, now)
            if changes.complete:
                waited = min(changes.waited * CLOCK_RATE, now - poll.sent_at)  # NaN stays, and renews nothing
                fresh_until = max(self._generation.fresh_until, poll.sent_at + waited + self.length)
                self._generation.fresh_until = fresh_until
                self.fast_path.renew(fresh_until)
            self._cover_asked()

    def begin_write(self, user_id: str, *, takes_away: bool = False) -> Write:
        """
        A write of this user is about to be sent: from now on the user is denied (rule 8).

        Raises:
            StoreUnavailable: too many writes of its kind are under way or of unknown outcome.
        """
        with self._lock:
            self.check_writes(takes_away=takes_away)
            self._drop(user_id)
            self._writes[user_id] += 1
            self._writes_by_kind[takes_away] += 1
            for written in self._watched:
                written.add(user_id)
            return Write(user_id, self._generation, takes_away)

    def check_writes(self, *, takes_away: bool) -> None:
        """`StoreUnavailable` if as many writes of this kind as may be are under way or of unknown outcome."""
        if self._writes_by_kind[takes_away] >= (MAX_WITHDRAWALS if takes_away else MAX_WRITES):
            raise StoreUnavailable("too many writes are under way or of unknown outcome; this one was not sent")

    def finish_write(self, write: Write, cursor: Cursor | None, now: float) -> None:
        """The write is over, acknowledged at *cursor* or (None) refused. Nothing is installed: the user is fetched."""
        with self._lock:
            self._writes_by_kind[write.takes_away] -= 1
            self._writes[write.user_id] -= 1
            if not self._writes[write.user_id]:
                del self._writes[write.user_id]
            if cursor is None:
                return
            if not self._continues_history(cursor):
                if write.generation is not self._generation:  # it was written to the history before
                    return
                self._restart(cursor, now)
            self._minimums.lift(write.user_id, cursor.position)

    @contextmanager
    def watching_writes(self) -> Iterator[set[str]]:
        """The users with a write under way, of unknown outcome, or begun while the context lasts."""
        written: set[str] = set()
        try:
            with self._lock:
                written |= self._writes.keys()
                self._watched.append(written)
            yield written
        finally:
            with self._lock:
                self._watched = [other for other in self._watched if other is not written]

    def feed(self) -> tuple[Generation, Cursor | None]:
        """The present generation, and how far its feed was applied; None: there is no feed."""
        with self._lock:
            return self._generation, self.applied

    def age(self, now: float) -> float | None:
        """How old what the feed said is at most, in seconds; None before its first word."""
        fresh_until = self._generation.fresh_until
        return None if fresh_until == -inf else now - (fresh_until - self.length)

    def __len__(self) -> int:
        """How many users are kept."""
        return len(self._entries)

    def unavailable(self, user_id: str) -> UserConsent:
        """A user of whom nothing trustworthy is known."""
        return UserConsent.unavailable(user_id, self.counts)

    def has_shown(self, token: Cursor, user: UserConsent) -> bool:
        """Whether the feed has shown both the token and a user as of then or later: rule 8."""
        position = user.position  # first: covered at it or later, it may be loaded meanwhile where nothing is proven
        covered = self._follow and user.is_in(self._generation)
        return covered and token in self._confirmed_heads and position >= token.position

    def unconfirmed_heads(self) -> list[Cursor]:
        """The heads of loads that the feed went past without showing them, oldest first."""
        with self._lock:
            return [head for head in self._unconfirmed if self.applied and head.position <= self.applied.position]

    def confirm(self, poll: Poll, changes: Changes, now: float, *, is_head: bool = False) -> bool:
        """
        Whether the cursor that was polled from is of the store's history. If a head seen in this history (*is_head*:
        else it may be any token) is not, the store has another one: rule 6.

        Raises:
            StoreUnavailable: the answer is to another question, or contradicts itself: it says nothing.
        """
        with self._lock:
            _check_answer(poll, changes)
            is_proven = changes.is_continuation()
            if self.closed or poll.generation is not self._generation:
                return is_proven
            if not is_proven and (is_head or not self._continues_history(changes.cursor)):
                self._restart(changes.cursor, now)
            elif is_proven and self.applied is not None and poll.after.position <= self.applied.position:
                self._note_confirmed(poll.after)  # ahead of the feed, that may yet go another way
            return is_proven

    def close(self) -> None:
        """Every guard says `UNAVAILABLE` from now on (rule 9)."""
        with self._lock:
            self._drop_all(ALL_UNAVAILABLE)
            self.closed = True  # last: who is interrupted can close it again

    def abandon(self) -> None:
        """In a forked child: what was inherited is dead. Takes no lock: another thread may have held it (rule 9)."""
        self.abandoned |= not self.closed
        self.closed = True
        self._drop_all(ALL_STALE)

    def _continues_history(self, head: Cursor) -> bool:
        """Whether a head may be of this history, as far as it shows by itself: rule 6. One that is newer is noted."""
        seen = self._latest_head
        if seen is None or (head.epoch == seen.epoch and head.position > seen.position):
            self._latest_head = head
            return True
        return head.epoch == seen.epoch and (head.position != seen.position or head.hash == seen.hash)

    def _restart(self, head: Cursor, now: float, *, same_history: bool = False) -> None:
        """A new generation, everything dropped, from this head on: rule 6. Writes of unknown outcome stay."""
        is_same_epoch = self._latest_head is not None and self._latest_head.epoch == head.epoch
        self._drop_all(ALL_STALE)
        self._generation = Generation(self._clock, self.counts)
        self.applied = head if self._follow else None
        self._confirmed_heads.add(head)
        if not same_history:
            self._latest_head = head
            if is_same_epoch:  # if it only lagged after all, it shows what was written here within B
                self._minimums.keep_until(now + self._max_staleness)
            else:
                self._minimums.clear()

    def _drop_all(self, answers: Answers) -> None:
        self.fast_path.clear()
        self._generation.fresh_until = -inf
        for entry in list(self._entries.values()):
            entry.invalidate(answers)
        self._entries.clear()
        self._asked.clear()
        self._confirmed_heads.clear()
        self._unconfirmed.clear()

    def _drop(self, user_id: str) -> None:
        """The user is known no more: interrupted anywhere, it says no more than it should."""
        self.fast_path.remove(user_id)
        entry = self._entries.get(user_id)
        if entry is not None:
            entry.invalidate()
            self._note(user_id, entry.position)  # a slow load must not bring an older state back
            self._entries.pop(user_id, None)

    def _note(self, user_id: str, position: int) -> None:
        for fetch in self._fetches:
            fetch.note(user_id, position)

    def _change(self, user_id: str, position: int) -> None:
        """Rule 3 for one user; `finish_poll` publishes `applied` only after it."""
        self._note(user_id, position)
        entry = self._entries.get(user_id)
        if entry is not None and entry.position < position:
            self._drop(user_id)

    def _cover_asked(self) -> None:
        asked, self._asked = self._asked, {}
        while asked:  # a guard that had it in hand may still add to it
            user_id, user = asked.popitem()
            if self._entries.get(user_id) is user and user.is_in(self._generation):
                self.fast_path.add(user)

    def _is_ahead(self, head: Cursor) -> Generation | None:
        """
        What users loaded at this head wait in; None if the feed covers them at once. It does not before the head is
        proven: it goes on from `applied`, and would not notice that a head which only a load saw is of a history lost
        since.
        """
        if not self._follow or head in self._confirmed_heads:
            return None
        if head not in self._unconfirmed:
            if len(self._unconfirmed) >= MAX_UNCONFIRMED:
                del self._unconfirmed[next(iter(self._unconfirmed))]
            self._unconfirmed[head] = Generation(self._clock, self.counts)
        return self._unconfirmed[head]

    def _note_confirmed(self, cursor: Cursor) -> None:
        """From now on the feed covers whoever was loaded at this head."""
        if len(self._confirmed_heads) >= MAX_CONFIRMED:
            self._confirmed_heads.clear()
        self._confirmed_heads.add(cursor)
        ahead = self._unconfirmed.pop(cursor, None)
        if ahead is not None:
            for user_id in ahead.waiting & self._entries.keys():
                self._entries[user_id].promote(ahead, self._generation)

    def _may_install(self, user_id: str, fetch: Fetch, position: int) -> bool:
        """Rule 4, for a record evaluated at *position*; rule 8 for a user with writes under way."""
        known = self._entries.get(user_id)
        return user_id not in self._writes and position >= max(
            fetch.applied,
            self._minimums.under(user_id, fetch.sent_at),
            fetch.changed.get(user_id, 0),
            known.position if known is not None else 0,
        )

    def _install(self, record: ConsentRecord, fetch: Fetch, loaded: Loaded, ahead: Generation | None) -> UserConsent:
        valid_until = inf  # one object for nearly all users: another float would cost each guard a cache miss
        turn = record.next_change_at(loaded.at)
        if turn is not None:
            valid_until = fetch.sent_at + (turn - loaded.at).total_seconds() * CLOCK_RATE  # rule 7
        fetched = UserConsent(
            user_id=record.user_id,
            version=record.version,
            as_of=loaded.at,
            _head=loaded.cursor,
            _answers=self._pool.compile(record, loaded.at),
            _generation=ahead or self._generation,
            _own_until=fetch.own_until,  # rule 1
            _valid_until=valid_until,
        )
        entry = self._entries.get(record.user_id)
        if entry is not None:
            self.fast_path.remove(record.user_id)  # it may wait for the feed from now on, or turn at another time
        if entry is None or not entry.renew(fetched):
            self._drop(record.user_id)
            self._make_room()
            entry = self._entries[record.user_id] = fetched
        if ahead:
            ahead.waiting.add(entry.user_id)
        return entry

    def _make_room(self) -> None:
        """The hand goes round: whoever was asked for since it came by stays once more (CLOCK)."""
        while len(self._entries) >= self.capacity:
            for entry in self._eviction_cursor:
                was_covered = self.fast_path.remove(entry.user_id)  # a guard by id put it there: as good as a mark
                if not (entry.clear_referenced() or was_covered) and self._entries.get(entry.user_id) is entry:
                    self._drop(entry.user_id)
                    break
            else:
                self._eviction_cursor = iter(list(self._entries.values()))


def _is_behind(head: Cursor, seen_before: Cursor | None) -> bool:
    """Whether a head lies behind one that was seen before it was asked for: the store lags, or has another history."""
    return seen_before is not None and head.epoch == seen_before.epoch and head.position < seen_before.position


def _check_answer(poll: Poll, changes: Changes) -> None:
    if changes.after != poll.after:
        raise StoreUnavailable("the answer of the change feed is to another question")
    first, last = changes.after.position, changes.cursor.position
    if changes.complete not in (True, False) or not all(first < p <= last for p in changes.user_ids.values()):
        raise StoreUnavailable("the answer of the change feed contradicts itself")
