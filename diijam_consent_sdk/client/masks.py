"""
Masks: answers for many users that hold together, at the instant they are handed out (docs/protocol.md, "Masks").

A mask is filled in batches, from a source or a store that may be slow. When the last batch is in, the first answers
may be older than the bound on a stale yes. So each yes keeps what it rests on, and before the mask is handed out the
changes since then are read once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from math import inf
from typing import Any

import attrs

from ..cache.compiled import NO_ANSWERS
from ..cache.user import Generation, UserConsent
from ..decisions import Ask, Decision
from ..errors import StoreUnavailable
from ..stores.protocol import Changes, Cursor
from .batching import BATCH
from .effects import Call, Steps
from .exchanges import Exchanges
from .halving import Parts, load_in_parts

NO, YES, UNKNOWN = 0, 1, 2
ROUNDS = 2  # a mask that is confirmed too late is confirmed once more
AWAY = "nothing could be known of some users, so there is no mask: try again"
TOO_LATE = "the mask could not be confirmed in time: try again, or ask for fewer users"
OTHER_HISTORY = "the store's history was replaced while the mask was made: ask again"
CONTRADICTION = "the answer of the change feed is to another question or contradicts itself"


@attrs.define
class Basis:
    """What answers rest on: the cursors of one history, from the oldest to the newest."""

    oldest: Cursor
    newest: Cursor


@attrs.frozen
class Walk:
    """What the changes since the oldest basis showed: the head, when its page was sent, and the users named."""

    cursor: Cursor
    sent_at: float
    named: set[str] = attrs.field(repr=False)
    shown: set[Cursor]


class Mask:
    """
    Answers for users in order, and what each yes rests on. Not thread-safe.

    Args:
        ask: What is asked of each user.

        on_no: Called with each no.
    """

    def __init__(self, ask: Ask, on_no: Callable[[Decision], None]) -> None:
        self.answers = bytearray()
        self._ask = ask
        self._on_no = on_no
        self._ids: list[str] = []
        self._basis_of = array("I")  # by place: the number of its basis
        self._bases: list[Basis] = []
        self._numbers: dict[Generation | Cursor, int] = {}
        self._ends: dict[int, float] = {}  # by place of a yes: when it ends by itself; most never do

    def add(self, users: Iterable[UserConsent], generation: Generation, applied: Cursor | None) -> bool:
        """Answer for the next users, with `Leases.feed()` as read before; whether each of them has an answer."""
        first = len(self._ids)
        for place, user in enumerate(users, first):
            self._ids.append(user.user_id)
            self._basis_of.append(0)
            self.answers.append(UNKNOWN)
            self.answer(place, user, generation, applied)
        return self.answers.find(UNKNOWN, first) < 0

    def answer(
        self, place: int, user: UserConsent, generation: Generation | None = None, applied: Cursor | None = None
    ) -> None:
        """Answer for the user at *place*. A yes that the feed does not cover rests on the head of the user's load."""
        answers = user.answers()
        if answers in NO_ANSWERS:
            return
        decision = answers.decide(self._ask)
        if not decision.allowed:
            self.answers[place] = NO
            self._on_no(decision)
            return
        self.answers[place] = YES
        head = user.head()
        if generation and applied and user.is_in(generation) and head.position <= applied.position:
            self._basis_of[place] = self._number(generation, applied)
        else:
            self._basis_of[place] = self._number(head, head)
        ends_at = user.compiled()[1]
        if ends_at < inf:
            self._ends[place] = ends_at

    def bases(self) -> dict[int, Basis]:
        """What a yes rests on now, by number."""
        used = {number for number, answer in zip(self._basis_of, self.answers, strict=True) if answer == YES}
        return {number: self._bases[number] for number in used}

    def take_back(self, named: set[str], unconfirmed: set[int], now: float) -> dict[str, list[int]]:
        """The users without an answer, by id with their places; each yes that may be over by *now* is one no more."""
        taken = {place for place, ends_at in self._ends.items() if not now < ends_at}
        for place, user_id in enumerate(self._ids) if named or unconfirmed else ():
            if self.answers[place] == YES and (user_id in named or self._basis_of[place] in unconfirmed):
                taken.add(place)
        for place in taken:
            self._set(place, UNKNOWN)
        return self._unknown()

    def rest_on(self, cursor: Cursor) -> None:
        """Each yes held at *cursor* too."""
        self._bases, self._numbers = [Basis(cursor, cursor)], {cursor: 0}
        self._basis_of = array("I", [0]) * len(self._ids)

    def deny(self, written: set[str]) -> None:
        """No yes for users with a write of this process: those already there, and those that come while this looks."""
        denied: set[str] = set()
        while new := written.copy() - denied:
            denied |= new
            for place, user_id in enumerate(self._ids):
                if user_id in new:
                    self._set(place, NO)

    def forget(self) -> None:
        """No yes could be confirmed."""
        self.answers = self.answers.replace(bytes([YES]), bytes([UNKNOWN]))
        self._ends.clear()

    def first_end(self) -> float:
        """Until when each yes holds if nothing happens."""
        return min(self._ends.values(), default=inf)

    def _set(self, place: int, answer: int) -> None:
        self.answers[place] = answer
        self._ends.pop(place, None)

    def _unknown(self) -> dict[str, list[int]]:
        places: dict[str, list[int]] = {}
        place = self.answers.find(UNKNOWN)
        while place >= 0:
            places.setdefault(self._ids[place], []).append(place)
            place = self.answers.find(UNKNOWN, place + 1)
        return places

    def _number(self, key: Generation | Cursor, cursor: Cursor) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._bases)
            self._bases.append(Basis(cursor, cursor))
        elif cursor.position > self._bases[number].newest.position:
            self._bases[number].newest = cursor
        return number


@attrs.frozen
class Confirming:
    """
    Makes a mask true at the instant it is handed out.

    Attributes:
        mask: What was answered.

        written: `Leases.watching_writes()`, from before the first answer on.

        run: Runs steps within a deadline of their own.
    """

    mask: Mask
    written: set[str] = attrs.field(repr=False)
    exchanges: Exchanges
    clock: Callable[[], float]
    run: Callable[[Steps[Any]], Steps[Any]]

    def confirmed(self, *, partly: bool) -> Steps[bytearray]:
        """
        The answers; with *partly* `UNKNOWN` where there is none.

        Raises:
            StoreUnavailable: the store does not answer, answers too late, or began another history.
        """
        for _ in range(ROUNDS):
            sent_at = yield from self._confirm()
            self.mask.deny(self.written)
            is_whole = partly or UNKNOWN not in self.mask.answers
            until = min(sent_at + self.exchanges.leases.length, self.mask.first_end())
            if is_whole and self.clock() < until:  # the clock is read last
                return self.mask.answers
        raise StoreUnavailable(TOO_LATE if is_whole else AWAY)

    def _confirm(self) -> Steps[float]:
        """Ask again whoever may have changed; when the first question that a yes now rests on was sent."""
        bases = self.mask.bases()
        if not bases:
            sent_at = self.clock()
            yield from self._load_again(self.mask.take_back(set(), set(), sent_at), None)
            return sent_at
        walk: Walk = yield from self._walk(min((basis.oldest for basis in bases.values()), key=lambda c: c.position))
        unconfirmed = set()
        for number, basis in bases.items():
            if not (yield from self._is_confirmed(basis.newest, walk)):
                unconfirmed.add(number)
        again = self.mask.take_back(walk.named, unconfirmed, self.clock())
        self.mask.rest_on(walk.cursor)
        yield from self._load_again(again, walk.cursor)
        return walk.sent_at  # these loads were sent later

    def _walk(self, after: Cursor) -> Steps[Walk]:
        begun = self.clock()
        named: set[str] = set()
        shown = {after}
        while True:
            sent_at = self.clock()
            changes = yield from self._changes(after)
            if not changes.is_continuation() or changes.cursor.epoch != after.epoch:
                raise StoreUnavailable(OTHER_HISTORY)
            if not _is_page(changes):
                raise StoreUnavailable(CONTRADICTION)
            named.update(changes.user_ids)
            shown.add(changes.cursor)
            if changes.complete:
                return Walk(changes.cursor, sent_at, named, shown)
            if self.clock() > begun + ROUNDS * self.exchanges.leases.length:
                raise StoreUnavailable(TOO_LATE)
            after = changes.cursor

    def _is_confirmed(self, cursor: Cursor, walk: Walk) -> Steps[bool]:
        """Whether the walk went by this cursor. Asked after the walk: a restore before it must not go unnoticed."""
        if cursor in walk.shown:
            return True
        if cursor.position > walk.cursor.position:
            return False
        return (yield from self._changes(cursor, limit=1)).is_continuation()

    def _changes(self, after: Cursor, **options: int) -> Steps[Changes]:
        changes: Changes = yield from self.run(_one(Call("changes", (after,), {"wait": 0.0, **options})))
        if changes.after != after:
            raise StoreUnavailable(CONTRADICTION)
        return changes

    def _load_again(self, places: dict[str, list[int]], cursor: Cursor | None) -> Steps[None]:
        """Load these users at *cursor* or past it."""
        size = max(1, min(BATCH, self.exchanges.leases.capacity))
        user_ids = [user_id for user_id in places if user_id not in self.written]
        for start in range(0, len(user_ids), size):
            missing = user_ids[start : start + size]
            for _ in range(ROUNDS):  # rule 4: what could not be installed is fetched once more
                load = Parts(dict.fromkeys(missing))
                yield from self.run(load_in_parts(self.exchanges, load))
                for user_id, user in load.users.items():
                    if cursor is None or _is_at_or_past(user.head(), cursor):
                        for place in places[user_id]:
                            self.mask.answer(place, user)
                missing = [u for u in missing if self.mask.answers[places[u][0]] == UNKNOWN]
                if not missing:
                    break


def _one(call: Call) -> Steps[Any]:
    return (yield call)


def _is_page(changes: Changes) -> bool:
    first, last = changes.after.position, changes.cursor.position
    moves_on = changes.complete is True or (changes.complete is False and last > first)
    return moves_on and all(first < position <= last for position in changes.user_ids.values())


def _is_at_or_past(head: Cursor, cursor: Cursor) -> bool:
    return head == cursor or (head.epoch == cursor.epoch and head.position > cursor.position)
