"""What SQLite's errors mean here: one table of its result codes, and another of those that a file system causes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ...errors import StoreError, StoreUnavailable, StoreUnusable
from .. import wire
from ..sql.dialect import no_ledger
from .file_systems import has_locks, kind_of

DAMAGED = "the database is damaged: restore it from a backup"
# What SQLite's primary result codes mean here: the error to raise, and what to do about it.
MEANINGS: dict[int, tuple[type[StoreError], str]] = {
    0: (StoreUnusable, DAMAGED),  # Python's own: text that is not UTF-8
    sqlite3.SQLITE_BUSY: (StoreUnavailable, "another process holds the database locked: try again"),
    sqlite3.SQLITE_LOCKED: (StoreUnavailable, "another thread holds the database locked: try again"),
    sqlite3.SQLITE_FULL: (StoreUnavailable, "the disk is full, nothing was written: free some space, then try again"),
    sqlite3.SQLITE_READONLY: (StoreUnavailable, "the database is read-only: make the file and its folder writable"),
    sqlite3.SQLITE_CANTOPEN: (
        StoreUnavailable,
        "the database cannot be opened: see that it is there, and that this user may write it and its folder",
    ),
    sqlite3.SQLITE_PERM: (StoreUnavailable, "the database may not be opened: give this user the right to"),
    sqlite3.SQLITE_IOERR: (StoreUnavailable, "the disk failed to read or write: look at the machine's disk"),
    sqlite3.SQLITE_CORRUPT: (StoreUnusable, DAMAGED),
    sqlite3.SQLITE_ERROR: (StoreUnusable, "the database does not hold a ledger as this version knows it"),
    sqlite3.SQLITE_NOTADB: (StoreUnusable, "this file is no SQLite database: choose another path"),
}
NO_LOCKS = "has no working file locks"
# What a file system lacks, by SQLite's extended result codes.
FILE_SYSTEM_LACKS: dict[int, str] = {
    sqlite3.SQLITE_IOERR_SHMMAP: "lets no processes share memory",
    sqlite3.SQLITE_IOERR_SHMOPEN: "lets no processes share memory",
    sqlite3.SQLITE_IOERR_SHMLOCK: NO_LOCKS,
    sqlite3.SQLITE_IOERR_LOCK: NO_LOCKS,
    sqlite3.SQLITE_IOERR_RDLOCK: NO_LOCKS,
    sqlite3.SQLITE_IOERR_UNLOCK: NO_LOCKS,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK: NO_LOCKS,
}


class translated:  # noqa: N801 - used like a function
    """
    A `with` block that raises SQLite's errors and malformed rows as errors of this library. It is a class since each
    read enters one, and a generator takes four times as long.

    Args:
        path: The database's.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if error is not None and (translation := _translation(error, self._path)) is not None:
            raise translation[0] from translation[1]


def _translation(error: BaseException, path: Path | None) -> tuple[StoreError, BaseException | None] | None:
    """Find the error to raise in place of another, and its cause; None: that one is right."""
    if isinstance(error, sqlite3.Error):
        kind, advice = MEANINGS.get(primary_code(error), (StoreUnavailable, "SQLite refused"))
        if (lack := _file_system_lack(error, path)) is not None:
            kind, advice = StoreUnavailable, lack
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        return kind(f"{advice} ({name}){_where(path)}"), error
    if isinstance(error, wire.Malformed):
        return StoreUnusable(f"{no_ledger(error)}{_where(path)}"), error
    if isinstance(error, UnicodeDecodeError):  # of SQLite's own message about a damaged schema
        return StoreUnusable(DAMAGED + _where(path)), error
    if type(error) is StoreUnusable:  # not LedgerBroken, which names a position
        return StoreUnusable(f"{error}{_where(path)}"), error.__cause__
    return None


def _where(path: Path | None) -> str:
    """Name the file, quoted, so that the service leaves it out of what it answers."""
    return "" if path is None else f", file {str(path)!r}"


def primary_code(error: BaseException | None) -> int:
    """Give SQLite's primary result code of an error; 0 if it is not SQLite's."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _file_system_lack(error: sqlite3.Error, path: Path | None) -> str | None:
    """Describe what the file system lacks, if that is the cause: without locks SQLite reports a lock that is held."""
    if path is None:
        return None
    lack = FILE_SYSTEM_LACKS.get(int(getattr(error, "sqlite_errorcode", 0)))
    if primary_code(error) == sqlite3.SQLITE_BUSY and not has_locks(path.parent):
        lack = NO_LOCKS
    if lack is None:
        return None
    where = f"the file system of the database ({kind_of(path.parent)})"
    return f"{where} {lack}, as network file systems often do: keep the ledger on a local disk, or in PostgreSQL"
