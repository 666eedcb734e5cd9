"""The ledger's statements in PostgreSQL's SQL. Each name says its schema: nobody else's `search_path` changes it."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from ..answers import MAX_LOAD_BYTES
from ..sql.dialect import IS_USABLE, Dialect
from ..sql.records import NO_DUE_TIME, PUT
from .schema import HEAD, REQUESTING, SCHEMA, check, database_time

# A pool's connections may carry another program's search_path. (`position` and `extract` are syntax, which always means
# PostgreSQL's own.)
TABLES = re.compile(r"\b(FROM|INTO|UPDATE) (entries|records|appends|notices|holders|ledger)\b")

GATHERED = (
    "SELECT user_ids, joined FROM (SELECT pg_catalog.string_agg(user_id, pg_catalog.chr(10)) AS user_ids,"
    " pg_catalog.string_agg(record, ','::bytea) AS joined FROM ({}) found) gathered WHERE user_ids IS NOT NULL"
)
STANDINGS = f"""
SELECT user_ids, versions, standings, records, made_at, ends_at FROM (
    SELECT pg_catalog.string_agg(user_id, pg_catalog.chr(10)) AS user_ids,
        pg_catalog.convert_to(pg_catalog.string_agg(version::text, ','), 'UTF8') AS versions,
        CASE WHEN pg_catalog.count(found) = pg_catalog.count(*) THEN
            pg_catalog.string_agg(CASE WHEN usable THEN found ELSE ''::bytea END, '\\x0a'::bytea) END AS standings,
        pg_catalog.string_agg(CASE WHEN NOT usable THEN found END, ','::bytea) AS records,
        pg_catalog.max(CASE WHEN usable THEN made_at END) AS made_at,
        pg_catalog.min(CASE WHEN usable THEN next_change_at END) AS ends_at
    FROM (SELECT user_id, version, made_at, next_change_at, usable,
        CASE WHEN pg_catalog.sum(octet_length(CASE WHEN usable THEN standing ELSE record END)) OVER () <= ?
        THEN CASE WHEN usable THEN standing ELSE record END END AS found
        FROM (SELECT *, {IS_USABLE} ? AS usable FROM records {{places}}) looked) found) gathered
WHERE user_ids IS NOT NULL
"""  # noqa: S608 - our own columns
STANDINGS_OF = STANDINGS.format(places="WHERE user_id = ANY(?)")
STANDINGS_AFTER = STANDINGS.format(places="WHERE user_id > ? ORDER BY user_id LIMIT ?")

# The users first, since sorting would carry each record along.
ERASING = """
SELECT user_id, CASE WHEN pg_catalog.sum(octet_length(record)) OVER () <= ? THEN record END AS record
FROM records WHERE user_id IN (SELECT user_id FROM records WHERE {places} LIMIT ?)
"""
ALL_ERASING = "erasure_due_at IS NOT NULL AND (erasure_due_at, user_id) > (?, ?) ORDER BY erasure_due_at, user_id"
ERASING_CLOSED = f"erasure_due_at = {NO_DUE_TIME} AND user_id > ? ORDER BY user_id"

DIALECT = Dialect(
    head=HEAD,
    records=GATHERED.format("SELECT user_id, record FROM records WHERE user_id = ANY(?)"),
    bounded=GATHERED.format(
        f"SELECT user_id, CASE WHEN sum(octet_length(record)) OVER () <= {MAX_LOAD_BYTES} THEN record END AS record"  # noqa: S608
        " FROM records WHERE user_id = ANY(?)"
    ),
    asked=list,
    put_record=lambda row: (PUT, msgspec.structs.astuple(row)),
    requesting=GATHERED.format(
        f"SELECT user_id, record FROM records WHERE user_id > ? AND {REQUESTING} ORDER BY user_id LIMIT ?"  # noqa: S608
    ),
    erasing=GATHERED.format(ERASING.format(places=ALL_ERASING)),
    erasing_closed=GATHERED.format(ERASING.format(places=ERASING_CLOSED)),
    standings=lambda user_ids, limits: (STANDINGS_OF, (limits.max_bytes, limits.lasting, user_ids)),
    standings_after=lambda after, limit, limits: (STANDINGS_AFTER, (limits.max_bytes, limits.lasting, after, limit)),
    named_notices="SELECT notice, terms FROM notices WHERE notice = ANY(?)",
    notices_required="SELECT format FROM ledger WHERE requires_notices",
    require_notices="UPDATE ledger SET requires_notices = true",
    mark_tested="UPDATE ledger SET is_tested = true WHERE NOT is_tested",
    tested="SELECT format FROM ledger WHERE is_tested",
    advance="UPDATE ledger SET position = ?, hash = ?, at = ?",
    time=database_time,
    check=check,
)


@lru_cache(maxsize=64)
def qualified(sql: str) -> bytes:
    """Return a statement as psycopg takes it, with the full names of its tables."""
    return TABLES.sub(rf"\1 {SCHEMA}.\2", sql).replace("%", "%%").replace("?", "%s").encode()
