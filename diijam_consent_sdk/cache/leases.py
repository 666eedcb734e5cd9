"""
Leases: how a cached answer stays true. Rules are cited by their number in docs/protocol.md.

Pure: no I/O and no threads. Except for guards, which read the clock last, every time is an argument, in seconds of the
client's lease clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import inf

from ..record import ConsentRecord
from ..stores.protocol import Changes, Cursor, Loaded
from .compiled import ALL_STALE, AnswerPool
from .history import is_behind
from .in_flight import Fetch, Poll
from .memory import Memory
from .pending_writes import MinimumPositions, PendingWrites, Write
from .user import Generation, UserConsent

CLOCK_RATE = 0.999  # every lease ends this much early, for a lease clock that runs a little slow
MARGIN_SECONDS = 0.01


class Leases(Memory):
    """
    Which answers of the store may change what a client keeps: the only place that lets a lease begin. Thread-safe.

    Args:
        max_staleness: The bound B of the protocol, in seconds, at least 1.

        capacity: How many users are kept. A user that nobody asked about lately is evicted for another.

        clock: The lease clock that guards read.

        follow: Whether a change feed is going to be applied.
    """

    def __init__(self, *, max_staleness: float, capacity: int, clock: Callable[[], float], follow: bool) -> None:
        super().__init__(
            length=max_staleness * CLOCK_RATE - MARGIN_SECONDS, capacity=capacity, clock=clock, follow=follow
        )
        self._max_staleness = max_staleness
        self._pool = AnswerPool(self.counters.by_decision)
        self._writes = PendingWrites()
        self._minimums = MinimumPositions(max_staleness)

    def begin_fetch(self, user_ids: Iterable[str], now: float) -> Fetch:
        """Note a load of these users that is about to be sent. Each attempt is another one (rule 1)."""
        wanted = tuple(user_ids)
        with self._lock:
            fetch = Fetch(
                user_ids=wanted, wanted=frozenset(wanted), sent_at=now, own_until=now + self.length,
                generation=self._history.generation, latest_head=self._history.latest_head,
                applied=self.applied.position if self.applied else 0,
            )  # fmt: skip
            self._fetches.add(fetch)
            return fetch

    def finish_fetch(self, fetch: Fetch, loaded: Loaded | None, now: float) -> dict[str, UserConsent]:
        """Install what a load brought (None: it failed) as far as rule 4 allows. Return the installed users."""
        with self._lock:
            self._fetches.discard(fetch)
            self._fill_fast_path()
            if loaded is None or self.closed or fetch.generation is not self._history.generation:
                return {}
            if not self._history.continues_at(loaded.cursor):
                self._restart(loaded.cursor, now)
                return {}
            if is_behind(loaded.cursor, fetch.latest_head):
                fetch.lies_behind = fetch.latest_head
                return {}
            if self._follow and self.applied is None:  # the first head: the feed covers what is loaded from here on
                self._restart(loaded.cursor, now, is_same_history=True)
            if now >= fetch.own_until or len(loaded.records) != len(fetch.user_ids):
                return {}
            is_covered = not self._follow or self._history.is_confirmed(loaded.cursor)
            waiting = None if is_covered else self._history.waiting_at(loaded.cursor)
            installed: dict[str, UserConsent] = {}
            for user_id, record in zip(fetch.user_ids, loaded.records, strict=True):
                cached = self.users.get(user_id)
                if record.user_id == user_id and self._may_install(user_id, cached, fetch, loaded.cursor.position):
                    installed[user_id] = self._install(record, cached, fetch, loaded, waiting)
            return installed

    def _may_install(self, user_id: str, cached: UserConsent | None, fetch: Fetch, position: int) -> bool:
        """Whether rule 4 allows a record that was read at *position*, and rule 8 while this process writes."""
        return user_id not in self._writes and position >= max(
            fetch.applied,
            self._minimums.find(user_id, fetch.sent_at),
            fetch.changed.get(user_id, 0),
            cached.position if cached is not None else 0,
        )

    def _install(
        self, record: ConsentRecord, user: UserConsent | None, fetch: Fetch, loaded: Loaded, waiting: Generation | None
    ) -> UserConsent:
        """Put a user into memory, or extend the lease of the one there. In *waiting*, the feed does not cover it."""
        user_id = record.user_id
        fetched = UserConsent(
            user_id=user_id, version=record.version, as_of=loaded.at, _head=loaded.cursor,
            _answers=self._pool.compile(record, loaded.at), _generation=waiting or self._history.generation,
            _own_until=fetch.own_until, _ends_at=_ends_at(record, fetch, loaded),  # rule 1
        )  # fmt: skip
        if user is not None:
            self.fast_path.remove(user_id)  # the user may wait for the feed from now on, or change at another time
        if user is None or not user.renew(fetched):
            user = self.users[user_id] = fetched  # which drops the one there
        if waiting:
            waiting.waiting.add(user_id)
        return user

    def begin_poll(self, after: Cursor, now: float) -> Poll:
        """Note a poll that is about to be sent, from `applied` or from a cursor to confirm."""
        with self._lock:
            return Poll(after, now, self._history.generation, self._history.latest_head)

    def finish_poll(self, poll: Poll, changes: Changes, now: float) -> bool:
        """
        Apply what a poll, or the next part of it, brought: rules 2, 3 and 6. Return whether it counted and more may.

        Raises:
            StoreUnavailable: the answer is to another question, or contradicts itself. Nothing is renewed.
        """
        with self._lock:
            if self.closed or poll.generation is not self._history.generation:
                return False
            poll.check(changes)
            if poll.after != self.applied:  # another poll from there was answered first
                return False
            looked_at = poll.sent_at + min(changes.waited * CLOCK_RATE, now - poll.sent_at)  # a NaN renews nothing
            seen_before = poll.head_seen_before(looked_at) if changes.complete else poll.after
            if not self._history.continues_at(changes.cursor):
                self._restart(changes.cursor, now)
            elif is_behind(changes.cursor, seen_before):
                poll.lies_behind = seen_before
            elif not changes.is_continuation():
                self._restart(changes.cursor, now)
            else:
                self._apply(changes, now)
                if changes.complete:
                    self._renew(looked_at)
                self._fill_fast_path()
                poll.move_on(changes.cursor, now, self._history.latest_head)
                return True
            return False

    def _apply(self, changes: Changes, now: float) -> None:
        for user_id, position in changes.user_ids.items():
            self._change(user_id, position)
        self.applied = changes.cursor
        self._confirm(changes.cursor)
        self._minimums.pass_by(changes.cursor.position, now)

    def _change(self, user_id: str, position: int) -> None:
        """Drop what is older than a user's change (rule 3). The new `applied` is published only after this."""
        self._fetches.note(user_id, position)
        user = self.users.get(user_id)
        if user is not None and user.position < position:
            self._drop(user_id)

    def _renew(self, looked_at: float) -> None:
        """Keep everybody fresh that the feed covers (rule 2)."""
        generation = self._history.generation
        generation.fresh_until = fresh_until = max(generation.fresh_until, looked_at + self.length)
        self.fast_path.renew(fresh_until)

    def confirm(self, poll: Poll, changes: Changes, now: float, *, is_head: bool = False) -> bool:
        """
        Return whether the cursor that was polled from is of the store's history. If a head seen in this history
        (*is_head*; else it may be any token) is not, the store has another one: rule 6.

        Raises:
            StoreUnavailable: the answer is to another question, or contradicts itself.
        """
        with self._lock:
            poll.check(changes)
            is_confirmed = changes.is_continuation()
            if self.closed or poll.generation is not self._history.generation:
                return is_confirmed
            if not is_confirmed and (is_head or not self._history.continues_at(changes.cursor)):
                self._restart(changes.cursor, now)
            elif is_confirmed and self.applied is not None and poll.after.position <= self.applied.position:
                self._confirm(poll.after)  # not if it is ahead of the feed, which may yet go another way
            return is_confirmed

    def check_writes(self, *, takes_away: bool) -> None:
        """See `PendingWrites.check_room`."""
        self._writes.check_room(takes_away=takes_away)

    def begin_write(self, user_id: str, *, takes_away: bool = False) -> Write:
        """
        Deny a user from before a write is sent (rule 8).

        Raises:
            StoreUnavailable: too many writes of its kind are under way or of unknown outcome.
        """
        with self._lock:
            self._writes.check_room(takes_away=takes_away)
            self._drop(user_id)
            write = Write(user_id, takes_away)
            self._writes.add(write)
            return write

    def finish_write(self, write: Write, cursor: Cursor | None, now: float) -> None:
        """End a write that was acknowledged at *cursor*, or refused (None). Installs nothing: the user is fetched."""
        with self._lock:
            self._writes.remove(write)
            if cursor is None:
                return
            if not self._history.continues_at(cursor):  # whether before or after the known one, nobody can tell
                self._restart(cursor, now)
            # A restore may have put the acknowledged position below those of a load that is still under way.
            self._fetches.overtake(write.user_id)
            self._minimums.add(write.user_id, cursor.position)

    @contextmanager
    def watching_writes(self) -> Iterator[set[str]]:
        """Collect the users with a write under way, of unknown outcome, or begun while the context lasts."""
        written: set[str] = set()
        try:
            with self._lock:
                self._writes.watch(written)
            yield written
        finally:
            with self._lock:
                self._writes.unwatch(written)

    def _restart(self, head: Cursor, now: float, *, is_same_history: bool = False) -> None:
        """Drop everything, and begin a generation at this head (rule 6). Writes of unknown outcome stay."""
        latest = self._history.latest_head
        self._drop_all(ALL_STALE)
        self._history.begin(head, is_same=is_same_history)
        self.applied = head if self._follow else None
        if is_same_history:
            return
        self._minimums.carry_over(now + self._max_staleness)  # a store that only lags shows own writes within B
        if latest is not None and latest.epoch != head.epoch:
            self._minimums.change_epoch(latest.epoch, head.epoch)


def _ends_at(record: ConsentRecord, fetch: Fetch, loaded: Loaded) -> float:
    """Return when a record's answers change by themselves, on the lease clock (rule 7)."""
    change = record.next_change_at(loaded.at)
    if change is None:
        return inf  # one object for nearly all users: another float would cost each guard a miss of the CPU cache
    return fetch.sent_at + (change - loaded.at).total_seconds() * CLOCK_RATE
