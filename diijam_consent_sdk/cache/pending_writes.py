"""
The writes of this process, and the positions that its users' next records must have.

A user is denied from before a write is sent until its outcome is definite, and after it never answers from a record of
before it (protocol.md, rule 8).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from weakref import ref

import attrs
from cachetools import FIFOCache

from ..errors import StoreUnavailable
from .bounded import put, take

MAX_WRITES = 256  # under way or of unknown outcome; past that new writes are refused
MAX_WITHDRAWALS = 256  # of writes that only take permissions away: apart, so that no other write locks one out
MAX_MINIMUMS = 10_000  # users with a minimum position each; past that the oldest share one
MAX_EPOCHS = 4  # left lately, whose minimums are kept


@attrs.frozen(eq=False)
class Write:
    """An append that is under way or of unknown outcome."""

    user_id: str = attrs.field(repr=False)
    takes_away: bool


class PendingWrites:
    """The users with writes that are under way or of unknown outcome. Not thread-safe: `Leases` holds a lock."""

    def __init__(self) -> None:
        # Sets, not counts: `add` and `remove` may be interrupted anywhere, and are then done again.
        self._by_user: dict[str, set[Write]] = {}
        self._by_kind: dict[bool, set[Write]] = {False: set(), True: set()}  # by whether they only take away
        self._watchers: list[ref[set[str]]] = []

    def __len__(self) -> int:
        return len(self._by_user)

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._by_user

    def count(self, *, takes_away: bool) -> int:
        """Return how many writes of a kind there are."""
        return len(self._by_kind[takes_away])

    def check_room(self, *, takes_away: bool) -> None:
        """
        Check that there is room for another write.

        Raises:
            StoreUnavailable: as many writes of this kind as may be are under way or of unknown outcome.
        """
        if self.count(takes_away=takes_away) >= (MAX_WITHDRAWALS if takes_away else MAX_WRITES):
            raise StoreUnavailable(
                "too many writes are under way or of unknown outcome, this one was not sent: try again later"
            )

    def add(self, write: Write) -> None:
        """
        Deny the user of a write that is about to be sent. Doing so twice changes nothing.

        Raises:
            StoreUnavailable: as `check_room` raises it.
        """
        if write not in self._by_kind[write.takes_away]:
            self.check_room(takes_away=write.takes_away)
        self._by_kind[write.takes_away].add(write)
        self._by_user.setdefault(write.user_id, set()).add(write)
        for watcher in self._watchers:
            if (written := watcher()) is not None:
                written.add(write.user_id)

    def remove(self, write: Write) -> None:
        """End the denial for a write. Doing so twice changes nothing."""
        self._by_kind[write.takes_away].discard(write)
        writes = self._by_user.get(write.user_id, set())
        writes.discard(write)
        if not writes:
            self._by_user.pop(write.user_id, None)

    def watch(self, written: set[str]) -> None:
        """Add to *written*, until `unwatch` or its end, the users that have a write or begin one."""
        written.update(self._by_user)
        self._watchers = [*self._others(written), ref(written)]

    def unwatch(self, written: set[str]) -> None:
        """Leave *written* as it is from now on."""
        self._watchers = self._others(written)

    def _others(self, written: set[str]) -> list[ref[set[str]]]:
        """Give the other watchers, without those whose set is gone: their `unwatch` was interrupted."""
        return [watcher for watcher in self._watchers if watcher() is not None and watcher() is not written]


Minimum = tuple[int, float]  # the position, and until when it counts
NO_MINIMUM: Minimum = (0, -inf)


@attrs.define
class _Minimums:
    """Minimums by user, oldest first; past the cap the oldest are merged into one for all: stricter."""

    by_user: dict[str, Minimum] = attrs.field(factory=dict, repr=False)
    for_all: Minimum = NO_MINIMUM

    def add(self, user_id: str, minimum: Minimum) -> None:
        self.by_user[user_id] = _stricter(self.by_user.pop(user_id, NO_MINIMUM), minimum)
        while len(self.by_user) > MAX_MINIMUMS:
            self.for_all = _stricter(self.for_all, self.by_user.pop(next(iter(self.by_user))))

    def find(self, user_id: str, sent_at: float) -> int:
        position, until = self.by_user.get(user_id, NO_MINIMUM)
        position_for_all, until_for_all = self.for_all
        return max(position if sent_at < until else 0, position_for_all if sent_at < until_for_all else 0)

    def items(self) -> Iterable[tuple[str, Minimum]]:
        return self.by_user.items()

    def expire(self, now: float) -> None:
        """Drop the oldest as far as they count no more; others that do not are dropped later."""
        while self.by_user and next(iter(self.by_user.values()))[1] <= now:
            del self.by_user[next(iter(self.by_user))]


class MinimumPositions:
    """
    The least position acceptable of each user that this process wrote, in bounded memory. Not thread-safe.

    Args:
        seconds: How long a minimum that the feed has passed is remembered (B of the protocol). It counts again if the
            store is then taken for another history although it only lags (rule 6).
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._current = _Minimums()
        self._passed = _Minimums()
        self._of_history_before = _Minimums()
        self._of_epochs_left: FIFOCache[str, _Minimums] = FIFOCache(MAX_EPOCHS)

    def __len__(self) -> int:
        """How many users have a minimum in this history."""
        return len(self._current.by_user)

    def sizes(self) -> list[int]:
        """Return how many minimums there are of each kind, none of them more than `MAX_MINIMUMS`."""
        left = self._of_epochs_left.values()
        return [len(each.by_user) for each in (self._current, self._passed, self._of_history_before, *left)]

    def add(self, user_id: str, position: int) -> None:
        """Accept nothing older of this user."""
        self._current.add(user_id, (position, inf))

    def find(self, user_id: str, sent_at: float) -> int:
        """Return the least position acceptable of this user from a load sent then."""
        return max(self._current.find(user_id, sent_at), self._of_history_before.find(user_id, sent_at))

    def are_any(self) -> bool:
        """Whether `find` may return anything but 0: a process that only reads has no minimums."""
        return any(each.by_user or each.for_all is not NO_MINIMUM for each in (self._current, self._of_history_before))

    def pass_by(self, position: int, now: float) -> None:
        """Drop the minimums up to a position that the feed has reached: the feed keeps out what is older."""
        self._passed.expire(now)
        self._of_history_before.expire(now)
        if not self._current.by_user:
            return
        above: dict[str, Minimum] = {}
        for user_id, minimum in self._current.items():
            if minimum[0] > position:
                above[user_id] = minimum
            else:
                self._passed.add(user_id, (minimum[0], now + self._seconds))
        self._current.by_user = above

    def carry_over(self, until: float) -> None:
        """Keep all minimums until then: a store that seems to have another history of the epoch may only lag."""
        now = until - self._seconds
        carried = _Minimums()
        for minimums in (self._of_history_before, self._passed, self._current):
            for user_id, (position, ends) in minimums.items():
                if ends > now:
                    carried.add(user_id, (position, min(ends, until)))
            if minimums.for_all[1] > now:
                carried.for_all = _stricter(carried.for_all, (minimums.for_all[0], min(minimums.for_all[1], until)))
        self.clear()
        self._of_history_before = carried

    def change_epoch(self, left: str, entered: str) -> None:
        """
        Put aside what `carry_over` kept, since positions mean nothing in another epoch; take up what was put aside of
        the epoch that is entered: the late acknowledgement of an old write may have led away from it.
        """
        self._of_epochs_left = put(self._of_epochs_left, left, self._of_history_before)
        self._of_history_before = take(self._of_epochs_left, entered) or _Minimums()

    def clear(self) -> None:
        """Drop all minimums, except those of epochs left."""
        self._current, self._passed, self._of_history_before = _Minimums(), _Minimums(), _Minimums()


def _stricter(one: Minimum, other: Minimum) -> Minimum:
    return max(one[0], other[0]), max(one[1], other[1])
