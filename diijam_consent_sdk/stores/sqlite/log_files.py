"""
The write-ahead log and the shared memory beside a SQLite file, which somebody may remove while the ledger is in use.
SQLite goes on with a removed log, and no process that opens the ledger later reads what is in it.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from ...errors import StoreUnavailable, StoreUnusable

ABSENT: tuple[int, ...] = (0, 0)  # in place of a file's inode and device
REMOVED = (
    "the ledger's -wal or -shm file was removed while the ledger is in use: close every other store on it, in this"
    " process and in others, before one is opened"
)
REPLACED = (
    "the ledger's -wal or -shm file was replaced while the ledger is in use, so not all processes see the same entries:"
    " stop them all, then run diijam-consent verify --since with a head that was kept"
)


class LoggedConnection(sqlite3.Connection):
    """A connection that can tell whether the log that it writes to still lies beside the file."""

    _log = _memory = ""  # their paths; SQLite removes both when the last connection of all processes is closed
    _log_opened = _memory_opened = ABSENT

    def remember_log(self, path: Path) -> None:
        """Remember the files beside the database at *path* that this connection uses."""
        file = os.path.realpath(path)  # SQLite keeps the log beside the file that a link leads to
        self._log, self._memory = f"{file}-wal", f"{file}-shm"
        self._log_opened, self._memory_opened = _file_at(self._log), _file_at(self._memory)

    def has_log(self) -> bool:
        """Whether the files that lie there now are those that this connection uses."""
        return _file_at(self._log) == self._log_opened and _file_at(self._memory) == self._memory_opened

    def take_in_log(self) -> None:
        """
        Write what a removed log holds to the database's file, which then has no log.

        Raises:
            StoreUnavailable: another connection uses the ledger, and may write to the removed log.

            StoreUnusable: another log lies there by now.
        """
        files = ((self._log, self._log_opened), (self._memory, self._memory_opened))
        if ABSENT in {self._log_opened, self._memory_opened}:
            return  # opened without a log, so nothing was written to one
        if any(_file_at(path) not in {ABSENT, opened} for path, opened in files):
            raise StoreUnusable(REPLACED)
        try:
            self.execute("PRAGMA journal_mode=DELETE")  # refused unless no other connection of any process is open
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(REMOVED) from error


def _file_at(path: str) -> tuple[int, ...]:
    try:
        return os.stat(path)[1:3]  # noqa: PTH116 - at each call: Path.stat, and names for these two, take longer
    except OSError:
        return ABSENT
