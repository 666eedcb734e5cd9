"""
A write whose outcome is not definite yet, and what keeps its yes from standing after a no that was said later.

The tries of a write may arrive late and in any order, and an answer may be lost. So whatever became of a yes, a no that
was said later is written once more, under the key of the yes. A try of the yes that arrives after that is refused, as
the key is used, while events that only take away are written under any key (protocol.md, rule 8).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from math import inf

import attrs

from .._threads import Promise
from ..cache.pending_writes import Write
from ..errors import OutcomeUnknown
from ..events import (
    YESES,
    AccountClosed,
    AccountOpened,
    AgreementWithdrawn,
    Event,
    Hidden,
    Objected,
    Restricted,
    Withdrawn,
    is_no,
)
from ..stores.answers import Appended, Cursor
from .effects import Append

OVERTAKEN = (
    "a no of the user that was said later holds, whether or not this was written before it: load the user to see what"
    " was, then decide what to write"
)
SAID_AGAIN = (Withdrawn, AgreementWithdrawn, Objected, Restricted, Hidden)  # a closing or a request stands as it is


@attrs.define(eq=False)
class PendingWrite:
    """An append whose outcome is not definite yet."""

    append: Append = attrs.field(repr=False)  # what is written now
    takes_away: bool
    outcome: Promise[Appended] = attrs.field(factory=Promise)
    write: Write = attrs.field(
        default=attrs.Factory(lambda self: Write(self.user_id, self.takes_away), takes_self=True), init=False
    )
    is_denied: bool = False  # whether its user is denied because of it
    is_unknown: bool = False  # a try of it may have been carried out
    is_in_doubt: bool = False  # a try that was given up may still be carried out, as its key is not used
    is_left: bool = False  # its caller left with its outcome unknown, so only this client sees it through
    not_before: float = -inf  # of the lease clock: when it may be sent again
    number: int = 0  # in the order of `record`
    said: Append = attrs.field(default=attrs.Factory(lambda self: self.append, takes_self=True), init=False, repr=False)
    later: list[tuple[Append, Cursor | None]] = attrs.field(factory=list, repr=False)  # see `note_later`
    earlier: list[tuple[str, Cursor | None]] = attrs.field(factory=list, repr=False)  # see `note_earlier`
    steps: list[Append] = attrs.field(factory=list, repr=False)  # what is written after `append`
    end: Appended | Exception | None = None  # what its caller gets after the last step; None: undecided
    written: Cursor | None = None  # of the last of its appends that was written
    worker: object = None  # identifies the effects that work on it; None: none do

    @property
    def user_id(self) -> str:
        """The user it is about."""
        return self.append.user_id

    def has_no(self) -> bool:
        """Whether what is written now takes any permission away."""
        return any(map(is_no, self.append.events))

    def said_no(self) -> bool:
        """Whether its caller took any permission away."""
        return any(map(is_no, self.said.events))

    def said_yes(self) -> bool:
        """Whether its caller gave any permission."""
        return any(isinstance(event, YESES) for event in self.said.events)

    def may_write_no(self) -> bool:
        """Whether a no may still be written for it: its caller's, or one that is said again."""
        return self.said_no() or bool(self.later) or self.end is not None

    def gives_back(self, said: Append) -> bool:
        """Whether it gives back what the noes of *said* take away."""
        return any(isinstance(event, _given_back([said])) for event in self.said.events)

    def is_overtaken(self) -> bool:
        """
        Whether its yes must not be sent any more, because the user said a no after it.

        A later no that is in the ledger always stops the yes. One that the ledger refused (its cursor is None) stops
        only a yes that may have been sent: such a no is then written again, under the key of the yes. If the yes was
        never sent, the refused no is over, as its caller knows, and the yes goes on.
        """
        return self.end is None and any(self.is_unknown or no is not None for _, no in self.later)

    def note_later(self, said: Append, written: Cursor | None) -> None:
        """
        Note a no that was said after its yes, and where it stands.

        None: the ledger refused it, perhaps for want of this yes, which may have the notice that the no names.
        """
        self.later.append((said, written))

    def note_earlier(self, key: str, written: Cursor | None) -> None:
        """Note a yes that was said before its no, by its key, and where it stands; None: it may still be written."""
        self.earlier.append((key, written))

    def give_way(self) -> None:
        """
        Give its yes up for the noes that were said later: write the rest of it, then these under its key.

        The rest comes first, for it may be what a no needs, such as a notice. It gets a new key, as it does not only
        take away.
        """
        given_up = _given_back(said for said, _ in self.later)
        rest = tuple(event for event in self.said.events if not isinstance(event, given_up))
        key = uuid.uuid4().hex
        self.steps.append(attrs.evolve(self.said, events=rest, expected_version=None, idempotency_key=key))
        self.end, self.is_in_doubt = OutcomeUnknown(OVERTAKEN, self.said.idempotency_key), True

    def note_written(self, written: Appended) -> None:
        """
        Note that it, or a step of it, was written. A no that was said later than a yes and stands before it in the
        ledger has to be said again.
        """
        self.written = cursor = written.cursor
        self.is_in_doubt &= self.append.idempotency_key != self.said.idempotency_key
        if self.end is None:
            self.end = written
            self.later = [(said, no) for said, no in self.later if no and not _is_after(no, cursor)]
        self.steps += [_again(self.append, key) for key, yes in self.earlier if not (yes and _is_after(cursor, yes))]
        self.earlier = []

    def go_on(self) -> bool:
        """Begin the next step, and return whether there was one."""
        if self.end is not None:
            self.steps += [_again(said, self.said.idempotency_key) for said, _ in self.later]
            self.later = []
        while self.steps:
            self.append, self.is_left, self.is_unknown = self.steps.pop(0), True, False
            if self.append.events:
                return True
        return False


def _given_back(noes: Iterable[Append]) -> tuple[type[Event], ...]:
    """Tell which events give back what these take away."""
    closes = any(isinstance(event, AccountClosed) for said in noes for event in said.events)
    return (*YESES, AccountOpened) if closes else YESES


def noes_to_repeat(said: Append) -> tuple[Event, ...]:
    """Return the noes of an append that may be said again."""
    return tuple(event for event in said.events if isinstance(event, SAID_AGAIN))


def _again(said: Append, key: str) -> Append:
    """Make the append that says the noes of another one again."""
    return attrs.evolve(said, events=noes_to_repeat(said), expected_version=None, idempotency_key=key)


def is_said_after(later: PendingWrite, pending: PendingWrite) -> bool:
    """Whether a write of the same user takes away what one that was said before it gives."""
    is_after = later.number > pending.number and later.user_id == pending.user_id
    return is_after and later.said_no() and pending.gives_back(later.said)


def waits_for(pending: PendingWrite, other: PendingWrite, now: float) -> bool:
    """
    Whether a write is sent only once another one of its user is definite.

    A yes waits for a later no. A new yes also waits for noes that were said before it, as these might be written after
    it. A no waits for none that may not be written.
    """
    if pending.end is not None:
        return False
    is_held_up = other.not_before > now
    if is_said_after(other, pending):
        return not (pending.has_no() and (is_held_up or not pending.is_unknown))
    if pending.is_unknown or pending.has_no():
        return False
    is_before = other.number < pending.number and other.user_id == pending.user_id and other.may_write_no()
    return is_before and pending.gives_back(other.said) and not is_held_up


def _is_after(one: Cursor, other: Cursor) -> bool:
    return one.epoch == other.epoch and one.position > other.position
