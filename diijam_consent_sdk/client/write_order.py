"""
A write whose outcome is not definite yet, and what keeps its yes from being written after a no that was said later.

A yes that is repeated, after a customer's later no is written, is repeated with the version before that no: the ledger
refuses it, or tells that it was written before (protocol.md, rule 8).
"""

from __future__ import annotations

import uuid
from math import inf

import attrs

from .._threads import Promise
from ..cache.pending_writes import Write
from ..events import (
    AccountClosed,
    AccountOpened,
    Agreed,
    Event,
    Granted,
    ObjectionLifted,
    Published,
    RestrictionLifted,
    is_no,
)
from ..stores.answers import Appended, Cursor
from .effects import Append

YESES = (Granted, Agreed, Published, ObjectionLifted, RestrictionLifted)


@attrs.define(eq=False)
class PendingWrite:
    """An append whose outcome is not definite yet."""

    append: Append = attrs.field(repr=False)
    takes_away: bool
    outcome: Promise[Appended] = attrs.field(factory=Promise)
    write: Write = attrs.field(
        default=attrs.Factory(lambda self: Write(self.user_id, self.takes_away), takes_self=True), init=False
    )
    is_denied: bool = False  # its user is, for this write
    is_unknown: bool = False  # it may have been written
    has_failed: bool = False  # a try of it ended without an outcome, so there is another one
    is_left: bool = False  # its caller left with its outcome unknown, so only this client sees it through
    not_before: float = -inf  # of the lease clock: when it may be sent again
    number: int = 0  # in the order of `record`
    later: tuple[tuple[Append, Cursor], ...] = ()  # noes that were said after its yes, and are written
    follows: Cursor | None = None  # where a yes stands that was said before its no
    may_conflict: bool = attrs.field(  # its caller expects a version
        default=attrs.Factory(lambda self: self.append.expected_version is not None, takes_self=True), init=False
    )
    worker: object = None  # identifies the effects that work on it; None: none do

    @property
    def user_id(self) -> str:
        """The user it is about."""
        return self.append.user_id

    def has_no(self) -> bool:
        """Whether it takes any permission away."""
        return any(map(is_no, self.append.events))

    def go_on_with(self, events: tuple[Event, ...]) -> None:
        """Write these instead, under another key, whatever became of the caller."""
        key = uuid.uuid4().hex
        self.append = attrs.evolve(self.append, events=events, expected_version=None, idempotency_key=key)
        self.later, self.follows, self.is_left = (), None, True

    def overtake(self, later: Append, written: Cursor, before: int) -> None:
        """
        Keep its yes from being written after a no that was said later.

        With the version *before* the no, the store refuses the yes, unless it was written before: then it is a repeat.
        """
        self.later += ((later, written),)
        if self.append.expected_version is None:
            self.append = attrs.evolve(self.append, expected_version=before)

    def overtaken_noes(self, cursor: Cursor) -> tuple[Event, ...]:
        """
        The noes that stand before a yes, though said after it, once this is written at *cursor*: a try of the yes was
        under way when the no was written.
        """
        before = [append for append, written in self.later if not _is_after(written, cursor)]
        if self.follows is not None and not _is_after(cursor, self.follows):
            before.append(self.append)
        return tuple(event for append in before for event in append.events if is_no(event))

    def left_of_it(self) -> tuple[Event, ...]:
        """Its events, without those that would give back what was taken away later."""
        return self.without_yes(tuple(event for append, _ in self.later for event in append.events))

    def without_yes(self, later: tuple[Event, ...]) -> tuple[Event, ...]:
        """Its events, without those that would give back what *later* ones take away."""
        closes = any(isinstance(event, AccountClosed) for event in later)
        gives = (*YESES, AccountOpened) if closes else YESES
        return tuple(event for event in self.append.events if not isinstance(event, gives))


def is_yes_before(pending: PendingWrite, later: PendingWrite) -> bool:
    """Whether a write is repeated that began before another one of its user, and would give back what that takes."""
    is_before = pending.number < later.number and pending.user_id == later.user_id
    is_repeated = (pending.is_left or pending.has_failed) and not pending.may_conflict
    return is_before and is_repeated and pending.without_yes(later.append.events) != pending.append.events


def waits_for(pending: PendingWrite, later: PendingWrite, now: float) -> bool:
    """Whether a write is repeated only once a later no is written. A no waits for none that may not be written."""
    is_held_up = later.not_before > now
    return later.has_no() and is_yes_before(pending, later) and not (pending.has_no() and is_held_up)


def _is_after(one: Cursor, other: Cursor) -> bool:
    return one.epoch == other.epoch and one.position > other.position
