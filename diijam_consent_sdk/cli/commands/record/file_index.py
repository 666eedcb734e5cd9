"""
What a file says how often, and where. It is in a temporary database on disk, since a file may be large.

A file may say the same thing of one customer twice (no, yes, and no again), and each counts. So a batch's idempotency
key has the number of times that the batch came before. The lines of noes keep an old yes from being written after them.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from ....events import Event
from ....stores import wire

# A temporary database of SQLite has no name, and is gone when the process ends. Nothing in it has to last.
SCHEMA = """
PRAGMA journal_mode=OFF;
PRAGMA synchronous=OFF;
PRAGMA cache_size=-16384;
CREATE TABLE batches (digest BLOB PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE noes (digest BLOB, line INTEGER, PRIMARY KEY (digest, line)) WITHOUT ROWID;
BEGIN;
"""
COUNT = (
    "INSERT INTO batches VALUES (?, 0) ON CONFLICT (digest) DO UPDATE SET count = count + 1 RETURNING count"  # from 0
)

WHERE = "SELECT count(*) FILTER (WHERE line < ?), count(*) FILTER (WHERE line > ?) FROM noes WHERE digest = ?"


class FileIndex:
    """Counts batches and noes by their digests, a context manager that closes the database."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(SCHEMA)

    def key(self, digest: bytes) -> str:
        """
        Return the idempotency key of the next batch, whose digest is given.

        Raises:
            OSError: the disk failed, or is full.
        """
        with _failing_as_disk():
            ((count,),) = self._db.execute(COUNT, (digest,)).fetchall()
        return f"file-{digest.hex()}-{count}"

    def add_no(self, user_id: str, no: Event, line: int) -> None:
        """
        Note the line of a no.

        Raises:
            OSError: the disk failed, or is full.
        """
        with _failing_as_disk():
            self._db.execute("INSERT INTO noes VALUES (?, ?)", (_digest(user_id, no), line))

    def is_written_below(self, user_id: str, no: Event, line: int, times: int) -> bool:
        """Whether the ledger, which has a no so many times, has one that stands below a line."""
        with _failing_as_disk():
            ((above, below),) = self._db.execute(WHERE, (line, line, _digest(user_id, no))).fetchall()
        return bool(below) and times > int(above)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._db.close()


def _digest(user_id: str, no: Event) -> bytes:
    user = user_id.encode()
    return hashlib.sha256(len(user).to_bytes(8, "big") + user + wire.encode_event(no)).digest()


@contextmanager
def _failing_as_disk() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"no room to count the lines of the file ({error}): free some space in TMPDIR") from error
