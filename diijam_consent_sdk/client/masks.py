"""
Masks: one byte per user for a whole audience, filled batch by batch from a store that may be slow (docs/protocol.md,
"Masks").

When the last batch arrives, the first answers may be older than the bound on a stale yes. So a mask keeps what each yes
rests on, for `mask_confirmation` to confirm before the mask is handed out.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from math import inf

import attrs

from ..cache.compiled import NO_ANSWERS
from ..cache.generation import Generation
from ..cache.user import UserConsent
from ..decisions import Ask, Decision, check_entitled
from ..stores.answers import Cursor

NO, YES, UNKNOWN = 0, 1, 2
NOBODY = ""  # in place of what is no id


@attrs.define
class Basis:
    """What answers rest on: the cursors of one history, from the oldest to the newest."""

    oldest: Cursor
    newest: Cursor


class Mask:
    """
    Answers for users in order, and what each yes rests on. Not thread-safe.

    A basis costs one number per user, since all users that the feed covers share one.

    Args:
        ask: What is asked of each user.

        on_no: Called with each no.
    """

    def __init__(self, ask: Ask, on_no: Callable[[Decision], None]) -> None:
        self.answers = bytearray()
        self._ask = ask
        self._on_no = on_no
        self._ids: list[str] = []
        self._basis_of = array("I")  # by place: the index of its basis
        self._bases: list[Basis] = []
        self._indexes: dict[Generation | Cursor, int] = {}
        self._ends: dict[int, float] = {}  # by place of a yes: when it ends by itself; most never do

    def add(self, users: Iterable[UserConsent], generation: Generation, applied: Cursor | None) -> bool:
        """Answer for the next users, given `Leases.feed()` as read before. Whether every one of them has an answer."""
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
        """
        Answer for the user at *place*. A yes that the feed does not cover rests on the head of the user's load.

        Raises:
            NotEntitled: the store gives this client no answers to such asks.
        """
        answers = user.answers()
        if answers in NO_ANSWERS:
            return
        decision = check_entitled(answers.decide(self._ask), self._ask)
        if not decision.allowed:
            self.answers[place] = NO
            self._on_no(decision)
            return
        self.answers[place] = YES
        head = user.head()
        if generation and applied and user.is_in(generation) and head.position <= applied.position:
            self._basis_of[place] = self._index_of(generation, applied)
        else:
            self._basis_of[place] = self._index_of(head, head)
        ends_at = user.compiled()[1]
        if ends_at < inf:
            self._ends[place] = ends_at

    def leave_out(self, places: list[int]) -> None:
        """Answer no at these places, which hold no id; the users there and behind them move on."""
        if not places:
            return
        size, left_out = len(self._ids) + len(places), set(places)
        moved_to = [place for place in range(size) if place not in left_out]
        ids, basis_of, answers = [NOBODY] * size, array("I", bytes(size * self._basis_of.itemsize)), bytearray(size)
        for number, place in enumerate(moved_to):
            ids[place], basis_of[place], answers[place] = (
                self._ids[number],
                self._basis_of[number],
                self.answers[number],
            )
        self._ids, self._basis_of, self.answers = ids, basis_of, answers
        self._ends = {moved_to[number]: ends_at for number, ends_at in self._ends.items()}

    def bases(self) -> dict[int, Basis]:
        """The bases that some yes rests on now, by index."""
        used = {index for index, answer in zip(self._basis_of, self.answers, strict=True) if answer == YES}
        return {index: self._bases[index] for index in used}

    def take_back(self, changed: set[str], unconfirmed: set[int], now: float) -> dict[str, list[int]]:
        """
        Take back each yes that may not hold any more: of a changed user, on an unconfirmed basis, or ended by *now*.

        Gives the places of all users without an answer, by id.
        """
        taken = {place for place, ends_at in self._ends.items() if not now < ends_at}
        for place, user_id in enumerate(self._ids) if changed or unconfirmed else ():
            if self.answers[place] == YES and (user_id in changed or self._basis_of[place] in unconfirmed):
                taken.add(place)
        for place in taken:
            self._set(place, UNKNOWN)
        return self._unknown_places()

    def rest_on(self, cursor: Cursor) -> None:
        """Note that each yes held at *cursor* too."""
        self._bases, self._indexes = [Basis(cursor, cursor)], {cursor: 0}
        self._basis_of = array("I", [0]) * len(self._ids)

    def deny(self, written: set[str]) -> None:
        """Answer no for users with a write of this process, also for those who join *written* meanwhile."""
        denied: set[str] = set()
        while new := written.copy() - denied:
            denied |= new
            for place, user_id in enumerate(self._ids):
                if user_id in new:
                    self._set(place, NO)

    def forget_yes(self) -> None:
        """Turn each yes into `UNKNOWN`: none could be confirmed."""
        self.answers = self.answers.replace(bytes([YES]), bytes([UNKNOWN]))
        self._ends.clear()

    def holds_until(self) -> float:
        """The first instant at which a yes ends by itself, on the lease clock."""
        return min(self._ends.values(), default=inf)

    def _set(self, place: int, answer: int) -> None:
        self.answers[place] = answer
        self._ends.pop(place, None)

    def _unknown_places(self) -> dict[str, list[int]]:
        places: dict[str, list[int]] = {}
        place = self.answers.find(UNKNOWN)
        while place >= 0:
            places.setdefault(self._ids[place], []).append(place)
            place = self.answers.find(UNKNOWN, place + 1)
        return places

    def _index_of(self, key: Generation | Cursor, cursor: Cursor) -> int:
        index = self._indexes.get(key)
        if index is None:
            index = self._indexes[key] = len(self._bases)
            self._bases.append(Basis(cursor, cursor))
        elif cursor.position > self._bases[index].newest.position:
            self._bases[index].newest = cursor
        return index
