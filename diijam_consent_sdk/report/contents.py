"""What is in a report, before it is written in one form or another."""

from __future__ import annotations

from datetime import datetime

import attrs

from .answer_counts import AnswerCounts
from .entry_counts import EntryCounts
from .work_counts import WorkCounts


@attrs.frozen
class Counts:
    """The fields of a `Report`."""

    made_at: datetime
    head: str
    entries: EntryCounts
    answers: AnswerCounts
    work: WorkCounts
