"""One look at the change feed: who changed after a cursor, or that the cursor is of another history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..checks import checked_limit
from ..protocol import Changes, Cursor
from .dialect import MAX_POSITION, cursor_at, cursor_of, select_changes, select_hash
from .statements import Query, Row, Statement


def changes_query(
    select_head: Statement, read_head: Callable[[Sequence[Row]], Cursor], after: Cursor, limit: int, waited: float
) -> Query[Changes]:
    """See `Store.changes`: one look, without waiting; *waited* is how long the store waited before."""
    limit = min(checked_limit(limit), MAX_POSITION)
    start = after.position if 0 <= after.position <= MAX_POSITION else MAX_POSITION

    def parse(head_rows: Sequence[Row], hash_rows: Sequence[Row], rows: list[Any]) -> Changes:
        head = read_head(head_rows)
        if cursor_at(head.epoch, after.position, hash_rows) != after:
            return Changes(after, head, {}, complete=True, waited=0.0)
        if not rows:
            return Changes(after, head, {}, complete=True, waited=waited)
        rows = sorted(rows)
        last = {user_id: position for position, user_id, _ in rows}
        in_order = dict(sorted(last.items(), key=lambda item: item[1]))
        cursor = cursor_of(head.epoch, rows[-1][0], rows[-1][2])
        return Changes(after, cursor, in_order, complete=cursor == head, waited=waited)

    return Query([select_head, select_hash(start), select_changes(start, limit)], parse)
