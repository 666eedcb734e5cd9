"""
Make the idempotency keys of a file's batches.

A file may say the same thing of one customer twice (no, yes, and no again), and each counts. So the key has the number
of times that the batch came before; the counts are in a temporary database on disk, since a file may be large.
"""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self

# A temporary database of SQLite has no name, and is gone when the process ends. Nothing in it has to last.
SCHEMA = """
PRAGMA journal_mode=OFF;
PRAGMA synchronous=OFF;
PRAGMA cache_size=-16384;
CREATE TABLE batches (digest BLOB PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
BEGIN;
"""
COUNT = (
    "INSERT INTO batches VALUES (?, 0) ON CONFLICT (digest) DO UPDATE SET count = count + 1 RETURNING count"  # from 0
)


class Occurrences:
    """Counts batches by their digests, a context manager that closes the database."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(SCHEMA)

    def key(self, digest: bytes) -> str:
        """
        Return the idempotency key of the next batch, whose digest is given.

        Raises:
            OSError: the disk failed, or is full.
        """
        try:
            ((count,),) = self._db.execute(COUNT, (digest,)).fetchall()
        except sqlite3.Error as error:
            raise OSError(f"no room to count the batches of the file ({error}): free some space in TMPDIR") from error
        return f"file-{digest.hex()}-{count}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._db.close()
