"""Which ids came by before, however many there are."""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self

CACHE_KIBIBYTES = 16_384

# SQLite's own temporary database: nameless, and gone with the process whatever ends it. Nothing in it has to last.
SCHEMA = f"""
PRAGMA journal_mode=OFF;
PRAGMA synchronous=OFF;
PRAGMA cache_size=-{CACHE_KIBIBYTES};
CREATE TABLE seen (user_id TEXT PRIMARY KEY) WITHOUT ROWID;
BEGIN;
"""


class SeenIds:
    """A set of ids on disk, for lists that are larger than memory. To be closed, as a context manager."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(SCHEMA)

    def add(self, user_id: str) -> bool:
        """
        Remember *user_id*.

        Returns:
            Whether it was not known yet.

        Raises:
            OSError: the disk failed, or is full.
        """
        try:
            return self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (user_id,)).rowcount == 1
        except sqlite3.Error as error:
            raise OSError(f"no room to remember the ids of the list ({error}): free some space in TMPDIR") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._db.close()
