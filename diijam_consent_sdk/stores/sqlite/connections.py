"""One process's connections to a SQLite file, which must survive forks, replaced files and read-only places."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections import deque
from contextlib import suppress
from pathlib import Path

import attrs

from ..._logging import log
from ...errors import ConsentError, StoreUnavailable, StoreUnusable
from .._fork_safety import gate, leak
from .errors import primary_code
from .file_systems import make_private
from .log_files import REMOVED, LoggedConnection
from .schema import prepare

Identity = tuple[int, ...]  # which file a connection was opened on, and in which state if SQLite takes it for immutable
NO_FILE: Identity = (0, 0)


@attrs.define
class OpenedFile:
    """The file that was opened last at a database's path. The pools share it, so that each notices a replaced file."""

    identity: Identity = NO_FILE
    # That are open: on which file, and in which process, as a forked child inherits some that it never uses.
    connections: dict[LoggedConnection, tuple[Identity, int]] = attrs.Factory(dict)
    pools: weakref.WeakSet[ConnectionPool] = attrs.Factory(weakref.WeakSet)

    def check_logs(self, identity: Identity) -> None:
        """Raise `StoreUnavailable` if a connection in use lost its log: one opened now would not see what it wrote."""
        place = identity, os.getpid()
        if any(on == place and not db.has_log() for db, on in tuple(self.connections.items())):
            raise StoreUnavailable(REMOVED)


class Lent:
    """A pool's connection for a `with` block: rolled back after an error, and closed after one that is not ours."""

    __slots__ = ("_db", "_opened_on", "_pool")

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def __enter__(self) -> LoggedConnection:
        self._db, self._opened_on = self._pool.check_out()
        return self._db

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if error is not None:
            with suppress(sqlite3.Error):
                self._db.rollback()
            if not isinstance(error, (ConsentError, ValueError)):
                self._pool.discard(self._db)
                return
        self._pool.check_in(self._db, self._opened_on, was_used=error is None)


class ConnectionPool:
    """
    The idle connections to the file at *path*. Safe to use from several threads.

    Idle connections are closed before a fork. Those that a child inherits all the same it abandons unclosed: closing
    one could delete the write-ahead log. After the file was replaced another connection is opened: one to the old file
    would never see another write.
    """

    def __init__(
        self, path: Path, opened: OpenedFile, *, busy_seconds: float, create: bool, was_found: bool = False
    ) -> None:
        self._path = path
        self._opened = opened
        self._busy_seconds = busy_seconds
        self._create = create
        self._was_found = was_found  # if it is gone or empty from then on, that is an error, no reason to begin one
        self._is_immutable = False  # the file lies where nothing can be written
        self._is_closed = False
        self._begin()
        opened.pools.add(self)

    def _begin(self) -> None:
        self._idle: deque[tuple[LoggedConnection, Identity]] = deque()
        self._pid = os.getpid()
        self._drop = weakref.finalize(self, _drop, self._idle, self._pid)
        self._drop.atexit = False

    def connection(self) -> Lent:
        """
        Lend a connection, for a `with` block.

        Raises:
            StoreUnavailable: the store is closed, the process was forked during a call, or an immutable file changed.
        """
        return Lent(self)

    def close(self) -> None:
        """Close the idle connections now, those in use when they come back."""
        self._is_closed = True
        self.release()

    def release(self) -> None:
        """Close the idle connections; a later call opens others."""
        while self._pid == os.getpid() and self._idle:
            with suppress(IndexError):
                self.discard(self._idle.pop()[0])

    def discard(self, db: LoggedConnection) -> None:
        """Close a connection that is not given back."""
        self._opened.connections.pop(db, None)
        db.close()

    def reset_after_fork(self) -> None:
        """In a forked child: start with no connection."""
        for db, _ in self._idle:
            self._opened.connections.pop(db, None)
        self._drop()
        self._begin()

    def check_out(self) -> tuple[LoggedConnection, Identity]:
        """Take a connection, and what tells its file. Raises as `connection` says."""
        if self._is_closed:
            raise StoreUnavailable("the store is closed: make a new one")
        if gate.was_forked_during_a_call:
            raise StoreUnavailable("this process was forked during a store call: fork before, or start it by spawning")
        if self._pid != os.getpid():
            self.reset_after_fork()
        while True:
            identity = self.identity()
            try:
                db, opened_on = self._idle.pop()
            except IndexError:
                self._opened.check_logs(identity)
                db, opened_on = self._connect(), identity
                self._opened.connections[db] = opened_on, self._pid
                identity = self.identity()
                if opened_on == identity:
                    self._opened.identity = identity[:2]
            if opened_on == identity:
                if db.has_log():
                    return db, opened_on
                self._take_in_log(db, opened_on)
            self.discard(db)

    def _take_in_log(self, db: LoggedConnection, opened_on: Identity) -> None:
        """Have *db*, whose log was removed, write it to the file. It stays open if it cannot, and so does the log."""
        for pool in self._opened.pools:
            pool.release()
        try:
            db.take_in_log()
        except ConsentError:
            self._idle.append((db, opened_on))
            raise
        log.warning("store.log_was_removed", path=str(self._path))

    def check_in(self, db: LoggedConnection, opened_on: Identity, *, was_used: bool) -> None:
        """Give a connection back; `StoreUnavailable` if it *was_used* on an immutable file that changed meanwhile."""
        if was_used and self._is_immutable and self.identity() != opened_on:
            self.discard(db)
            raise StoreUnavailable("the database was written to while it was read, from another place: try again")
        self._idle.append((db, opened_on))
        if self._is_closed:
            self.release()

    def identity(self) -> Identity:
        """Tell the file that lies there now from any other."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - at each call: Path.stat takes half as long again
        except OSError:
            return NO_FILE
        if not self._is_immutable:
            return found.st_dev, found.st_ino
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, self._log().exists()

    def _log(self) -> Path:
        file = Path(os.path.realpath(self._path))  # SQLite keeps the log beside the file that a link leads to
        return file.with_name(f"{file.name}-wal")

    def _connect(self) -> LoggedConnection:
        if self._opened.identity != NO_FILE and self.identity()[:2] not in (NO_FILE, self._opened.identity):
            self._refuse_old_log()
        if self._create and not self._was_found:
            make_private(self._path)
        try:
            db = self._open("mode=rw")
            self._is_immutable = False
        except sqlite3.OperationalError as error:
            if primary_code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
            if not self._may_be_immutable():
                raise
            self._is_immutable = True  # first: the file is compared with its state before it is opened
            db = self._open("mode=ro&immutable=1")
        self._was_found = True
        return db

    def _open(self, options: str) -> LoggedConnection:
        db = sqlite3.connect(
            f"{self._path.as_uri()}?{options}",
            uri=True, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False,
            factory=LoggedConnection,
        )  # fmt: skip
        try:
            if prepare(db, may_begin=not self._was_found):
                log.info("store.ledger_made", path=str(self._path))  # perhaps not the one that was meant
            db.remember_log(self._path)
        except BaseException:
            db.close()
            raise
        return db

    def _refuse_old_log(self) -> None:
        """Refuse to read a new file through the write-ahead log of the old: SQLite would mix the two."""
        with suppress(FileNotFoundError):
            if self._log().stat().st_size:
                raise StoreUnusable(
                    "the file was replaced and a write-ahead log lies beside it: close every store on it,"
                    " then put the file back without the old one's -wal and -shm"
                )

    def _may_be_immutable(self) -> bool:
        """
        Check whether the file lies where nothing can be written, so that SQLite cannot keep shared memory beside it.

        Raises:
            StoreUnavailable: a write-ahead log lies there too, without which the file cannot be read.
        """
        if os.access(self._log().parent, os.W_OK) or not os.access(self._path, os.R_OK):
            return False
        if self._log().exists():
            raise StoreUnavailable(
                "the database lies in a read-only place, beside a write-ahead log: copy both files where they may be"
                " written, or close every store on them before the place is made read-only"
            )
        return True


def _drop(idle: deque[tuple[LoggedConnection, Identity]], pid: int) -> None:
    """Close the connections of a store that nobody closed; those that a child inherited are never closed."""
    for connection in idle:
        if pid == os.getpid():
            connection[0].close()
        else:
            leak(connection)
