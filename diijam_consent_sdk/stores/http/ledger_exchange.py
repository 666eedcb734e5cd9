"""The exchange with a consent service that reads its ledger in order; see `exchange`."""

from __future__ import annotations

from itertools import pairwise

from .. import ledger_messages as messages
from ..answers import Cursor, Entries
from ..checks import checked_limit
from ..message_fields import MAX_CHANGES, MAX_WAIT_SECONDS
from .exchange import Exchange, Mismatched


def entries(after: Cursor, wait: float, limit: int) -> Exchange:
    """Build `Store.entries`, with the wait and limit cut to what a service accepts: both are upper limits."""
    wait, limit = min(wait, MAX_WAIT_SECONDS), min(checked_limit(limit), MAX_CHANGES)

    def read(answer: messages.EntriesAnswer) -> Entries:
        positions = [after.position, *(entry.position for entry in answer.entries)]
        is_in_order = all(earlier < later for earlier, later in pairwise(positions))
        last = answer.entries[-1] if answer.entries else None
        is_at_last = last is None or (last.position, last.hash) == (answer.cursor.position, answer.cursor.hash)
        if answer.after != after or not (is_in_order and is_at_last):
            raise Mismatched
        return answer.result()

    fields = {"after": after, "wait": wait, "limit": limit}
    return Exchange(messages.EntriesQuestion, fields, messages.EntriesAnswer, read, is_repeatable=not wait, wait=wait)
