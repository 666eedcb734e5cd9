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
- A service that starts while another one answers for the file joins its epoch: the other one kept the history
  unbroken. Until it has decided which epoch it is the first one holds the lock alone, and then says it in the mark.
- The exact head: whoever wrote to the file between two services (an embedded client, the command line) costs a new
  epoch. That is no more than every client loading its users again.
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
AT_WORK = b"at work on "  # in the mark, before the epoch of the services that use it
RETRY_SECONDS = 0.02


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
    mark, proves = _mark(store.path, memory)
    try:
        if mark is None:
            _begin(store)
        else:
            _enter(mark, store, proves=proves)
        yield
        if mark is not None:
            _leave(mark, store)
    finally:
        if mark is not None:
            os.close(mark)


def _mark(path: Path, memory: Path) -> tuple[int | None, bool]:
    """The mark of a file, open, and whether a head in it proves anything: not if it may have outlived a reboot."""
    mark = _open(memory / _name(path))
    if mark is not None:
        return mark, True
    return _open(Path(tempfile.gettempdir()) / _name(path)), False


def _begin(store: SqliteStore) -> None:
    store.begin_epoch()
    log.info("service.new_epoch")


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
    if found.st_uid == os.geteuid() and stat.S_ISREG(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077:
        os.fchmod(mark, 0o600)  # a umask may have taken even the owner's rights
        return mark
    os.close(mark)
    return None


def _enter(mark: int, store: SqliteStore, *, proves: bool) -> None:
    """Begin a new epoch unless the mark proves the history or another service is at work on it; share the lock."""
    while True:
        if _is_alone(mark):
            left = os.pread(mark, MAX_MARK_BYTES, 0)
            os.ftruncate(mark, 0)  # first: a crash from here on leaves no proof
            if not proves or left != _head(store):
                _begin(store)
            os.pwrite(mark, _at_work(store), 0)
            fcntl.flock(mark, fcntl.LOCK_SH)
            return
        fcntl.flock(mark, fcntl.LOCK_SH)  # waits for one that is starting, or leaving
        said = os.pread(mark, MAX_MARK_BYTES, 0)
        if said.startswith(AT_WORK):
            if said != _at_work(store):  # the file is another one than that service opened
                _begin(store)
                os.pwrite(mark, _at_work(store), 0)
            return
        fcntl.flock(mark, fcntl.LOCK_UN)  # it left, or died; of two that wait neither may keep the other from going on
        time.sleep(RETRY_SECONDS)


def _at_work(store: SqliteStore) -> bytes:
    return AT_WORK + store.load(()).cursor.epoch.encode()


def _leave(mark: int, store: SqliteStore) -> None:
    """Note the head, if no other service is at work on this ledger."""
    with suppress(OSError, StoreError):  # no mark is left, so the next one begins a new epoch
        if _is_alone(mark):
            os.ftruncate(mark, 0)
            os.pwrite(mark, _head(store), 0)


def _is_alone(mark: int) -> bool:
    """Whether no other service uses this ledger; none can begin to until the lock is changed or given up."""
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
