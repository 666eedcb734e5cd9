"""
Mask confirmation: makes a filled mask true at the instant it is handed out (docs/protocol.md, "Masks").

It reads the changes since the oldest answer once, and asks again only for users that changed or whose history is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import attrs

from ..errors import StoreUnavailable
from ..stores.answers import Changes, Cursor
from .batching import BATCH
from .effects import ChangesSince, Effects, perform
from .exchanges import Exchanges
from .halving import BatchLoad, load_in_parts
from .limiter import LimitedCalls
from .masks import UNKNOWN, Mask

T = TypeVar("T")

ROUNDS = 2  # a mask that is confirmed too late is confirmed once more
AWAY = "nothing could be known of some users, so there is no mask: try again"
TOO_LATE = "the mask could not be confirmed in time: try again, or ask for fewer users"
OTHER_HISTORY = "the store's history was replaced while the mask was made: ask again"
CONTRADICTION = "the answer of the change feed is to another question or contradicts itself"


@attrs.frozen
class FeedWalk:
    """The changes since the oldest basis: the head they end at, when its page was asked for, and who changed."""

    cursor: Cursor
    sent_at: float
    changed: set[str] = attrs.field(repr=False)
    passed: set[Cursor]


@attrs.frozen
class MaskConfirmation:
    """
    Confirms one mask.

    Attributes:
        mask: What was answered.

        written: `Leases.watching_writes()`, from before the first answer on.

        calls: Runs each exchange within the deadline.
    """

    mask: Mask
    written: set[str] = attrs.field(repr=False)
    exchanges: Exchanges
    clock: Callable[[], float]
    calls: LimitedCalls

    def confirm(self, *, partly: bool) -> Effects[bytearray]:
        """
        Give the answers; with *partly*, `UNKNOWN` for users that could not be loaded.

        Raises:
            StoreUnavailable: the store does not answer, answers too late, or began another history.
        """
        for _ in range(ROUNDS):
            sent_at = yield from self._confirm_once()
            self.mask.deny(self.written)
            is_whole = partly or UNKNOWN not in self.mask.answers
            until = min(sent_at + self.exchanges.leases.length, self.mask.holds_until())
            if is_whole and self.clock() < until:  # the clock is read last
                return self.mask.answers
        raise StoreUnavailable(TOO_LATE if is_whole else AWAY)

    def _confirm_once(self) -> Effects[float]:
        """Ask again for users who may have changed. Gives when the first exchange that a yes rests on was sent."""
        bases = self.mask.bases()
        if not bases:
            sent_at = self.clock()
            yield from self._load_again(self.mask.take_back(set(), set(), sent_at), None)
            return sent_at
        oldest = min((basis.oldest for basis in bases.values()), key=lambda cursor: cursor.position)
        walk = yield from self._walk_feed(oldest)
        unconfirmed = set()
        for index, basis in bases.items():
            if not (yield from self._is_confirmed(basis.newest, walk)):
                unconfirmed.add(index)
        again = self.mask.take_back(walk.changed, unconfirmed, self.clock())
        self.mask.rest_on(walk.cursor)
        yield from self._load_again(again, walk.cursor)
        return walk.sent_at  # the loads were sent later

    def _walk_feed(self, after: Cursor) -> Effects[FeedWalk]:
        begun = self.clock()
        changed: set[str] = set()
        passed = {after}
        while True:
            sent_at = self.clock()
            changes = yield from self._read_page(ChangesSince(after))
            if not changes.is_continuation() or changes.cursor.epoch != after.epoch:
                raise StoreUnavailable(OTHER_HISTORY)
            is_last, moves_on = changes.complete is True, changes.cursor.position > after.position
            if not (is_last or (changes.complete is False and moves_on)) or not changes.is_within_page():
                raise StoreUnavailable(CONTRADICTION)
            changed.update(changes.user_ids)
            passed.add(changes.cursor)
            if changes.complete:
                return FeedWalk(changes.cursor, sent_at, changed, passed)
            if self.clock() > begun + ROUNDS * self.exchanges.leases.length:
                raise StoreUnavailable(TOO_LATE)
            after = changes.cursor

    def _is_confirmed(self, cursor: Cursor, walk: FeedWalk) -> Effects[bool]:
        """Whether *cursor* is in the walk's history. Asked after the walk, or a restore before it goes unnoticed."""
        if cursor in walk.passed:
            return True
        if cursor.position > walk.cursor.position:
            return False
        return (yield from self._read_page(ChangesSince(cursor, limit=1))).is_continuation()

    def _read_page(self, call: ChangesSince) -> Effects[Changes]:
        changes = yield from self._run(perform(call))
        if changes.after != call.after:
            raise StoreUnavailable(CONTRADICTION)
        return changes

    def _load_again(self, places: dict[str, list[int]], cursor: Cursor | None) -> Effects[None]:
        """Load these users at *cursor* or past it, and answer for them."""
        size = max(1, min(BATCH, self.exchanges.leases.capacity))
        user_ids = [user_id for user_id in places if user_id not in self.written]
        for start in range(0, len(user_ids), size):
            missing = user_ids[start : start + size]
            for _ in range(ROUNDS):  # rule 4: what could not be installed is fetched once more
                load = BatchLoad(dict.fromkeys(missing))
                yield from self._run(load_in_parts(self.exchanges, load))
                for user_id, user in load.users.items():
                    if cursor is None or _is_at_or_past(user.head(), cursor):
                        for place in places[user_id]:
                            self.mask.answer(place, user)
                missing = [user_id for user_id in missing if self.mask.answers[places[user_id][0]] == UNKNOWN]
                if not missing:
                    break

    def _run(self, effects: Effects[T]) -> Effects[T]:
        return self.calls.run(effects, self.calls.until())


def _is_at_or_past(head: Cursor, cursor: Cursor) -> bool:
    return head == cursor or (head.epoch == cursor.epoch and head.position > cursor.position)
