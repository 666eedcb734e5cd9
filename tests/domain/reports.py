"""Reports on made-up ledgers, from the entries and records of their users."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import attrs

from diijam_consent_sdk.decisions import Ask, Share
from diijam_consent_sdk.documents.asks import every_ask
from diijam_consent_sdk.due import due
from diijam_consent_sdk.events import Erased, LedgerEntry
from diijam_consent_sdk.holders import NO_HOLDERS, HolderRegistry
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.report import Alike, Report, count_answers, count_entries, count_work
from diijam_consent_sdk.standing import standing_of

ASKS = tuple(every_ask([Share("acme-records", ["username"], "marketing")]))


@attrs.frozen
class Person:
    """A user of the ledger: the record, and the entries that made it."""

    record: ConsentRecord
    entries: Sequence[LedgerEntry]

    def left(self) -> list[LedgerEntry]:
        """The entries that an erasure left."""
        return [*(self.entries[-1:] if self.entries and isinstance(self.entries[-1].event, Erased) else self.entries)]


def report_of(
    people: Iterable[Person], at: datetime, asks: Sequence[Ask] = ASKS, holders: HolderRegistry = NO_HOLDERS
) -> Report:
    """The report on a ledger that has these people."""
    people = list(people)
    entries = count_entries(entry for person in people for entry in person.left())
    known = [person.record for person in people if person.entries]
    answers = count_answers(asks, [Alike(standing_of(record, at), at, 1) for record in known])
    return Report(at, "epoch.200.beef", entries, answers, count_work(due([record], at, holders) for record in known))
