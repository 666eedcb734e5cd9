"""
A new epoch for a file store whose history cannot be proven unbroken (protocol.md: Epoch).

The danger: while no service ran, the file was replaced by an older copy, perhaps one that was then written on. Clients
must not take it for the history they know. The proof that nothing happened: when the last service of a file stops in
good order it notes the ledger's head, chain hash included, in a mark in this machine's memory (tmpfs). The next one
takes the mark away, and keeps the epoch only if the mark is of exactly the head it finds.

- Memory, not the disk: a mark beside the database would come back with a restored folder, volume or snapshot, and
  prove the older copy. In memory it is lost at a reboot, in a new container or on another machine: then a new epoch.
- Taken away at the start: a crash leaves none. Locked while in use: of several services of one file only the last to
  stop leaves a mark.
- The exact head: whoever wrote to the file between two services (an embedded client, the command line) costs a new
  epoch. That is no more than every client loading its users again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._logging import log
from ..errors import StoreError
from ..stores import SqliteStore

MEMORY = Path("/dev/shm")  # noqa: S108 - tmpfs; names there are checked for their owner
MAX_MARK_BYTES = 1_000


@contextmanager
def continued(store: object, memory: Path = MEMORY) -> Iterator[None]:
    """
    The time during which a service answers for *store*: begins a new epoch unless the history is proven unbroken, and
    leaves at the end, unless by an error, what proves it to the next.

    Args:
        store: Only of a `SqliteStore` on a file is anything to be proven here. Memory begins with its process, and the
            store of another service is that one's.

        memory: A folder that is lost at a reboot.

    Raises:
        StoreError: the new epoch could not be written.
    """
    if not isinstance(store, SqliteStore) or store.path is None:
        yield
        return
    mark = _open(memory / _name(store.path))
    try:
        if mark is None or _take(mark) != _head(store):
            store.begin_epoch()
            log.info("service.new_epoch")
        yield
        if mark is not None:
            _leave(mark, store)
    finally:
        if mark is not None:
            os.close(mark)


def _name(path: Path) -> str:
    return f"diijam-consent-{os.geteuid()}-{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]}"


def _head(store: SqliteStore) -> bytes:
    return str(store.load(()).cursor).encode()


def _open(path: Path) -> int | None:
    """The mark, open; None where there is no such memory, or the file is not ours alone."""
    try:
        mark = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    found = os.fstat(mark)
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o600 and stat.S_ISREG(found.st_mode):
        return mark
    os.close(mark)
    return None


def _take(mark: int) -> bytes:
    """What the last service left, now gone; nothing if another one is at work."""
    left = b""
    if _is_alone(mark):
        left = os.pread(mark, MAX_MARK_BYTES, 0)
        os.ftruncate(mark, 0)
    fcntl.flock(mark, fcntl.LOCK_SH)  # waits for a service that is leaving its mark; that one is of no use now
    os.ftruncate(mark, 0)
    return left


def _leave(mark: int, store: SqliteStore) -> None:
    """Note the head, if no other service is at work on this ledger."""
    with suppress(OSError, StoreError):  # no mark is left, so the next one begins a new epoch
        if _is_alone(mark):
            os.pwrite(mark, _head(store), 0)


def _is_alone(mark: int) -> bool:
    """Whether no other service uses this ledger; none can begin to until the lock is changed or given up."""
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
