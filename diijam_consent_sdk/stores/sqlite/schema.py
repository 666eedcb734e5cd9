"""The tables of a ledger in SQLite, and the checks that a database has them and nothing that could alter answers."""

from __future__ import annotations

import secrets
import sqlite3
from functools import lru_cache
from typing import Any

from ...errors import StoreUnusable
from ..sql.dialect import OPEN_REQUEST
from .cells import PAGE_BYTES
from .errors import primary_code

APPLICATION_ID = 0x446A4353  # "DjCS", marks the file as ours
FORMAT = 3  # raised whenever an older version of this library could misread the file
OLDER = (
    "make a new ledger, or copy this one by the version that wrote it to PostgreSQL, where init brings it up to date"
)

# Deleted content is overwritten; a commit is on the disk before it returns.
PRAGMAS = "PRAGMA secure_delete=ON; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY;"

PAGES = "SELECT page_size, encoding FROM pragma_page_size, pragma_encoding"
REQUESTING = f"instr(record, x'{OPEN_REQUEST}') > 0"
SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    position INTEGER PRIMARY KEY, user_id TEXT, version INTEGER, at TEXT, event BLOB, provenance BLOB,
    notice_digest TEXT, salt BLOB, digest BLOB NOT NULL, hash BLOB NOT NULL
);
CREATE INDEX entries_of_user ON entries (user_id, version) WHERE user_id IS NOT NULL;
CREATE TABLE records (
    user_id TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, standing_version INTEGER NOT NULL,
    standing_format INTEGER NOT NULL, made_at INTEGER NOT NULL, next_change_at INTEGER NOT NULL,
    erasure_due_at INTEGER, standing BLOB NOT NULL, record BLOB NOT NULL, filler BLOB NOT NULL
);
CREATE INDEX records_requesting ON records (user_id) WHERE {REQUESTING};
CREATE INDEX records_erasing ON records (user_id) WHERE erasure_due_at IS NOT NULL;
CREATE TABLE holders (holder TEXT NOT NULL PRIMARY KEY, registered_at TEXT NOT NULL, writer TEXT);
CREATE TABLE notices (
    notice TEXT NOT NULL PRIMARY KEY, registered_at TEXT NOT NULL, writer TEXT, terms BLOB NOT NULL, texts BLOB NOT NULL
);
CREATE TABLE appends (
    user_id TEXT, key BLOB, fingerprint BLOB, position INTEGER NOT NULL, PRIMARY KEY (user_id, key, fingerprint)
) WITHOUT ROWID;
PRAGMA application_id={APPLICATION_ID};
PRAGMA user_version={FORMAT};
"""


def prepare(db: sqlite3.Connection, *, may_begin: bool = True) -> bool:
    """
    Set a new connection up, and make the tables in an empty database.

    Returns:
        Whether it made them.

    Raises:
        StoreUnusable: the database is another program's, of another format, altered, or empty though *may_begin* is
            false or with other pages than a ledger's.
    """
    db.executescript(PRAGMAS)
    is_new = _is_empty(db)
    if is_new:
        if not may_begin:
            raise StoreUnusable("the file is empty now: put the ledger that was in it back")
        _check_pages(db)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("BEGIN IMMEDIATE")
        is_new = _is_empty(db)  # still: another process may have been first
        if is_new:
            _make(db)
            db.execute("INSERT INTO meta VALUES ('epoch', ?)", (secrets.token_hex(16),))
        db.execute("COMMIT")
    if db.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise StoreUnusable("this is the database of another program: choose another path")
    check_format(db)
    check_schema(db)
    _keep_log(db)
    return is_new


def _check_pages(db: sqlite3.Connection) -> None:
    """Set an empty database's page size; `StoreUnusable` if it keeps another, or its encoding is not a ledger's."""
    db.execute(f"PRAGMA page_size={PAGE_BYTES}")  # no effect once the file has a page
    if db.execute(PAGES).fetchone() != (PAGE_BYTES, "UTF-8"):
        raise StoreUnusable("another program made this database, with no tables yet: delete it, or choose another path")


def _keep_log(db: sqlite3.Connection) -> None:
    """
    Keep a write-ahead log for a ledger that has none, such as a copy made by `VACUUM INTO`. With a rollback journal in
    its place a power cut may undo a commit that returned, and readers keep writers out. One that nobody can write to
    stays as it is.
    """
    if db.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        return
    try:
        db.execute("PRAGMA journal_mode=WAL")
        check_format(db)  # the first read opens the log
    except sqlite3.OperationalError as error:
        if primary_code(error) != sqlite3.SQLITE_READONLY:
            raise


def check_format(db: sqlite3.Connection) -> None:
    """
    Check the ledger's format. Each transaction does: another process may have changed it meanwhile.

    Raises:
        StoreUnusable: the ledger is of a newer version of this library, or of an older one.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    check_version(version)


def check_version(version: int) -> None:
    """Check the `user_version` of a database, as `check_format` does."""
    if version > FORMAT:
        raise StoreUnusable(f"the ledger has format {version}, this version knows {FORMAT}: upgrade diijam-consent-sdk")
    if version < FORMAT:
        raise StoreUnusable(f"the ledger has format {version}, this version knows {FORMAT}: {OLDER}")


def _make(db: sqlite3.Connection) -> None:
    for statement in SCHEMA.split(";"):
        db.execute(statement)


def check_schema(db: sqlite3.Connection) -> None:
    """
    Check that the database has the tables and indexes of a ledger as they were made, and nothing else: a trigger or a
    view can hide entries, and make others.

    Raises:
        StoreUnusable: names what is missing, altered, or not the ledger's.
    """
    expected, found = _schema(), dict(db.execute(OBJECTS))
    if found == expected:
        return
    for name in sorted(found.keys() | expected.keys(), key=lambda name: (name.startswith("index"), name)):
        if found.get(name) != expected.get(name):
            state = "was altered" if name in found and name in expected else "is missing"
            state = state if name in expected else "is not the ledger's: see who put it there, then drop it"
            raise StoreUnusable(f"the database's schema was changed: {name[:100]!r} {state}")


OBJECTS = "SELECT type || ' ' || name, tbl_name || ': ' || coalesce(sql, '') FROM sqlite_master"


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        _make(db)
        return dict(db.execute(OBJECTS))
    finally:
        db.close()


def _is_empty(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,))
