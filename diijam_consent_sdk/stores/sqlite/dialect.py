"""The ledger's statements in SQLite's SQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from operator import itemgetter

import msgspec

from .. import wire
from ..answers import MAX_LOAD_BYTES
from ..sql.dialect import IS_USABLE, Dialect
from ..sql.records import COLUMNS, NO_DUE_TIME, PLACES, RecordRow, upsert
from ..sql.statements import Statement
from .cells import filler_bytes
from .schema import REQUESTING

# One step of SQLite for all rows: between steps other threads would have Python.
GATHERED = (
    "SELECT user_ids, joined FROM (SELECT group_concat(user_id, char(10)) AS user_ids, CASE WHEN count(record) ="
    " count(*) THEN CAST(group_concat(CAST(record AS TEXT)) AS BLOB) END AS joined FROM ({}))"
    " WHERE user_ids IS NOT NULL"
)
ASKED_FOR = "user_id IN (SELECT value FROM json_each(?))"
# Adding up all lengths takes a second search for each user, so it is done only where a record has more than its share.
BOUNDED = (
    f"SELECT user_id, CASE WHEN length(record) <= (SELECT {MAX_LOAD_BYTES} / json_array_length(?))"
    f" OR (SELECT sum(length(record)) FROM records WHERE {ASKED_FOR}) <= {MAX_LOAD_BYTES}"
    f" THEN record END AS record FROM records WHERE {ASKED_FOR}"
)
# The places first, since sorting would carry each record along.
ERASING = """
SELECT user_id, CASE WHEN sum(length(record)) OVER () <= ? THEN record END AS record FROM records
WHERE rowid IN (SELECT rowid FROM records INDEXED BY records_erasing WHERE {places} LIMIT ?)
"""
ALL_ERASING = "erasure_due_at IS NOT NULL AND (erasure_due_at, user_id) > (?, ?) ORDER BY erasure_due_at, user_id"
ERASING_CLOSED = f"erasure_due_at = {NO_DUE_TIME} AND user_id > ? ORDER BY user_id"
# The id is read from the row, not from the index that led to it: a damaged one must give nobody another's standing.
FOUND = "FROM ({places}) CROSS JOIN records ON records.rowid = place"
USABLE = f"{IS_USABLE} ?1"
WITHIN_LIMIT = f"""length({{column}}) <= {{share}} OR length({{column}}) <= (
    SELECT CASE WHEN sum(CASE WHEN {USABLE} THEN length(standing) ELSE length(record) END) <= ?2 THEN ?2 END {FOUND})"""
# LIMIT keeps SQLite from merging the innermost query into the one around it, which would work out each of its columns
# once for every place that reads it: a tenth of what the whole statement costs.
STANDINGS = f"""
SELECT user_ids, versions, standings, records, latest, earliest FROM (
    SELECT group_concat(user_id, char(10)) AS user_ids, CAST(group_concat(version) AS BLOB) AS versions,
        CASE WHEN count(found) = count(*) THEN CAST(group_concat(
            CASE WHEN ends_at IS NULL THEN '' ELSE CAST(found AS TEXT) END, char(10)) AS BLOB) END AS standings,
        CAST(group_concat(CAST(found AS TEXT)) FILTER (WHERE ends_at IS NULL) AS BLOB) AS records,
        max(made_at) FILTER (WHERE ends_at IS NOT NULL) AS latest, min(ends_at) AS earliest
    FROM (SELECT user_id, version, made_at, CASE WHEN {USABLE} THEN next_change_at END AS ends_at,
        CASE WHEN {USABLE} THEN CASE WHEN {WITHIN_LIMIT.replace("{column}", "standing")} THEN standing END
            ELSE CASE WHEN {WITHIN_LIMIT.replace("{column}", "record")} THEN record END END AS found
        {FOUND} LIMIT -1)
) WHERE user_ids IS NOT NULL
"""


def numbered(sql: str) -> Callable[..., Statement]:
    """Make a statement of SQL with ?1, ?2 …, which Python 3.12 at first took for names, and warned of."""
    places = itemgetter(*(int(number) - 1 for number in re.findall(r"\?(\d)", sql)))
    plain = re.sub(r"\?\d", "?", sql)
    return lambda *values: (plain, places(values))


STANDINGS_OF = numbered(
    STANDINGS.format(
        share="?2 / json_array_length(?3)",
        places="SELECT records.rowid AS place FROM json_each(?3) CROSS JOIN records ON user_id = value",
    )
)
STANDINGS_AFTER = numbered(
    STANDINGS.format(
        share="?2 / ?4", places="SELECT rowid AS place FROM records WHERE user_id > ?3 ORDER BY user_id LIMIT ?4"
    )
)
PUT = upsert(f"{COLUMNS}, filler", f"{PLACES}, zeroblob(?)")


def put_filled_record(row: RecordRow) -> Statement:
    """Write a row, with the filler that keeps rows from moving."""
    values = msgspec.structs.astuple(row)
    return PUT, (*values, filler_bytes(*values))


def asked(user_ids: list[str]) -> str:
    """Make the value of a list of ids, for `json_each`."""
    return wire.encode(user_ids).decode()


DIALECT = Dialect(
    head="SELECT value, position, hash, at FROM meta LEFT JOIN"
    " (SELECT position, hash, at FROM entries ORDER BY position DESC LIMIT 1) WHERE name = 'epoch'",
    records=GATHERED.format(f"SELECT user_id, record FROM records WHERE {ASKED_FOR}"),
    bounded=GATHERED.format(BOUNDED),
    asked=asked,
    put_record=put_filled_record,
    requesting=GATHERED.format(
        f"SELECT user_id, record FROM records WHERE user_id > ? AND {REQUESTING} ORDER BY user_id LIMIT ?"
    ),
    erasing=GATHERED.format(ERASING.format(places=ALL_ERASING)),
    erasing_closed=GATHERED.format(ERASING.format(places=ERASING_CLOSED)),
    standings=lambda user_ids, limits: STANDINGS_OF(limits.lasting, limits.max_bytes, asked(user_ids)),
    standings_after=lambda after, limit, limits: STANDINGS_AFTER(limits.lasting, limits.max_bytes, after, limit),
    named_notices="SELECT notice, terms FROM notices WHERE notice IN (SELECT value FROM json_each(?))",
    notices_required="SELECT value FROM meta WHERE name = 'notices'",
    require_notices="INSERT OR IGNORE INTO meta VALUES ('notices', 'required')",
    time=lambda _: datetime.now(UTC),
    mark_tested="INSERT OR IGNORE INTO meta VALUES ('clock', 'of a caller')",
    tested="SELECT value FROM meta WHERE name = 'clock'",
)
