"""The ledger's statements in PostgreSQL's SQL. Each name says its schema: nobody else's `search_path` changes it."""

from __future__ import annotations

import re
from functools import lru_cache

from ..protocol import MAX_LOAD_BYTES
from ..sql.dialect import Dialect
from ..sql.records import PUT, VALUES
from .schema import HEAD, REQUESTING, SCHEMA, check, database_time

# A pool's connections may carry another program's search_path. (`position` and `extract` are syntax, which always means
# PostgreSQL's own.)
TABLES = re.compile(r"\b(FROM|INTO|UPDATE) (entries|records|appends|notices|ledger)\b")

GATHERED = (
    "SELECT user_ids, joined FROM (SELECT pg_catalog.string_agg(user_id, pg_catalog.chr(10)) AS user_ids,"
    " pg_catalog.string_agg(record, ','::bytea) AS joined FROM ({}) found) gathered WHERE user_ids IS NOT NULL"
)
DIALECT = Dialect(
    head=HEAD,
    records=GATHERED.format("SELECT user_id, record FROM records WHERE user_id = ANY(?)"),
    bounded=GATHERED.format(
        f"SELECT user_id, CASE WHEN sum(octet_length(record)) OVER () <= {MAX_LOAD_BYTES} THEN record END AS record"  # noqa: S608
        " FROM records WHERE user_id = ANY(?)"
    ),
    asked=list,
    put_record=lambda row: (PUT, VALUES(row)),
    requesting=GATHERED.format(
        f"SELECT user_id, record FROM records WHERE user_id > ? AND {REQUESTING} ORDER BY user_id LIMIT ?"  # noqa: S608
    ),
    named_notices="SELECT notice, terms FROM notices WHERE notice = ANY(?)",
    notices_required="SELECT format FROM ledger WHERE requires_notices",
    require_notices="UPDATE ledger SET requires_notices = true",
    advance="UPDATE ledger SET position = ?, hash = ?, at = ?",
    time=database_time,
    check=check,
)


@lru_cache(maxsize=64)
def qualified(sql: str) -> bytes:
    """Return a statement as psycopg takes it, with the full names of its tables."""
    return TABLES.sub(rf"\1 {SCHEMA}.\2", sql).replace("%", "%%").replace("?", "%s").encode()
