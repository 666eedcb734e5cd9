"""
A report on a whole ledger: consents by month, what may be done now, requests, and erasures, as numbers alone.

Those who answer for data protection need it of all customers together, and without any of them in it.
"""

from __future__ import annotations

import attrs

from ..vocabulary import Language
from .answer_counts import Alike, AnswerCounts, count_answers
from .contents import Counts
from .entry_counts import EntryCounts, count_entries
from .json_form import encode
from .page import render
from .work_counts import WorkCounts, count_work

__all__ = [
    "Alike",
    "AnswerCounts",
    "EntryCounts",
    "Report",
    "WorkCounts",
    "count_answers",
    "count_entries",
    "count_work",
]


@attrs.frozen
class Report(Counts):
    """
    What a ledger adds up to. It names no user, and nothing that leads to one.

    `entries` counts the ledger down to `head`, a token as `ConsentClient.head` gives it, which was the head at
    `made_at` (UTC). `answers` and `work` were read after that, so they may have what was written since.
    """

    def to_json(self) -> str:
        """
        Write the report as JSON, times in UTC and months in Vietnam's time.

        Returns:
            An object with the keys `made_at`, `head`, `entries`, `imported_entries`, `users`, `consents`, `imports`,
            `answers`, `requests`, `erasures` and `unregistered_sharings`; docs/how-to/report.md shows what each has.
        """
        return encode(self)

    def to_html(self, language: Language = "vi") -> str:
        """
        Write the report as one HTML page, for a screen and for A4, without scripts or external resources.

        Args:
            language: "vi" or "en".
        """
        return render(self, language)
