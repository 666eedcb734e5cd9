"""What a file system lacks is named, and a new file is its owner's alone."""

from __future__ import annotations

import errno
import fcntl
import logging
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.stores.sqlite import errors, file_systems
from diijam_consent_sdk.stores.sqlite.errors import translated

from ..contract import OPENED, sign_up


def test_a_file_system_without_locks_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no file can be locked SQLite says that somebody holds the lock; the error names the file system instead."""

    def lockf(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", lockf)
    file_systems.has_locks.cache_clear()
    with closing(SqliteStore(path, busy_seconds=0)) as store, closing(sqlite3.connect(path)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            StoreUnavailable, match=r"the file system of the database \(\w+\) has no working file locks"
        ):
            store.append("u-2", [OPENED])
    file_systems.has_locks.cache_clear()


@pytest.mark.parametrize("code", errors.FILE_SYSTEM_LACKS)
def test_what_a_file_system_lacks_is_named(code: int, path: Path) -> None:
    """Shared memory or locks that fail are no broken disk: the error says which file system it is, and where to go."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    with (
        pytest.raises(StoreUnavailable, match=r"the file system of the database \(\w+\) .* local disk"),
        translated(path),
    ):
        raise error


def test_a_network_file_system_is_named(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger on NFS is whole, and `verify` says that one machine alone may use it."""
    monkeypatch.setattr(file_systems, "kind_of", lambda _: "nfs4")
    assert ["one machine" in remark and "(nfs4)" in remark for remark in store.remarks()] == [True]


def test_a_file_system_is_found_by_its_mount(path: Path, tmp_path: Path) -> None:
    """The name is the mount's; where nothing tells it is unknown."""
    assert re.fullmatch(r"[\w.]+", file_systems.kind_of(path))
    assert file_systems.kind_of(Path("/proc/self")) == "proc"
    assert file_systems.kind_of(tmp_path / "missing") == "unknown"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_a_new_ledger_is_its_owners_alone(umask: int, tmp_path: Path) -> None:
    """The database, its log and its shared memory are of mode 0600, whatever the umask."""
    program = f"""
import os, sys
from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.stores import SqliteStore
os.umask({umask})
store = SqliteStore(sys.argv[1])
store.append("u-1", [AccountOpened()])
print({{name: oct(os.stat(name).st_mode & 0o777) for name in os.listdir()}})
"""
    made = subprocess.run(
        [sys.executable, "-c", program, "new.db"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert eval(made.stdout) == dict.fromkeys(("new.db", "new.db-wal", "new.db-shm"), "0o600")


def test_a_new_ledger_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A misspelt path makes a ledger too: the log says where, and nothing of one that was there."""
    caplog.set_level(logging.INFO)
    for _ in range(2):
        SqliteStore(tmp_path / "consent.db").close()
    assert [
        line for line in caplog.messages if "store.ledger_made" in line and "consent.db" in line
    ] == caplog.messages[:1]


def test_the_owner_may_open_a_ledger_to_others(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The mode of a file that is there stays as it is; the log says that others may read it."""
    caplog.set_level(logging.INFO)
    with closing(SqliteStore(path)):
        assert "store.remark" not in caplog.text
    path.chmod(0o640)
    with closing(SqliteStore(path)) as store:
        sign_up(store, "u-2")
        assert path.stat().st_mode & 0o777 == 0o640
    assert "others than its owner may read" in caplog.text
