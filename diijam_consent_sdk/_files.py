"""
Open, lock and replace the files on which safety rests: the tokens file, and what the command line writes.

A crash must not leave half a file, and no other user may read a private one or redirect it with a planted link.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

LOCK_PAUSE_SECONDS = 0.05
PRIVATE = 0o600

# Errors of file systems that lack an operation altogether, such as NFS without a lock daemon, SMB or FUSE.
NOT_SUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF})
NO_LOCKS = NOT_SUPPORTED | {errno.ENOLCK}
NOT_SYNCED = NOT_SUPPORTED | {errno.EACCES, errno.EPERM, errno.EISDIR}  # opening a folder needs the right to read it


def lock(descriptor: int, seconds: float = 0.0) -> bool:
    """
    Lock an open file or folder against other processes, until the descriptor is closed.

    Args:
        descriptor: The descriptor of the file.

        seconds: How long to wait for another process.

    Returns:
        Whether the file is locked: False where the system or the file system has no locks.

    Raises:
        BlockingIOError: another process still holds the lock.
    """
    until = time.monotonic() + seconds
    while HAS_LOCKS:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return False
        else:
            return True
        time.sleep(LOCK_PAUSE_SECONDS)
    return False


def sync_folder(folder: Path) -> bool:
    """
    Make the names in *folder* outlast a power cut.

    Returns:
        Whether the folder was synced: False where the file system cannot, as on SMB and some FUSE.

    Raises:
        OSError: the disk failed.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NOT_SYNCED:
            raise
        return False
    return True


@contextmanager
def replace_file(path: Path, *, owner: tuple[int, int] | None = None, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """
    Write a new file that replaces *path* when the block ends, so a reader finds the old file or the new one, whole.

    Args:
        path: The file. It must not be a link.

        owner: The user and group of the new file; those of this process unless given.

        mode: The permissions of the new file; for its owner alone unless given.

    Raises:
        OSError: the file cannot be written, or the owner cannot be kept. The old file is then untouched.
    """
    beside = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        # O_EXCL refuses a file or link that somebody planted under this name.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), PRIVATE)
        with os.fdopen(descriptor, "wb") as stream:
            if owner is not None:
                os.fchown(descriptor, *owner)
            if mode != PRIVATE:
                os.fchmod(descriptor, mode)
            yield stream
            stream.flush()
            os.fsync(descriptor)
        beside.replace(path)
    except BaseException as error:
        with suppress(FileNotFoundError):
            beside.unlink()
        if isinstance(error, OSError) and error.filename in {None, str(beside)}:
            error.filename = str(path)
        raise


def open_regular(path: Path, flags: int, mode: int = PRIVATE) -> int:
    """
    Open a regular file that is not a link. The content must stay until the file is checked, so never pass O_TRUNC.

    Returns:
        The descriptor.

    Raises:
        PermissionError: *path* is a link, a pipe, or something else than a regular file.

        OSError: the file cannot be opened.
    """
    try:
        # O_NONBLOCK: opening a pipe would block until somebody writes to it.
        more = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags | more, mode)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO} or path.is_symlink():
            raise refusal(path, "this is a link or no file, and not followed: remove it") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise refusal(path, "this is no regular file: remove it, or name another")
    return descriptor


def refusal(path: Path, why: str) -> PermissionError:
    """Make the error for a file that is not safe to use."""
    return PermissionError(errno.EPERM, why, str(path))
