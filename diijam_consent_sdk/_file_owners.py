"""
Check that only root and trusted users can change a file, or decide which file a path leads to.

Tokens and results are as safe as the weakest folder or link on the way to them, so the whole path is checked, as ssh
does. Windows has no such owners, and nothing is checked there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ._files import open_regular, refusal

try:
    import grp
    import pwd
except ImportError:  # Windows
    HAS_GROUPS = False
else:
    HAS_GROUPS = True

HAS_OWNERS = hasattr(os, "geteuid")
MAX_LINKS = 40  # as in the kernel
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
ROOT = 0


def is_root() -> bool:
    """Whether this process runs as root, who may do everything."""
    return HAS_OWNERS and os.geteuid() == ROOT


def check_file(path: Path, found: os.stat_result, owners: Collection[int] = ()) -> None:
    """
    Check that no other user can have written an open file.

    Args:
        path: The path that the error names.

        found: The status of the open file.

        owners: Users that may own the file, beside root and the user of this process.

    Raises:
        PermissionError: another user owns the file, or others may write it.
    """
    if HAS_OWNERS:
        _check_owner(path, found, owners)
        if found.st_mode & OTHERS_MAY_WRITE:
            raise refusal(path, f"others may write it (mode {stat.S_IMODE(found.st_mode):04o}): chmod go-w it")


@contextmanager
def open_checked(path: Path, owners: Collection[int] = (), *, named: Path | None = None) -> Iterator[BinaryIO]:
    """
    Open a regular file for reading that no other user can have written.

    Args:
        path: The file. It must not be a link.

        owners: As for `check_file`.

        named: The path that an error about the owner names, if it is another.

    Raises:
        OSError: the file cannot be opened, or another user owns it, or others may write it.
    """
    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
        check_file(named or path, os.fstat(file.fileno()), owners)
        yield file


def check_links(path: Path, owners: Collection[int] = ()) -> None:
    """
    Check that root, *owners* or the user of this process made every link on the way to *path*.

    Raises:
        PermissionError: another user made a link.

        OSError: there is no such file.
    """
    if HAS_OWNERS:
        for step, found in _path_steps(path).items():
            if stat.S_ISLNK(found.st_mode):
                _check_owner(step, found, owners)


def check_path(path: Path, owners: Collection[int] = ()) -> None:
    """
    Check that no other user can decide which file *path* leads to, by a link or by writing to a folder on the way.

    A sticky folder such as /tmp passes, since others cannot replace its entries. So does a folder that the private
    group of its owner may write.

    Args:
        path: An absolute path.

        owners: Users that may own folders and links on the way, beside root and the user of this process.

    Raises:
        PermissionError: another user can.

        OSError: there is no such file.
    """
    if HAS_OWNERS:
        for step, found in _path_steps(path).items():
            _check_owner(step, found, owners)
            if stat.S_ISDIR(found.st_mode) and _is_open_to_others(found):
                mode = f"{stat.S_IMODE(found.st_mode):04o}"
                raise refusal(step, f"others may write to this folder (mode {mode}): chmod go-w it")


def _check_owner(path: Path, found: os.stat_result, owners: Collection[int]) -> None:
    if found.st_uid not in {ROOT, os.geteuid(), *owners}:
        kind = "link" if stat.S_ISLNK(found.st_mode) else "folder" if stat.S_ISDIR(found.st_mode) else "file"
        who = f"user {found.st_uid}, neither to root nor to user {os.geteuid()}, who runs this"
        raise refusal(path, f"this {kind} belongs to {who}: put that right with chown, or name another")


def _path_steps(path: Path) -> dict[Path, os.stat_result]:
    """Every folder, link and file that opening *path* passes, those behind links and *path* itself included."""
    steps: dict[Path, os.stat_result] = {}
    targets = [path]
    for target in targets:  # grows by the target of each link
        if len(targets) > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        for step in (*reversed(target.parents), target):
            if step not in steps:
                steps[step] = step.lstat()
                if stat.S_ISLNK(steps[step].st_mode):
                    targets.append(step.parent / step.readlink())
    return steps


def _is_open_to_others(found: os.stat_result) -> bool:
    if found.st_mode & stat.S_ISVTX:
        return False
    return bool(found.st_mode & stat.S_IWOTH) or bool(found.st_mode & stat.S_IWGRP and not _is_private_group(found))


def _is_private_group(found: os.stat_result) -> bool:
    """Whether the group has no other member: many systems give each user such a group, and a umask of 002."""
    if not HAS_GROUPS:
        return False
    try:
        user, group = pwd.getpwuid(found.st_uid), grp.getgrgid(found.st_gid)
    except KeyError:
        return False
    if user.pw_gid != group.gr_gid or user.pw_name != group.gr_name:
        return False
    members = {*group.gr_mem, *(other.pw_name for other in pwd.getpwall() if other.pw_gid == group.gr_gid)}
    return members <= {user.pw_name}
