"""
Memory: what a client keeps of its users, and how it drops it. Which answers of the store go in is up to `Leases`.

Guards read it without a lock, so each write leaves it in a state in which no guard answers more than it should.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import inf

from ..errors import ClientClosed
from ..standing import View
from ..stores.answers import Cursor
from .compiled import ALL_STALE, ALL_UNAVAILABLE, NO_ANSWERS, Answers
from .counters import Counters
from .entries import NOBODY, UserCache
from .fast_path import FastPath
from .generation import Generation
from .history import History
from .in_flight import Fetches
from .user import UserConsent


class Memory:
    """
    The users in memory, and the history that they were loaded in. Writers share one lock. Readers (`answers`,
    `users[id]`, and the guards of a `UserConsent`) take none: a guard waits for nobody, and a signal handler may
    interrupt it anywhere.

    Args:
        length: How long a lease is, in seconds.

        capacity: How many users are kept. A user that nobody asked about lately is evicted for another.

        clock: The lease clock that guards read.

        follow: Whether a change feed is going to be applied.
    """

    def __init__(self, *, length: float, capacity: int, clock: Callable[[], float], follow: bool) -> None:
        self.length = length
        self.capacity = capacity
        self.applied: Cursor | None = None
        self.closed = False
        self.abandoned = False  # closed by `abandon` alone
        self.counters = Counters()
        self.fast_path = FastPath()
        self._fast_answers = self.fast_path.answers  # one attribute less for each guard to load
        self._follow = follow
        self._clock = clock
        self._lock = threading.RLock()  # a signal handler may close the client while its thread is closing it
        self._history = History(clock, self.counters)
        self._fetches = Fetches()
        self.view: View | None = None  # of the newest load, and so of everybody here
        self.is_view_doubted = False  # the feed named another one since: the next load tells which is right
        self.users = UserCache(capacity, self.fast_path, self._fetches)
        self._wanted_on_fast_path: dict[str, UserConsent] = {}

    def check_open(self) -> None:
        """Raise `ClientClosed` if the client is closed."""
        if self.closed:
            raise ClientClosed("the client is closed: make a new one")

    def __len__(self) -> int:
        """How many users are kept."""
        return len(self.users)

    def answers(self, user_id: str) -> Answers | None:
        """Look up what a user answers now: on the fast path, then under the user's own lease. None: fetch the user."""
        # protocol.md, rule 7: the shared state first, then what is kept of the user, the clock last.
        fresh_until, clock = self.fast_path.fresh_until, self._clock
        answers = self._fast_answers.get(user_id)
        if answers is not None and clock() < fresh_until:
            return answers
        return self._own_answers(user_id)

    def _own_answers(self, user_id: str) -> Answers | None:
        user = self.users.by_id.get(user_id, NOBODY)
        answers = user.answers()
        if answers in NO_ANSWERS:
            return None
        self.ask_for_fast_path(user)
        return answers

    def ask_for_fast_path(self, user: UserConsent) -> None:
        """Have the store's next answer put a user on the fast path, if the feed covers the user by then."""
        if self._follow and user.user_id not in self.fast_path:
            self._wanted_on_fast_path[user.user_id] = user

    def unavailable(self, user_id: str) -> UserConsent:
        """Return a user about which nothing trustworthy is known."""
        return UserConsent.unavailable(user_id, self.counters)

    def close(self) -> None:
        """Make every guard answer `UNAVAILABLE` from now on (rule 9)."""
        with self._lock:
            self._drop_all(ALL_UNAVAILABLE)
            self.closed = True  # last, so that an interrupted close can be repeated

    def abandon(self) -> None:
        """Drop what a forked child inherited (rule 9). Takes no lock: another thread of the parent may have held it."""
        self.abandoned |= not self.closed
        self.closed = True
        self._drop_all(ALL_STALE)

    def _fill_fast_path(self) -> None:
        wanted, self._wanted_on_fast_path = self._wanted_on_fast_path, {}
        while wanted:  # a guard that is under way may still add to it
            user_id, user = wanted.popitem()
            if self.users.by_id.get(user_id) is user and user.is_in(self._history.generation):
                self.fast_path.add(user)

    def _confirm(self, head: Cursor) -> None:
        """From now on, let the feed cover users that were loaded at this head."""
        waiting = self._history.confirm(head)
        if waiting is not None:
            for user_id in list(waiting.waiting):
                user = self.users.by_id.get(user_id)
                if user is not None:
                    user.promote(waiting, self._history.generation)

    def _drop_all(self, answers: Answers) -> None:
        self._history.end()
        self.users.clear(answers)
        self._wanted_on_fast_path.clear()

    def _drop(self, user_id: str) -> None:
        self.fast_path.remove(user_id)
        if user_id in self.users:
            del self.users[user_id]

    def unconfirmed_heads(self) -> list[Cursor]:
        """Return the heads of loads that the feed went past without showing them, oldest first."""
        with self._lock:
            return self._history.unconfirmed_up_to(self.applied.position) if self.applied else []

    def has_shown(self, token: Cursor, user: UserConsent) -> bool:
        """Whether the feed has shown both a token and a user as of then or later (rule 8). Takes no lock."""
        position = user.position  # first: a load may meanwhile move the user to where it waits for the feed
        is_covered = self._follow and user.is_in(self._history.generation)
        return is_covered and self._history.is_confirmed(token) and position >= token.position

    def feed(self) -> tuple[Generation, Cursor | None]:
        """Return the present generation, and how far its feed was applied (None: there is no feed)."""
        with self._lock:
            return self._history.generation, self.applied

    def feed_age(self, now: float) -> float | None:
        """Return how old the feed's latest answer may be, in seconds; None before the first one."""
        fresh_until = self._history.generation.fresh_until
        return None if fresh_until == -inf else now - (fresh_until - self.length)
