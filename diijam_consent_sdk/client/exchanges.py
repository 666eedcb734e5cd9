"""
Exchanges with the store that move the leases: a load, a poll, a confirmation.

When an answer lies behind a head that was seen before, the store is asked whether it lags or has another history
(protocol.md, rule 6).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from .._threads import Promise, WaitTimeout
from ..cache.in_flight import Poll
from ..cache.leases import Leases
from ..cache.user import UserConsent
from ..errors import StoreUnavailable, StoreUnusable
from ..stores.answers import BEFORE_FIRST, Changes, Cursor, Loaded, Standings
from .effects import ChangesSince, Effects, LoadStandings, StoreCall, perform, wait

A = TypeVar("A", Loaded, Changes)

NOWHERE = Cursor("none", 0, BEFORE_FIRST)  # in no history: `changes` from here gives the head, to any token that reads

MAX_CONFIRMATIONS = 4
LAGS = "the store's answer lies behind an earlier one: the store lags, try again"
MALFORMED = "the store's standings cannot be read: it may be damaged, or of another version of this library"
NOT_CONFIRMED = "the store's answer lies behind an earlier one, and the store did not explain why in time: try again"


class Exchanges:
    """
    The exchanges of one client with its store. Safe to use from several threads.

    Args:
        leases: Where answers go.

        clock: The lease clock, in seconds.

        deadline: How long, in real seconds, to wait for a confirmation that another caller asked for.

        max_staleness: The bound B, in seconds.
    """

    def __init__(self, leases: Leases, clock: Callable[[], float], deadline: float, max_staleness: float) -> None:
        self.leases = leases
        self._clock = clock
        self.deadline = deadline
        self.max_staleness = max_staleness
        self._confirmations_at: deque[float] = deque(maxlen=MAX_CONFIRMATIONS)
        self._confirming: dict[Cursor, Promise[bool]] = {}

    def load(self, user_ids: Iterable[str]) -> Effects[tuple[Standings | None, dict[str, UserConsent]]]:
        """
        Load users: the answer, and those of them that the leases took. Without ids, just the store's head.

        The answer is None if it lay behind a head that was seen before, and was discarded.

        Raises:
            StoreUnusable: none of the standings could be read.
        """
        fetch, answer = self.leases.begin_fetch(user_ids, self._clock()), None
        try:
            answer = yield from perform(LoadStandings(fetch.user_ids))
        finally:
            users = self.leases.finish_fetch(fetch, answer, self._clock())
        if fetch.lies_behind is not None:
            yield from self._confirm_once(fetch.lies_behind)
            return None, {}
        if fetch.is_malformed and not users:
            raise StoreUnusable(MALFORMED)
        return answer, users

    def read(self, call: StoreCall[A]) -> Effects[A | None]:
        """Make a call whose answer fills no memory: the leases take its head alone. None as for `load`."""
        fetch, answer = self.leases.begin_fetch((), self._clock()), None
        try:
            answer = yield from perform(call)
        finally:
            self.leases.finish_load(fetch, None if answer is None else answer.cursor, self._clock())
        if fetch.lies_behind is None:
            return answer
        yield from self._confirm_once(fetch.lies_behind)
        return None

    def load_head(self) -> Effects[None]:
        """
        Begin the feed at the store's head, and find out what the token may ask.

        Raises:
            StoreUnavailable: the store lags, so the feed cannot begin, or go on, yet.
        """
        answer, _ = yield from self.load(())
        if (answer is None and self.leases.applied is None) or self.leases.is_view_doubted:
            raise StoreUnavailable(LAGS)

    def poll(self, after: Cursor, wait: float) -> Effects[None]:
        """
        Poll the change feed once, and apply the answer.

        Raises:
            StoreUnavailable: the answer lay behind a head that was seen before, or was to another question.
        """
        poll = self.begin_poll(after)
        changes = yield from perform(ChangesSince(after, wait))
        yield from self.apply(poll, changes)

    def begin_poll(self, after: Cursor) -> Poll:
        """Note a poll that is about to be sent."""
        return self.leases.begin_poll(after, self._clock())

    def apply(self, poll: Poll, changes: Changes) -> Effects[bool]:
        """Apply what a poll, or the next part of it, brought; returns and raises as `Leases.finish_poll` and `poll`."""
        has_counted = self.leases.finish_poll(poll, changes, self._clock())
        if poll.lies_behind is not None and (yield from self._confirm_once(poll.lies_behind)):
            raise StoreUnavailable(LAGS)
        return has_counted

    def confirm_heads(self) -> Effects[None]:
        """
        Confirm heads that the feed went past, at most `MAX_CONFIRMATIONS` in B/4: the feed must not be late for them,
        and the store not be asked for each change. Users loaded at others have only their own leases.
        """
        with suppress(Exception):  # it tells nothing of the feed
            for head in self.leases.unconfirmed_heads():
                now, asked_at = self._clock(), self._confirmations_at
                if len(asked_at) == MAX_CONFIRMATIONS and now - asked_at[0] < self.max_staleness / 4:
                    return
                asked_at.append(now)
                yield from self.confirm(head, is_head=True)

    def confirm(self, cursor: Cursor, *, is_head: bool = False) -> Effects[bool]:
        """Ask by the shortest poll whether *cursor*, a head seen before or any token, is in the store's history."""
        poll = self.leases.begin_poll(cursor, self._clock())
        changes = yield from perform(ChangesSince(cursor, limit=1))
        return self.leases.confirm(poll, changes, self._clock(), is_head=is_head)

    def _confirm_once(self, head: Cursor) -> Effects[bool]:
        """Confirm a head that was seen before; callers who ask for the same head meanwhile share one exchange."""
        mine: Promise[bool] = Promise()
        shared = self._confirming.setdefault(head, mine)
        if shared is not mine:
            try:
                return (yield from wait(shared, time.monotonic() + self.deadline))
            except WaitTimeout:
                self._forget(head, shared)  # its caller may be gone
                raise StoreUnavailable(NOT_CONFIRMED) from None
        try:
            is_confirmed = yield from self.confirm(head, is_head=True)
        except BaseException:
            mine.set_exception(StoreUnavailable(NOT_CONFIRMED))
            raise
        else:
            mine.set_result(is_confirmed)
        finally:
            self._forget(head, mine)
        return is_confirmed

    def _forget(self, head: Cursor, shared: Promise[bool]) -> None:
        if self._confirming.get(head) is shared:
            self._confirming.pop(head, None)
