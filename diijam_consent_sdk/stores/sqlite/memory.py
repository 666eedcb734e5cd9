"""A ledger in this process's memory: for tests, and for trying things out."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...errors import StoreUnavailable
from ..sql.operations import Clock
from .database import Database
from .schema import prepare
from .store import SqliteDatabaseStore

BUSY_SECONDS = 0.9


class MemoryDatabase(Database):
    """A database in memory: one connection, which one thread uses at a time."""

    def __init__(self) -> None:
        super().__init__(None, BUSY_SECONDS)
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._db.close).atexit = False  # of a store that nobody closed
        prepare(self._db)

    def mark_scrub_due(self, db: sqlite3.Connection) -> None:
        """Do nothing: there is no write-ahead log in memory."""

    def scrub(self, *, has_erased: bool = False) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Close the connection."""
        super().close()
        if self._pid == os.getpid():
            with self._lock:
                self._db.close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if self._pid != os.getpid():
            raise StoreUnavailable("a MemoryStore stays in the process that made it: use SqliteStore to share one")
        with self._lock:
            if self._closed.done():
                raise StoreUnavailable("the store is closed: make a new one")
            try:
                yield self._db
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.rollback()
                raise


class MemoryStore(SqliteDatabaseStore):
    """
    The store of `SqliteStore` with nothing on disk; gone with the process. Safe to use from several threads.

    A forked child cannot use its parent's: it would never see what the parent writes after the fork.

    Args:
        clock: The wall clock that stamps entries; returns an aware datetime.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        super().__init__(MemoryDatabase(), clock)
