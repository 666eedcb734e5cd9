"""
Files on which safety rests: the tokens file, and what the command line writes. Whole or untouched, for their owner
alone, behind a lock where there is one, and never through what somebody else planted.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

try:
    import fcntl
    import grp
    import pwd
except ImportError:  # Windows has neither such locks nor such owners
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

LOCK_PAUSE_SECONDS = 0.05
MAX_LINKS = 40  # as in the kernel
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
PRIVATE = 0o600
ROOT = 0

# What a system answers that cannot do this at all: NFS without a lock daemon, SMB, FUSE.
NOT_SUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF})
NO_LOCKS = NOT_SUPPORTED | {errno.ENOLCK}
NOT_SYNCED = NOT_SUPPORTED | {errno.EACCES, errno.EPERM, errno.EISDIR}  # opening a folder needs the right to read it


def is_root() -> bool:
    """Whether this process may do everything."""
    return hasattr(os, "geteuid") and os.geteuid() == ROOT


def lock(descriptor: int, seconds: float = 0.0) -> bool:
    """
    Lock an open file or folder against other processes, until the descriptor is closed.

    Args:
        descriptor: Of the file.

        seconds: How long to wait for another process.

    Returns:
        Whether it is locked: False where the system or the file system has no locks.

    Raises:
        BlockingIOError: another process still holds it.
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
        Whether that was done: False where the file system cannot, as on SMB and some FUSE.

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
def replacing(path: Path, *, owner: tuple[int, int] | None = None, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """
    A new file that takes the place of *path* once the block ended: a reader finds the old one or the new one.

    Args:
        path: The file. It is no link.

        owner: The user and group that it belongs to; this user's unless given.

        mode: Who may do what with it: its owner alone unless given.

    Raises:
        OSError: it cannot be written, or the owner cannot be kept. What was there is untouched then.
    """
    beside = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        # O_EXCL: a file or link that somebody put there under this name is an error.
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
    Open a regular file that is no link. What is there is not touched: never pass O_TRUNC.

    Returns:
        The descriptor.

    Raises:
        PermissionError: it is a link, a pipe, or something else than a file.

        OSError: it cannot be opened.
    """
    try:
        # A pipe would be waited for until somebody writes to it.
        more = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags | more, mode)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO} or path.is_symlink():
            raise _refused(path, "this is a link or no file, and not followed: remove it") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _refused(path, "this is no regular file: remove it, or name another")
    return descriptor


def check_owned(path: Path, found: os.stat_result, owners: Collection[int] = ()) -> None:
    """
    See that nobody else can have written a file.

    Args:
        path: For the error.

        found: Of the open file.

        owners: Who may own it, beside root and the user of this process.

    Raises:
        PermissionError: another user owns it, or others may write it.
    """
    if hasattr(os, "geteuid"):
        _check_owner(path, found, owners)
        if found.st_mode & OTHERS_MAY_WRITE:
            raise _refused(path, f"others may write it (mode {stat.S_IMODE(found.st_mode):04o}): chmod go-w it")


def check_links(path: Path, owners: Collection[int] = ()) -> None:
    """
    See that every link on the way to *path* was made by root, by *owners* or by the user of this process.

    Raises:
        PermissionError: somebody else made one.

        OSError: there is no such file.
    """
    if hasattr(os, "geteuid"):
        for step, found in _steps(path).items():
            if stat.S_ISLNK(found.st_mode):
                _check_owner(step, found, owners)


def check_way(path: Path, owners: Collection[int] = ()) -> None:
    """
    See that nobody else decides which file *path* is, as ssh does: by a link, or by writing to a folder on the way.

    A sticky folder such as /tmp is none that others can change, and a private group of its owner is no other.

    Args:
        path: An absolute path.

        owners: Who may own what is on the way, beside root and the user of this process.

    Raises:
        PermissionError: somebody else can.

        OSError: there is no such file.
    """
    if hasattr(os, "geteuid"):
        for step, found in _steps(path).items():
            _check_owner(step, found, owners)
            if stat.S_ISDIR(found.st_mode) and _is_open_to_others(found):
                mode = f"{stat.S_IMODE(found.st_mode):04o}"
                raise _refused(step, f"others may write to this folder (mode {mode}): chmod go-w it")


def _check_owner(path: Path, found: os.stat_result, owners: Collection[int]) -> None:
    if found.st_uid not in {ROOT, os.geteuid(), *owners}:
        kind = "link" if stat.S_ISLNK(found.st_mode) else "folder" if stat.S_ISDIR(found.st_mode) else "file"
        who = f"user {found.st_uid}, neither to root nor to user {os.geteuid()}, who runs this"
        raise _refused(path, f"this {kind} belongs to {who}: put that right with chown, or name another")


def _steps(path: Path) -> dict[Path, os.stat_result]:
    """Whatever is passed on the way to *path* and of its links, itself too."""
    steps: dict[Path, os.stat_result] = {}
    ways = [path]
    for way in ways:
        if len(ways) > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        for step in (*reversed(way.parents), way):
            if step not in steps:
                steps[step] = step.lstat()
                if stat.S_ISLNK(steps[step].st_mode):
                    ways.append(step.parent / step.readlink())
    return steps


def _is_open_to_others(found: os.stat_result) -> bool:
    if found.st_mode & stat.S_ISVTX:
        return False
    return bool(found.st_mode & stat.S_IWOTH) or bool(found.st_mode & stat.S_IWGRP and not _is_private_group(found))


def _is_private_group(found: os.stat_result) -> bool:
    """Many systems give each user a group with nobody else in it, and a umask of 002."""
    try:
        user, group = pwd.getpwuid(found.st_uid), grp.getgrgid(found.st_gid)
    except KeyError:
        return False
    return user.pw_gid == group.gr_gid and user.pw_name == group.gr_name and set(group.gr_mem) <= {user.pw_name}


def _refused(path: Path, why: str) -> PermissionError:
    return PermissionError(errno.EPERM, why, str(path))
