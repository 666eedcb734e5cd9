"""Standings that are made of the records when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...identifiers import identifier
from ...record import ConsentRecord
from ...standing import EVERY_ASK, standing_of
from .. import wire
from ..checks import checked_limit
from ..protocol import MAX_POSITION, StandingRow, Standings, StandingsPage
from ..standings import encode_standing
from .operations import Operations
from .statements import Query, Row

LISTED = "SELECT user_id, record FROM records WHERE user_id > ? ORDER BY user_id LIMIT ?"


def standings_query(operations: Operations, user_ids: list[str]) -> Query[Standings]:
    """Build the query of `Store.standings`; *user_ids* were checked."""
    loading = operations.load(user_ids)

    def parse(*rows: Sequence[Row]) -> Standings:
        loaded = loading.parse(*rows)
        return Standings(loaded.cursor, loaded.at, EVERY_ASK, _rows(loaded.records, loaded.at))

    return Query(loading.statements, parse)


def list_query(operations: Operations, after: str | None, limit: int) -> Query[StandingsPage]:
    """Build the query of `Store.list_standings`."""
    start, limit = "" if after is None else identifier(after), min(checked_limit(limit), MAX_POSITION)

    def parse(head_rows: Sequence[Row], rows: Sequence[Row]) -> StandingsPage:
        head = operations.read_head(head_rows)
        records = wire.decode_records(b"[%b]" % b",".join(record for _, record in rows))
        last = records[-1].user_id if len(records) == limit else None
        return StandingsPage(head.cursor, head.now, EVERY_ASK, _rows(records, head.now), last)

    return Query([operations.select_head(), (LISTED, (start, limit))], parse)


def _rows(records: Sequence[ConsentRecord], at: datetime) -> tuple[StandingRow, ...]:
    return tuple(
        StandingRow(record.user_id, record.version, encode_standing(standing_of(record, at))) for record in records
    )
