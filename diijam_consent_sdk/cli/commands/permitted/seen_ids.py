"""
Remember which ids came before.

A list may be larger than memory, so the ids are kept in a temporary database on disk.
"""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self

CACHE_KIBIBYTES = 16_384

# A temporary database of SQLite has no name, and is gone when the process ends. Nothing in it has to last.
SCHEMA = f"""
PRAGMA journal_mode=OFF;
PRAGMA synchronous=OFF;
PRAGMA cache_size=-{CACHE_KIBIBYTES};
CREATE TABLE seen (user_id TEXT PRIMARY KEY) WITHOUT ROWID;
BEGIN;
"""


class SeenIds:
    """A set of ids on disk, a context manager that closes it."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(SCHEMA)

    def add(self, user_id: str) -> bool:
        """
        Remember *user_id*.

        Returns:
            Whether it was not in the set yet.

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
