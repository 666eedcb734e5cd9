"""The tables of a ledger in PostgreSQL, and how `init` makes them or brings them up to date."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg

from ...errors import StoreUnusable
from ..sql.dialect import OPEN_REQUEST
from ..sql.records import PUT
from ..sql.statements import Row, Statement
from ..sql.verify import refold_query
from .errors import NO_LEDGER, translated
from .url import parameters

SCHEMA = "diijam_consent"
CHANNEL = "diijam_consent"  # of NOTIFY: any user of the database may listen, so it carries no content
LEAST_VERSION = 130000
INIT_LOCK = 0x446A4353  # "DjCS": of two processes that prepare one database the second waits

# E'' means the same whatever standard_conforming_strings is set to.
REQUESTING = f"position(E'\\\\x{OPEN_REQUEST}'::bytea in record) > 0"

# Each migration makes the format of its number; those of a format that was released are never changed.
# A user's ids sort by their bytes: an index in the order of the system's locale breaks when the system is upgraded.
# `ledger` holds the counter that positions come from, always in the transaction that uses them (a sequence would give
# them out in another order than that of commits); room is kept in its page, so that counting moves no row.
MIGRATIONS = (
    """
CREATE TABLE ledger (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only), format integer NOT NULL, history text NOT NULL,
    position bigint NOT NULL, hash bytea, at text, requires_notices boolean NOT NULL DEFAULT false,
    is_tested boolean NOT NULL DEFAULT false
) WITH (fillfactor = 10);
CREATE TABLE entries (
    position bigint PRIMARY KEY, user_id text COLLATE "C", version bigint, at text, event bytea,
    provenance bytea, notice_digest text, salt bytea, digest bytea NOT NULL, hash bytea NOT NULL
);
CREATE UNIQUE INDEX entries_of_user ON entries (user_id, version) WHERE user_id IS NOT NULL;
CREATE TABLE records (user_id text COLLATE "C" PRIMARY KEY, record bytea NOT NULL);
CREATE INDEX records_requesting ON records (user_id) WHERE REQUESTING;
CREATE TABLE notices (
    notice text COLLATE "C" PRIMARY KEY, registered_at text COLLATE "C" NOT NULL, writer text, terms bytea NOT NULL,
    texts bytea NOT NULL
);
CREATE TABLE appends (
    user_id text COLLATE "C", key bytea, fingerprint bytea, position bigint NOT NULL,
    PRIMARY KEY (user_id, key, fingerprint)
);
""".replace("REQUESTING", REQUESTING),
    "DROP VIEW IF EXISTS head",  # its query is part of the statements now, because a view can be replaced
    # The records that are there get no standing, which format 0 is: it is made from the record where it is read.
    """
ALTER TABLE records ADD version bigint, ADD standing_version bigint NOT NULL DEFAULT 0,
    ADD standing_format integer NOT NULL DEFAULT 0, ADD made_at bigint NOT NULL DEFAULT 0,
    ADD next_change_at bigint NOT NULL DEFAULT 0, ADD standing bytea NOT NULL DEFAULT '';
UPDATE records SET version = (convert_from(record, 'UTF8')::json->>'version')::bigint;
ALTER TABLE records ALTER version SET NOT NULL, ALTER standing_version DROP DEFAULT,
    ALTER standing_format DROP DEFAULT, ALTER made_at DROP DEFAULT, ALTER next_change_at DROP DEFAULT,
    ALTER standing DROP DEFAULT;
""",
    """
ALTER TABLE records ADD erasure_due_at bigint;
CREATE INDEX records_erasing ON records (user_id) WHERE erasure_due_at IS NOT NULL;
CREATE TABLE holders (holder text COLLATE "C" PRIMARY KEY, registered_at text NOT NULL, writer text);
""",
)

# Every operation reads this first. The epoch belongs to one table in one run of one cluster on one timeline. Whatever
# brings an older state back (a backup, a snapshot, a promoted replica) starts a server, and a dump that is loaded into
# a running one makes another table, or fills another file. `now` is in microseconds.
HEAD = (
    "SELECT epoch, position, hash, at, format, now FROM (SELECT"
    " pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.concat_ws('/',"
    " history, system_identifier, pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8),"
    " extract(epoch from pg_catalog.pg_postmaster_start_time()), d.oid, l.tableoid,"
    " pg_catalog.pg_relation_filenode(l.tableoid)"
    "), 'UTF8')), 'hex'), 32) AS epoch, position, hash, at, format,"
    " (extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::bigint AS now"
    " FROM ledger l, pg_catalog.pg_control_system(), pg_catalog.pg_database d"
    " WHERE d.datname = pg_catalog.current_database()) head"
)
# For reads that need no head. A replica refuses it, as it does `HEAD`.
FORMAT_OF_LEDGER: Statement = ("SELECT format FROM ledger WHERE pg_catalog.pg_current_wal_lsn() IS NOT NULL", ())
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

FORMAT = len(MIGRATIONS)  # raised whenever an older version of this library could misread the ledger


def database_time(row: Row) -> datetime:
    """Read the database's clock from a row of `HEAD`."""
    return EPOCH + timedelta(microseconds=row[5])


def check(row: Row) -> None:
    """
    Check that a row of `HEAD` is of a ledger in this version's format.

    Raises:
        StoreUnusable: the ledger is of a newer version, or of an older one.
    """
    if row[4] > FORMAT:
        raise StoreUnusable(f"the ledger has format {row[4]}, this version knows {FORMAT}: upgrade diijam-consent-sdk")
    if row[4] < FORMAT:
        raise StoreUnusable(f"the ledger has format {row[4]}: run diijam-consent init on it for format {FORMAT}")


def check_format(rows: Sequence[Row]) -> None:
    """
    Check by the rows of `FORMAT_OF_LEDGER` that there is a ledger in this version's format.

    Raises:
        StoreUnusable: the database has no ledger, or one in the format of a newer or an older version.
    """
    if not rows:
        raise StoreUnusable(NO_LEDGER)
    check((None, None, None, None, *rows[0]))


def prepare(url: str, *, connect_seconds: int = 10) -> int:
    """
    Make the tables that *url*'s database lacks, or bring them up to date. Safe to repeat, and to run twice at once.

    Args:
        url: As for `PostgresStore`, of a role that may create a schema, or owns the one there is.

        connect_seconds: How long to try to connect.

    Returns:
        The format that was found; 0 if there was no ledger.

    Raises:
        ValueError: the URL is malformed, or leads to another host and asks for no TLS.

        StoreUnavailable: the database cannot be reached, or does not let this role do it.

        StoreUnusable: the database cannot hold a ledger, or holds one of a newer version.
    """
    with translated(), psycopg.connect(**{"connect_timeout": connect_seconds} | parameters(url)) as db:
        _check_server(db)
        db.execute(f"SET LOCAL search_path = {SCHEMA}")
        db.execute("SELECT pg_advisory_xact_lock(%s)", (INIT_LOCK,))
        # IF NOT EXISTS would need the right to create a schema, even where there is one.
        if db.execute("SELECT to_regnamespace(%s)", (SCHEMA,)).fetchone() == (None,):
            db.execute(f"CREATE SCHEMA {SCHEMA}")
        found = _format(db)
        if found > FORMAT:
            check_format([(found,)])
        for number, migration in enumerate(MIGRATIONS[found:], start=found + 1):
            db.execute(migration.encode())
            if number == 1:
                db.execute("INSERT INTO ledger VALUES (true, 1, %s, 0)", (secrets.token_hex(16),))
            db.execute("UPDATE ledger SET format = %s", (number,))
        if found < FORMAT:
            _make_records_again(db)
        return found


def _make_records_again(db: psycopg.Connection) -> None:
    """Fold each user's entries: the records of an older format lack what those of this one have."""
    for (user_id,) in db.execute("SELECT user_id FROM records").fetchall():
        query = refold_query(user_id)
        rows = [db.execute(_placed(sql), values).fetchall() for sql, values in query.statements]
        db.execute(_placed(PUT), msgspec.structs.astuple(query.parse(*rows).row))


def _placed(sql: str) -> bytes:
    """Mark the places of values as psycopg does."""
    return sql.replace("?", "%s").encode()


def _check_server(db: psycopg.Connection) -> None:
    if db.info.server_version < LEAST_VERSION:
        raise StoreUnusable(f"PostgreSQL {LEAST_VERSION // 10000} or newer is needed")
    if db.info.parameter_status("server_encoding") != "UTF8":
        raise StoreUnusable("the database's encoding is not UTF8: create one with ENCODING 'UTF8'")


def _format(db: psycopg.Connection) -> int:
    if db.execute("SELECT to_regclass('ledger')").fetchone() == (None,):
        return 0
    row = db.execute("SELECT format FROM ledger").fetchone()
    return int(row[0]) if row else 0
