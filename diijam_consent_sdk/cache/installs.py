"""
Installs: which loaded standings may be kept, and under which leases: rules 1, 4 and 6 of docs/protocol.md.

Pure, as all of `Leases`: every time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from math import inf

import attrs

from ..standing import View
from ..stores.answers import Cursor, StandingRow, Standings
from ..stores.wire import Malformed
from .compiled import ALL_STALE, AnswerPool, Answers
from .generation import Basis, Generation
from .history import is_behind
from .in_flight import Fetch
from .memory import Memory
from .pending_writes import MinimumPositions, PendingWrites
from .user import UserConsent

CLOCK_RATE = 0.999  # every lease ends this much early, for a lease clock that runs a little slow
MARGIN_SECONDS = 0.01


Lasting = tuple[Answers, float]  # answers, and when time alone changes them, on the lease clock


@attrs.frozen
class Arrival:
    """An answer to a load, and what the users that it brings share."""

    fetch: Fetch
    answer: Standings
    basis: Basis
    generation: Generation  # the present one, or that of an unconfirmed head
    waiting: set[str] | None  # the ids of that of an unconfirmed head; None: the feed keeps the users fresh
    lasting: dict[bytes, Lasting] = attrs.field(factory=dict, repr=False)  # by standing: many users have the same


class Installs(Memory):
    """
    Loads under way, and what they bring. The arguments are those of `Leases`.
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

    def finish_fetch(self, fetch: Fetch, answer: Standings | None, now: float) -> dict[str, UserConsent]:
        """Install what a load brought (None: it failed) as far as rule 4 allows. Return the installed users."""
        with self._lock:
            return self._install_all(fetch, answer, now)

    def _install_all(self, fetch: Fetch, answer: Standings | None, now: float) -> dict[str, UserConsent]:
        if not self._takes(fetch, None if answer is None else answer.cursor, now) or answer is None:
            return {}
        self._begin_view(answer.view)
        if now >= fetch.own_until or len(answer.users) != len(fetch.user_ids):
            return {}
        arrival, cached = self._arrival_of(fetch, answer), self.users.by_id
        kept_out = self._kept_out(fetch, answer.cursor.position)
        installed: dict[str, UserConsent] = {}
        for user_id, row in zip(fetch.user_ids, answer.users, strict=True):
            if row.user_id == user_id and user_id not in kept_out:
                try:
                    installed[user_id] = self._install(arrival, user_id, row, cached.get(user_id))
                except Malformed:
                    fetch.is_malformed = True
        return installed

    def _arrival_of(self, fetch: Fetch, answer: Standings) -> Arrival:
        generation = self._generation_at(answer.cursor)
        waiting = None if generation is self._history.generation else generation.waiting
        return Arrival(fetch, answer, self._basis_of(fetch, answer), generation, waiting)

    def _basis_of(self, fetch: Fetch, answer: Standings) -> Basis:
        head, latest = answer.cursor, self._history.latest_head
        if latest is not None and latest == head:
            head = latest  # one object for all who were loaded there
        return Basis(head, answer.at, fetch.own_until)  # rule 1

    def _generation_at(self, head: Cursor) -> Generation:
        is_covered = not self._follow or self._history.is_confirmed(head)
        return self._history.generation if is_covered else self._history.waiting_at(head)

    def finish_load(self, fetch: Fetch, head: Cursor | None, now: float) -> None:
        """End a load that brings nothing to install. Its head may show another history (rule 6); None: it failed."""
        with self._lock:
            self._takes(fetch, head, now)

    def drop_older(self, user_id: str, version: int) -> None:
        """Drop a user who is cached with an older version than a caller has seen."""
        with self._lock:
            user = self.users.by_id.get(user_id)
            if user is not None and user.version < version:
                self._drop(user_id)

    def _takes(self, fetch: Fetch, head: Cursor | None, now: float) -> bool:
        """End a load, and return whether an answer at this head counts (rule 6)."""
        self._fetches.discard(fetch)
        self._fill_fast_path()
        if head is None or self.closed or fetch.generation is not self._history.generation:
            return False
        if not self._history.continues_at(head):
            self._restart(head, now)
            return False
        if is_behind(head, fetch.latest_head):
            fetch.lies_behind = fetch.latest_head
            return False
        if self._follow and self.applied is None:  # the first head: the feed covers what is loaded from here on
            self._restart(head, now, is_same_history=True)
        return True

    def _begin_view(self, view: View) -> None:
        """Drop the users of other views: an answer holds only for the asks of its view (policy, "Views")."""
        if view != self.view:
            for user_id in list(self.users):  # not `clear`: loads under way must not bring back an older state
                self._drop(user_id)
        self.view, self.is_view_doubted = view, False

    def _kept_out(self, fetch: Fetch, position: int) -> set[str]:
        """
        Find whose standings, read at *position*, rule 4 keeps out, and rule 8 while this process writes. It looks only
        at users of whom something is known here, which in a load of many are few.
        """
        if position < fetch.applied:
            return set(fetch.wanted)
        cached = fetch.wanted & self.users.by_id.keys()
        kept_out = {user_id for user_id in cached if position < self.users[user_id].position}
        if self._writes or fetch.changed or self._minimums.are_any():
            kept_out |= {
                user_id
                for user_id in fetch.wanted
                if user_id in self._writes
                or position < max(self._minimums.find(user_id, fetch.sent_at), fetch.changed.get(user_id, 0))
            }
        return kept_out

    def _install(self, arrival: Arrival, user_id: str, row: StandingRow, user: UserConsent | None) -> UserConsent:
        """
        Put a user into memory, or extend the lease of the one there.

        Raises:
            Malformed: the row is no standing for the answer's instant.
        """
        answers, ends_at = arrival.lasting.get(row.standing) or self._compile(arrival, row.standing)
        fetched = UserConsent(
            user_id=user_id, version=row.version, _answers=answers, _basis=arrival.basis,
            _generation=arrival.generation, _ends_at=ends_at,
        )  # fmt: skip
        if user is not None:
            self.fast_path.remove(user_id)  # the user may wait for the feed from now on, or change at another time
        if user is None or not user.renew(fetched):
            user = fetched
            self.users.put(user_id, user)  # which drops the one there
        if arrival.waiting is not None:
            arrival.waiting.add(user_id)
        return user

    def _compile(self, arrival: Arrival, standing: bytes) -> Lasting:
        answers, ends_at = self._pool.compile(standing, arrival.answer.view, arrival.answer.at)
        lasting = arrival.lasting[standing] = answers, _on_lease_clock(ends_at, arrival)
        return lasting

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


def _on_lease_clock(ends_at: datetime | None, arrival: Arrival) -> float:
    """Return when answers change by themselves, on the lease clock (rule 7)."""
    if ends_at is None:
        return inf  # one object for nearly all users: another float would cost each guard a miss of the CPU cache
    return arrival.fetch.sent_at + (ends_at - arrival.answer.at).total_seconds() * CLOCK_RATE


def instant_of_look(sent_at: float, waited: float, now: float) -> float:
    """Return an instant no later than the store's look, which came *waited* seconds after the question arrived."""
    return sent_at + min(waited * CLOCK_RATE, now - sent_at)
