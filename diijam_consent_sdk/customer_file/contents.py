"""What is in a customer's file, before it is written in one form or another."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import attrs

from ..events import LedgerEntry
from ..record import ConsentRecord
from ..vocabulary import Account, Language
from ..wording import describe_event
from .shown import Notices, Shown, words_shown


@attrs.frozen
class Contents:
    """The fields of a `CustomerFile`, and what follows from them."""

    language: Language
    made_at: datetime
    head: str
    record: ConsentRecord = attrs.field(repr=False)
    entries: Sequence[LedgerEntry] = attrs.field(repr=False)
    notices: Notices = attrs.field(repr=False)

    @property
    def user_id(self) -> str:
        """Whose file it is."""
        return self.record.user_id

    @property
    def is_erased(self) -> bool:
        """Whether nothing but the tombstone is left."""
        return self.record.account is Account.ERASED

    def describe(self, entry: LedgerEntry) -> str:
        """Say what happened."""
        return describe_event(self.language, entry.event, self.record)

    def words_shown(self, entry: LedgerEntry) -> Shown | None:
        """Find the words that were shown with an entry; None if they are not known."""
        return words_shown(entry, self.notices, self.language)
