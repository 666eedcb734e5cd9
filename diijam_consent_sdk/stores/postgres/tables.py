"""Check that the tables in PostgreSQL are exactly a ledger's, and that nothing else acts on them."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import StoreUnusable
from .schema import SCHEMA

# Everything in the schema, and everything elsewhere that changes what reading or writing its tables does: triggers,
# rules, policies, tables that inherit, and functions that an index calls. A row is a name and its properties.
TABLES = f"""
WITH ours AS (SELECT * FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.to_regnamespace('{SCHEMA}'))
SELECT 'table ' || relname, concat_ws(' ', relkind, relpersistence, relrowsecurity, relispartition)
    FROM ours WHERE relkind <> 'i'
UNION ALL SELECT 'column ' || relname || '.' || attname, concat_ws(' ', attnum,
        replace(pg_catalog.format_type(atttypid, atttypmod), '"', ''),
        CASE WHEN attnotnull THEN 'not null' END, collname,
        'default ' || pg_catalog.pg_get_expr(adbin, adrelid), NULLIF(attgenerated, ''), NULLIF(attidentity, ''))
    FROM ours JOIN pg_catalog.pg_attribute ON attrelid = ours.oid
        LEFT JOIN pg_catalog.pg_attrdef ON adrelid = attrelid AND adnum = attnum
        LEFT JOIN pg_catalog.pg_collation c ON c.oid = attcollation
    WHERE relkind <> 'i' AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT 'index ' || i.relname, concat_ws(' ', ours.relname, amname, indkey,
        CASE WHEN indisunique THEN 'unique' END, CASE WHEN indexprs IS NOT NULL THEN 'expression' END,
        CASE WHEN indpred IS NOT NULL THEN 'partial' END)
    FROM ours JOIN pg_catalog.pg_index ON indrelid = ours.oid JOIN pg_catalog.pg_class i ON i.oid = indexrelid
        JOIN pg_catalog.pg_am a ON a.oid = i.relam
UNION ALL SELECT 'constraint ' || conname, replace(pg_catalog.pg_get_constraintdef(c.oid), '"', '')
    FROM ours JOIN pg_catalog.pg_constraint c ON ours.oid IN (conrelid, confrelid) WHERE contype <> 'n'
UNION ALL SELECT 'trigger ' || tgname || ' on ' || relname, ''
    FROM ours JOIN pg_catalog.pg_trigger ON tgrelid = ours.oid WHERE NOT tgisinternal
UNION ALL SELECT 'rule ' || rulename || ' on ' || relname, ''
    FROM ours JOIN pg_catalog.pg_rewrite ON ev_class = ours.oid
UNION ALL SELECT 'policy ' || polname || ' on ' || relname, ''
    FROM ours JOIN pg_catalog.pg_policy ON polrelid = ours.oid
UNION ALL SELECT 'inheritance of ' || relname, ''
    FROM ours JOIN pg_catalog.pg_inherits ON ours.oid IN (inhparent, inhrelid)
UNION ALL SELECT 'function ' || proname, ''
    FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.to_regnamespace('{SCHEMA}')
UNION ALL SELECT 'what ' || relname || ' calls', ''
    FROM ours JOIN pg_catalog.pg_depend ON objid = ours.oid AND classid = 'pg_catalog.pg_class'::regclass
    WHERE refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass,
        'pg_catalog.pg_opclass'::regclass, 'pg_catalog.pg_type'::regclass)
""".replace("concat_ws(", "pg_catalog.concat_ws(").replace(" replace(", " pg_catalog.replace(")  # noqa: S608 - our own

EXPECTED = {
    "table appends": "r p f f",
    "table entries": "r p f f",
    "table holders": "r p f f",
    "table ledger": "r p f f",
    "table notices": "r p f f",
    "table records": "r p f f",
    "column appends.user_id": "1 text not null C",
    "column appends.key": "2 bytea not null",
    "column appends.fingerprint": "3 bytea not null",
    "column appends.position": "4 bigint not null",
    "column entries.position": "1 bigint not null",
    "column entries.user_id": "2 text C",
    "column entries.version": "3 bigint",
    "column entries.at": "4 text default",
    "column entries.event": "5 bytea",
    "column entries.provenance": "6 bytea",
    "column entries.notice_digest": "7 text default",
    "column entries.salt": "8 bytea",
    "column entries.digest": "9 bytea not null",
    "column entries.hash": "10 bytea not null",
    "column holders.holder": "1 text not null C",
    "column holders.registered_at": "2 text not null default",
    "column holders.writer": "3 text default",
    "column ledger.is_only": "1 boolean not null default true",
    "column ledger.format": "2 integer not null",
    "column ledger.history": "3 text not null default",
    "column ledger.position": "4 bigint not null",
    "column ledger.hash": "5 bytea",
    "column ledger.at": "6 text default",
    "column ledger.requires_notices": "7 boolean not null default false",
    "column ledger.is_tested": "8 boolean not null default false",
    "column notices.notice": "1 text not null C",
    "column notices.registered_at": "2 text not null C",
    "column notices.writer": "3 text default",
    "column notices.terms": "4 bytea not null",
    "column notices.texts": "5 bytea not null",
    "column records.user_id": "1 text not null C",
    "column records.record": "2 bytea not null",
    "column records.version": "3 bigint not null",
    "column records.standing_version": "4 bigint not null",
    "column records.standing_format": "5 integer not null",
    "column records.made_at": "6 bigint not null",
    "column records.next_change_at": "7 bigint not null",
    "column records.standing": "8 bytea not null",
    "column records.erasure_due_at": "9 bigint",
    "index appends_pkey": "appends btree 1 2 3 unique",
    "index entries_pkey": "entries btree 1 unique",
    "index entries_of_user": "entries btree 2 3 unique partial",
    "index holders_pkey": "holders btree 1 unique",
    "index ledger_pkey": "ledger btree 1 unique",
    "index notices_pkey": "notices btree 1 unique",
    "index records_pkey": "records btree 1 unique",
    "index records_requesting": "records btree 1 partial",
    "index records_erasing": "records btree 1 partial",
    "constraint appends_pkey": "PRIMARY KEY (user_id, key, fingerprint)",
    "constraint entries_pkey": "PRIMARY KEY (position)",
    "constraint holders_pkey": "PRIMARY KEY (holder)",
    "constraint ledger_is_only_check": "CHECK (is_only)",
    "constraint ledger_pkey": "PRIMARY KEY (is_only)",
    "constraint notices_pkey": "PRIMARY KEY (notice)",
    "constraint records_pkey": "PRIMARY KEY (user_id)",
}


def check_tables(rows: Iterable[tuple[str, str]]) -> None:
    """
    Check that the rows of `TABLES` are what a ledger has, and nothing else: a trigger or a rule can hide entries, or
    make others.

    Raises:
        StoreUnusable: something is missing, altered, or not the ledger's; the error names it.
    """
    found = dict(rows)
    for name in sorted(found.keys() ^ EXPECTED.keys()):
        state = "is missing" if name in EXPECTED else "is not the ledger's: see who put it there, then drop it"
        raise StoreUnusable(f"the database's schema was changed: {name[:100]!r} {state}")
    for name, properties in EXPECTED.items():
        if found[name] != properties:
            raise StoreUnusable(f"the database's schema was changed: {name!r} was altered")
