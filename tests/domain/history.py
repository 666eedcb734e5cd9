"""A ledger of one user in memory: it appends events as a store does, at the time a test sets."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

import attrs

from diijam_consent_sdk.decisions import Ask, Decision, decide
from diijam_consent_sdk.errors import InvalidEvent
from diijam_consent_sdk.events import NO_PROVENANCE, AccountOpened, Event, LedgerEntry, Provenance
from diijam_consent_sdk.holders import NO_HOLDERS, HolderRegistry
from diijam_consent_sdk.record import ConsentRecord, fold, refusal, unopened
from tests.strategies import START

USER_ID = "u-1"
POSITIONS_BEFORE = 100  # other users' entries, so that a position never equals a version


@attrs.define
class History:
    """
    What happened to one user. `at` is the store's time for what comes next: set it, or `tick`. `holders` are those
    registered then.
    """

    at: datetime = START
    record: ConsentRecord = attrs.field(factory=lambda: unopened(USER_ID))
    entries: list[LedgerEntry] = attrs.field(factory=list)
    holders: HolderRegistry = NO_HOLDERS

    def tick(self, seconds: float) -> Self:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)
        return self

    def append(self, *events: Event, provenance: Provenance = NO_PROVENANCE) -> Self:
        """
        Append all of *events* or none, each judged on the record after those before it.

        Raises:
            InvalidEvent: the policy refuses one of them; the text is its reason.
        """
        record, entries = self.record, list(self.entries)
        for event in events:
            reason = refusal(record, event, self.at, provenance=provenance, holders=self.holders)
            if reason is not None:
                raise InvalidEvent(reason)
            position = POSITIONS_BEFORE + len(entries) + 1
            entries.append(LedgerEntry(position, USER_ID, record.version + 1, self.at, event, provenance))
            record = fold(record, entries[-1])
        self.record, self.entries = record, entries
        return self

    def play(self, *steps: Event | int, provenance: Provenance = NO_PROVENANCE) -> Self:
        """Append each event by itself; a number lets that many seconds pass."""
        for step in steps:
            if isinstance(step, int):
                self.tick(step)
            else:
                self.append(step, provenance=provenance)
        return self

    def attempt(self, *events: Event, provenance: Provenance = NO_PROVENANCE) -> bool:
        """`append`, and whether the policy took it."""
        try:
            self.append(*events, provenance=provenance)
        except InvalidEvent:
            return False
        return True

    def decide(self, ask: Ask) -> Decision:
        """The answer to *ask* now."""
        return decide(self.record, ask, self.at)


def opened(*steps: Event | int) -> History:
    """The history of a user who opened an account, and of what came next."""
    return History().play(AccountOpened(), *steps)


def seconds(count: float) -> datetime:
    """The instant so many seconds after the start of every history."""
    return START + timedelta(seconds=count)
