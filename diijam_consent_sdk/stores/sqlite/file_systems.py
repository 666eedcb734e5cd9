"""What the file system of a ledger offers, and who may read its file, so that errors and remarks can name the cause."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
OF_NETWORKS = {"afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "gfs2", "lustre", "nfs", "nfs4", "ocfs2", "smb3"}
ONE_MACHINE = "only processes of one machine may use it, or they miss what others write; PostgreSQL is for several"
OPEN_TO_OTHERS = "others than its owner may read or write the file: chmod 600 takes that from them"
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


def kind_of(path: Path) -> str:
    """Name the file system that *path* lies on, as `mount` does; "unknown" where that cannot be found."""
    with suppress(OSError):
        device = path.stat().st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
            left, _, right = line.partition(" - ")
            if left.split(" ")[2] == wanted:
                return right.split(" ")[0]
    return "unknown"


@lru_cache(maxsize=16)
def has_locks(folder: Path) -> bool:
    """
    Whether files in *folder* can be locked; True if that cannot be tried. A temporary file is tried, as closing the
    database's would drop the locks that SQLite holds on it in this process.
    """
    if sys.platform == "win32":
        return True
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in NO_LOCKS
    return True


def make_private(path: Path) -> None:
    """Make an empty file that only its owner can read or write, whatever the umask. An existing file is left alone."""
    with suppress(OSError):  # opening the database fails with a better error
        descriptor = os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            if sys.platform != "win32":
                os.fchmod(descriptor, 0o600)  # a umask may have taken even the owner's rights
        finally:
            os.close(descriptor)


def remarks_on(path: Path) -> list[str]:
    """List what an operator should know of where a ledger lies."""
    remarks = []
    with suppress(OSError):
        if sys.platform != "win32" and path.stat().st_mode & 0o077:
            remarks.append(OPEN_TO_OTHERS)
        if (kind := kind_of(path)) in OF_NETWORKS:
            remarks.append(f"the file lies on a network file system ({kind}): {ONE_MACHINE}")
    return remarks
