"""
What a file says how often, and where. It is in a temporary database on disk, since a file may be large.

A file may say the same thing of one customer twice (no, yes, and no again), and each counts. So a batch's idempotency
key has the number of times that the batch came before. The lines and keys of noes keep an old yes from being written
after them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from ....events import Event, is_no
from ....stores import wire
from .batches import Batch, digest_parts

# A temporary database of SQLite has no name, and is gone when the process ends. Nothing in it has to last.
SCHEMA = """
PRAGMA journal_mode=OFF;
PRAGMA synchronous=OFF;
PRAGMA cache_size=-16384;
CREATE TABLE batches (digest BLOB PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE noes (digest BLOB, line INTEGER, key TEXT, PRIMARY KEY (digest, line)) WITHOUT ROWID;
BEGIN;
"""
COUNT = (
    "INSERT INTO batches VALUES (?, 0) ON CONFLICT (digest) DO UPDATE SET count = count + 1 RETURNING count"  # from 0
)
BELOW = "SELECT line, key FROM noes WHERE digest = ? AND line > ? ORDER BY line DESC"


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

    def begin_again(self) -> None:
        """Count batches from the first one on, since the file is read again. The noes stay."""
        with _failing_as_disk():
            self._db.execute("DELETE FROM batches")

    def add_noes(self, batch: Batch | None, label: str) -> None:
        """
        Note the lines of the noes that were said here, and the key of their batch.

        Raises:
            OSError: the disk failed, or is full.
        """
        if batch is None or batch.provenance.said_at is not None:
            return
        key = self.key(batch.digest(label))
        with _failing_as_disk():
            for line, event in zip(batch.lines, batch.events, strict=True):
                if is_no(event):
                    self._db.execute("INSERT INTO noes VALUES (?, ?, ?)", (_digest(batch.user_id, event), line, key))

    def find_below(self, user_id: str, no: Event, line: int) -> Generator[tuple[int, str]]:
        """Yield each line of a no below *line* with the key of its batch, the last first. Close it before the index."""
        with _failing_as_disk():
            yield from self._db.execute(BELOW, (_digest(user_id, no), line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._db.close()


def _digest(user_id: str, no: Event) -> bytes:
    return digest_parts(user_id.encode(), wire.encode_event(no))


@contextmanager
def _failing_as_disk() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"no room to count the lines of the file ({error}): free some space in TMPDIR") from error
