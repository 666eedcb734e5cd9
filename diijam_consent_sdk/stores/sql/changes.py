"""One look at what follows a cursor, who changed or the entries themselves; or that it is of another history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from ..answers import MAX_POSITION, Changes, Cursor, Entries
from ..checks import checked_limit
from .dialect import (
    cursor_at,
    cursor_of,
    entries_of,
    links_from,
    rows_translated,
    select_changes,
    select_entries,
    select_hash,
)
from .hash_chain import Link
from .statements import Query, Row, Statement

ReadHead = Callable[[Sequence[Row]], Cursor]


@attrs.frozen
class EntriesPage:
    """What `Store.entries` answers, with entries that are not decoded yet: the connection is free again first."""

    after: Cursor
    cursor: Cursor
    links: list[Link] = attrs.field(repr=False)
    complete: bool

    def decode(self) -> Entries:
        """Decode the entries; `StoreUnusable` if one is malformed."""
        with rows_translated():
            return Entries(self.after, self.cursor, tuple(entries_of(self.links)), self.complete)


def changes_query(
    select_head: Statement, read_head: ReadHead, after: Cursor, limit: int, waited: float
) -> Query[Changes]:
    """See `Store.changes`: one look, without waiting; *waited* is how long the store waited before."""

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

    start = _start(after)
    return Query([select_head, select_hash(start), select_changes(start, _limit(limit))], parse)


def entries_query(select_head: Statement, read_head: ReadHead, after: Cursor, limit: int) -> Query[EntriesPage]:
    """See `Store.entries`: one look, without waiting."""

    def parse(head_rows: Sequence[Row], hash_rows: Sequence[Row], rows: list[Any]) -> EntriesPage:
        head = read_head(head_rows)
        if not rows or cursor_at(head.epoch, after.position, hash_rows) != after:
            return EntriesPage(after, head, [], complete=True)
        links = sorted(links_from(rows), key=lambda link: link.position)
        cursor = cursor_of(head.epoch, links[-1].position, links[-1].hash)
        return EntriesPage(after, cursor, links, complete=cursor == head)

    start = _start(after)
    return Query([select_head, select_hash(start), select_entries(start, _limit(limit))], parse)


def _start(after: Cursor) -> int:
    return after.position if 0 <= after.position <= MAX_POSITION else MAX_POSITION


def _limit(limit: int) -> int:
    return min(checked_limit(limit), MAX_POSITION)
