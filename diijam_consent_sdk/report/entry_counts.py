"""What the entries of a ledger add up to: who said yes and no to what in which month, requests, and erasures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

import attrs

from .. import events as e
from ..policy import BASIS, Basis
from ..record import consent_channels
from ..vocabulary import Channel, Method, Outcome, Purpose, RequestKind
from ..wording.numbers import month_of

Subject = tuple[Purpose, Channel | None]  # what a consent is for; marketing has a channel

SUBJECTS: tuple[Subject, ...] = tuple(
    (purpose, channel)
    for purpose, basis in BASIS.items()
    if basis is Basis.OPT_IN
    for channel in consent_channels(purpose, ())
)


@attrs.frozen
class MonthlyWord:
    """A yes or no to a subject, said in the month that begins on this day in Vietnam."""

    subject: Subject
    month: date
    is_yes: bool


Words = Mapping[MonthlyWord, int]


@attrs.frozen
class MonthlyErasure:
    """An erasure that was done in the month that begins on this day in Vietnam."""

    month: date
    anonymised: bool


@attrs.frozen
class EntryCounts:
    """
    How much the entries hold. Those that an erasure blanked are in none of the numbers.

    Attributes:
        entries: How many there are.

        imported_entries: How many of them were imported.

        users: How many users they are of.

        said: Yeses and noes to purposes that were said here, by the month of the entry.

        imported: Those that were imported, by the month in which they were said, as the importers claim.

        unregistered_sharings: How often a user was notified of a sharing by a notice that was not registered then.

        filed, outcomes: Requests that were filed, and how requests ended.

        erased: Erasures done.
    """

    entries: int
    imported_entries: int
    users: int
    said: Words
    imported: Words
    unregistered_sharings: int
    filed: Mapping[RequestKind, int]
    outcomes: Mapping[Outcome, int]
    erased: Mapping[MonthlyErasure, int]


def count_entries(entries: Iterable[e.LedgerEntry]) -> EntryCounts:
    """Count the entries of a ledger, all of them, in order. No entry is kept."""
    total = imported_total = users = unregistered = 0
    said, imported = Counter[MonthlyWord](), Counter[MonthlyWord]()
    filed, outcomes, erased = Counter[RequestKind](), Counter[Outcome](), Counter[MonthlyErasure]()
    for entry in entries:
        is_imported = entry.provenance.method is Method.IMPORT
        total += 1
        imported_total += is_imported
        users += entry.version == 1 or isinstance(entry.event, e.Erased)  # of an erased user only the tombstone is left
        (imported if is_imported else said).update(_words(entry))
        match entry.event:
            case e.Notified() if entry.notice_digest is None:
                unregistered += 1
            case e.RequestFiled(kind=kind):
                filed[kind] += 1
            case e.RequestResolved(outcome=outcome):
                outcomes[outcome] += 1
            case e.Erased(anonymised):
                erased[MonthlyErasure(month_of(entry.at), anonymised)] += 1
    return EntryCounts(total, imported_total, users, said, imported, unregistered, filed, outcomes, erased)


def _words(entry: e.LedgerEntry) -> Iterator[MonthlyWord]:
    """Yield the yeses or noes of an entry, one for each channel of marketing."""
    event = entry.event
    if isinstance(event, (e.Granted, e.Withdrawn)):
        month = month_of(entry.provenance.said_at or entry.at)
        for channel in consent_channels(event.purpose, event.channels):
            yield MonthlyWord((event.purpose, channel), month, isinstance(event, e.Granted))
