"""
Begins a new epoch for a file store whose history cannot be proven unbroken (protocol.md, "Epoch").

While no service ran, the file may have been replaced by an older copy, perhaps one that was then written on. Clients
must not take that copy for the history in their caches. So the last service of a file, when it stops without an error,
notes the ledger's head, chain hash included, in a mark in this machine's memory (tmpfs). The next service takes the
mark away, and keeps the epoch only if the mark is of exactly the head that it finds.

- The mark is in memory, not on the disk. Beside the database it would come back with a restored folder, volume or
  snapshot, and prove the older copy. In memory it is lost at a reboot, in a new container and on another machine, which
  then begins a new epoch.
- The mark is taken away at the start, so a crash leaves none. It is locked while in use, so of several services of one
  file only the last to stop leaves a mark.
- A service that starts while another one serves the file joins its epoch, since the other one kept the history
  unbroken. The first service holds the lock alone until it has decided on the epoch, and then writes it into the mark.
- The mark has to name the exact head. A write between two services (by an embedded client or the command line) begins
  a new epoch, which costs no more than every client loading its users again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._logging import log
from ..errors import StoreError
from ..stores import SqliteStore

MEMORY = Path("/dev/shm")  # noqa: S108 - tmpfs; names there are checked for their owner
MAX_MARK_BYTES = 1_000
IN_USE = b"at work on "  # in the mark, before the epoch of the services that use it
RETRY_SECONDS = 0.02


@contextmanager
def kept_epoch(store: object, memory: Path = MEMORY) -> Iterator[None]:
    """
    Keep the epoch of *store* while a service serves it.

    On entry, begin a new epoch unless the history is proven unbroken. On exit, unless by an error, leave the proof for
    the next service.

    Args:
        store: Only a `SqliteStore` on a file needs a proof. A store in memory begins with its process, and another
            service proves its own store.

        memory: A folder that is lost at a reboot.

    Raises:
        StoreError: the new epoch could not be written.
    """
    if not isinstance(store, SqliteStore) or store.path is None:
        yield
        return
    mark, proves = _open_mark(store.path, memory)
    try:
        if mark is None:
            _begin_epoch(store)
        else:
            _begin_or_join(mark, store, proves=proves)
        yield
        if mark is not None:
            _leave_proof(mark, store)
    finally:
        if mark is not None:
            os.close(mark)


def _open_mark(path: Path, memory: Path) -> tuple[int | None, bool]:
    """Open the mark of a file, and tell whether it proves anything, as one that may have outlived a reboot does not."""
    mark = _open_own(memory / _name(path))
    if mark is not None:
        return mark, True
    return _open_own(Path(tempfile.gettempdir()) / _name(path)), False


def _begin_epoch(store: SqliteStore) -> None:
    store.begin_epoch()
    log.info("service.new_epoch")


def _name(path: Path) -> str:
    return f"diijam-consent-{os.geteuid()}-{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]}"


def _head(store: SqliteStore) -> bytes:
    return str(store.load(()).cursor).encode()


def _open_own(path: Path) -> int | None:
    """Open a mark; None where there is no such folder, or where the file is not this user's alone."""
    try:
        mark = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    found = os.fstat(mark)
    if found.st_uid == os.geteuid() and stat.S_ISREG(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077:
        os.fchmod(mark, 0o600)  # a umask may have taken even the owner's rights
        return mark
    os.close(mark)
    return None


def _begin_or_join(mark: int, store: SqliteStore, *, proves: bool) -> None:
    """Begin a new epoch unless the mark proves the history or another service keeps it; then share the lock."""
    while True:
        if _lock_alone(mark):
            left = os.pread(mark, MAX_MARK_BYTES, 0)
            os.ftruncate(mark, 0)  # before all else, so that a crash leaves no proof
            if not proves or left != _head(store):
                _begin_epoch(store)
            os.pwrite(mark, _in_use(store), 0)
            fcntl.flock(mark, fcntl.LOCK_SH)
            return
        fcntl.flock(mark, fcntl.LOCK_SH)  # waits for a service that is starting or stopping
        noted = os.pread(mark, MAX_MARK_BYTES, 0)
        if noted.startswith(IN_USE):
            if noted != _in_use(store):  # that service opened another file at this path
                _begin_epoch(store)
                os.pwrite(mark, _in_use(store), 0)
            return
        fcntl.flock(mark, fcntl.LOCK_UN)  # it stopped or crashed; two that wait may not block each other
        time.sleep(RETRY_SECONDS)


def _in_use(store: SqliteStore) -> bytes:
    return IN_USE + store.load(()).cursor.epoch.encode()


def _leave_proof(mark: int, store: SqliteStore) -> None:
    """Note the head, if no other service uses this ledger."""
    with suppress(OSError, StoreError):  # without a mark the next service begins a new epoch
        if _lock_alone(mark):
            os.ftruncate(mark, 0)
            os.pwrite(mark, _head(store), 0)


def _lock_alone(mark: int) -> bool:
    """Lock out all other services of this ledger; False if there is one. It lasts until the lock is changed."""
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
