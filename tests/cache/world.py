"""Leases and a clock, with every time given, and records to put into them."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from unittest import mock

import attrs

from diijam_consent_sdk import Channel, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.cache.compiled import AnswerPool, Answers
from diijam_consent_sdk.cache.counters import Counters
from diijam_consent_sdk.cache.generation import Basis, Generation
from diijam_consent_sdk.cache.leases import Leases
from diijam_consent_sdk.cache.pending_writes import Write
from diijam_consent_sdk.cache.user import UserConsent
from diijam_consent_sdk.record import ConsentRecord, fold, unopened
from diijam_consent_sdk.standing import EVERY_ASK, View, standing_of
from diijam_consent_sdk.stores import Changes, Cursor
from diijam_consent_sdk.stores.protocol import StandingRow, Standings
from diijam_consent_sdk.stores.standings import encode_standing
from diijam_consent_sdk.testing import LeaseClock

AT = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
B = 60.0
L = B * 0.999 - 0.01


def head(position: int, epoch: str = "one") -> Cursor:
    """A cursor whose hash follows from epoch and position, as in an unbroken history."""
    return Cursor(epoch, position, f"{epoch}-{position}")


def consenting(user_id: str = "u", version: int = 2, expires_at: datetime | None = None) -> ConsentRecord:
    """A record that allows marketing by e-mail."""
    record = unopened(user_id)
    granted = e.Granted("marketing", notice="n", channels={"email"}, expires_at=expires_at)
    happened: tuple[e.Event, ...] = (e.AccountOpened(), granted)
    for number, event in enumerate(happened, start=1):
        record = fold(record, e.LedgerEntry(number, user_id, number, AT, event))
    return attrs.evolve(record, version=version)


def answers_of(
    record: ConsentRecord, at: datetime = AT, view: View = EVERY_ASK, pool: AnswerPool | None = None
) -> Answers:
    """The answers of a record, for the asks of a view; by another pool each time unless one is given."""
    pool = pool or AnswerPool(Counters().by_decision)
    return pool.compile(encode_standing(standing_of(record, at).narrowed(view)), view, at)[0]


CHOICES = answers_of(consenting())


def withdrawn(user_id: str = "u") -> ConsentRecord:
    """The same user after saying no."""
    return fold(consenting(user_id), e.LedgerEntry(3, user_id, 3, AT, e.Withdrawn("marketing")))


def made(
    generation: Generation, user_id: str = "u", position: int = 10, *, until: float = inf, valid_until: float = inf
) -> UserConsent:
    """A user who may be mailed, as from a load, but in no client's memory."""
    return UserConsent(
        user_id=user_id, version=1, _answers=CHOICES, _basis=Basis(head(position), AT, until),
        _generation=generation, _ends_at=valid_until,
    )  # fmt: skip


def fast_answers(leases: Leases, user_id: str) -> Answers | None:
    """What the fast path alone answers."""
    with mock.patch.object(leases, "_own_answers", return_value=None):
        return leases.answers(user_id)


def standing_bytes(record: ConsentRecord, view: View = EVERY_ASK) -> bytes:
    """The bytes of a record's standing, for the asks of a view."""
    return encode_standing(standing_of(record, AT).narrowed(view))


def standings(*records: ConsentRecord, at: Cursor | None = None, view: View = EVERY_ASK) -> Standings:
    """A store's answer, for the asks of a view."""
    rows = tuple(StandingRow(each.user_id, each.version, standing_bytes(each, view)) for each in records)
    return Standings(at or head(10), AT, view, rows)


class World:
    """Leases and a clock, with the two exchanges in one call each."""

    def __init__(self, *, follow: bool = True, capacity: int = 100) -> None:
        self.clock = LeaseClock()
        self.leases = Leases(max_staleness=B, capacity=capacity, clock=self.clock, follow=follow)

    def load(self, *records: ConsentRecord, at: Cursor | None = None, view: View = EVERY_ASK) -> dict[str, UserConsent]:
        """A fetch that is answered at once."""
        fetch = self.leases.begin_fetch([record.user_id for record in records], self.clock.now)
        return self.leases.finish_fetch(fetch, standings(*records, at=at, view=view), self.clock.now)

    def begin_write(self, user_id: str, *, takes_away: bool = False) -> Write:
        """Begin a write."""
        write = Write(user_id, takes_away)
        self.leases.begin_write(write)
        return write

    def cover(self, *users: UserConsent) -> None:
        """Guards in one step asked these themselves, and the store answered something since."""
        for user in users:
            self.leases.ask_for_fast_path(user)
        self.leases.finish_fetch(self.leases.begin_fetch((), self.clock.now), None, self.clock.now)

    def poll(
        self,
        cursor: Cursor,
        users: dict[str, int] | None = None,
        *,
        complete: bool = True,
        waited: float = 0.0,
        view: View = EVERY_ASK,
    ) -> None:
        """A poll that is answered at once."""
        assert self.leases.applied is not None
        poll = self.leases.begin_poll(self.leases.applied, self.clock.now)
        self.clock.tick(waited)
        changes = Changes(poll.after, cursor, users or {}, complete, waited, view)
        self.leases.finish_poll(poll, changes, self.clock.now)


def reason(user: UserConsent) -> Reason:
    """Why this user may or may not be mailed."""
    return user.can_market(Channel.EMAIL).reason
