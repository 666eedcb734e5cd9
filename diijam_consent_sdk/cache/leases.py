"""
Leases: how a cached answer stays true. Rules are cited by their number in docs/protocol.md.

Pure: no I/O and no threads. Except for guards, which read the clock last, every time is an argument, in seconds of the
client's lease clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import StoreUnavailable
from ..standing import View
from ..stores.answers import Changes, Cursor
from .history import is_behind
from .in_flight import Poll
from .installs import Installs, instant_of_look
from .pending_writes import Write


class Leases(Installs):
    """
    Which answers of the store may change what a client keeps: the only place that lets a lease begin. Thread-safe.

    Args:
        max_staleness: The bound B of the protocol, in seconds, at least 1.

        capacity: How many users are kept. A user that nobody asked about lately is evicted for another.

        clock: The lease clock that guards read.

        follow: Whether a change feed is going to be applied.
    """

    def begin_poll(self, after: Cursor, now: float) -> Poll:
        """Note a poll that is about to be sent, from `applied` or from a cursor to confirm."""
        with self._lock:
            return Poll(after, now, self._history.generation, self._history.latest_head)

    def finish_poll(self, poll: Poll, changes: Changes, now: float) -> bool:
        """
        Apply what a poll, or the next part of it, brought: rules 2, 3 and 6. Return whether it counted and more may.

        Raises:
            StoreUnavailable: the answer is to another question, contradicts itself, or has another view than the newest
                load. Nothing is renewed.
        """
        with self._lock:
            if self.closed or poll.generation is not self._history.generation:
                return False
            poll.check(changes)
            if poll.after != self.applied:  # another poll from there was answered first
                return False
            looked_at = instant_of_look(poll.sent_at, changes.waited, now)  # a NaN renews nothing
            seen_before = poll.head_seen_before(looked_at) if changes.complete else poll.after
            if not self._history.continues_at(changes.cursor):
                self._restart(changes.cursor, now)
            elif is_behind(changes.cursor, seen_before):
                poll.lies_behind = seen_before
            elif not changes.is_continuation():
                self._restart(changes.cursor, now)
            else:
                self._apply(changes, now)
                self._check_view(changes.view)
                if changes.complete:
                    self._renew(looked_at)
                self._fill_fast_path()
                poll.move_on(changes.cursor, now, self._history.latest_head)
                return True
            return False

    def _check_view(self, view: View) -> None:
        if view != self.view:
            self.is_view_doubted = True
            raise StoreUnavailable("the change feed is for other asks than the newest load: both are asked again")

    def _apply(self, changes: Changes, now: float) -> None:
        for user_id, position in changes.user_ids.items():
            self._change(user_id, position)
        self.applied = changes.cursor
        self._confirm(changes.cursor)
        self._minimums.pass_by(changes.cursor.position, now)

    def _change(self, user_id: str, position: int) -> None:
        """Drop what is older than a user's change (rule 3). The new `applied` is published only after this."""
        self._fetches.note(user_id, position)
        user = self.users.by_id.get(user_id)
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

    def begin_write(self, write: Write) -> None:
        """
        Deny a user from before a write is sent (rule 8). Doing so twice, as after an interrupted call, changes nothing.

        Raises:
            StoreUnavailable: too many writes of its kind are under way or of unknown outcome.
        """
        with self._lock:
            self._writes.add(write)
            self._drop(write.user_id)

    def finish_write(self, write: Write, cursor: Cursor | None, now: float) -> None:
        """End a write that was acknowledged at *cursor*, or refused (None). Installs nothing: the user is fetched."""
        with self._lock:
            if cursor is not None:
                if not self._history.continues_at(cursor):  # whether before or after the known one, nobody can tell
                    self._restart(cursor, now)
                # A restore may have put the acknowledged position below those of a load that is still under way.
                self._fetches.overtake(write.user_id)
                self._minimums.add(write.user_id, cursor.position)
            self._writes.remove(write)  # last: interrupted before, the user stays denied

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
