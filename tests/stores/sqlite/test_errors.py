"""A locked or full database raises an error that names the cause, and loses nothing."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import SqliteStore

from ..contract import OPENED, TOLD, head, sign_up
from ..programs import heard, locking, running
from .files import BUSY_SECONDS, CALLS, version


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_locked_ledger_is_read_and_not_written(lock: str, path: Path, store: SqliteStore) -> None:
    """While another process writes, an append waits `busy_seconds` and says so, and reading goes on."""
    with locking(path, lock):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="locked"):
            store.append("u-1", [e.AgreementWithdrawn("n-1")], idempotency_key="k-2")
        assert BUSY_SECONDS * 0.9 <= time.monotonic() - started < BUSY_SECONDS + 1
        assert version(store, "u-1") == 3
        assert len(store.history("u-1")) == 3
        with closing(SqliteStore(path, busy_seconds=BUSY_SECONDS)) as another:
            assert version(another, "u-1") == 3
    assert store.append("u-1", [e.AgreementWithdrawn("n-1")], idempotency_key="k-2").version == 4
    assert store.verify().position == 4


def test_an_append_gets_its_turn(path: Path, store: SqliteStore) -> None:
    """A lock that is let go in time is waited for."""
    code = """
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        say("locked")
        time.sleep(0.5)
        db.execute("ROLLBACK")
        db.close()
    """
    with closing(SqliteStore(path, busy_seconds=20)) as patient, running(path, code) as program:
        assert heard(program) == "locked"
        started = time.monotonic()
        assert patient.append("u-1", [TOLD]).version == 4
        assert time.monotonic() - started > 0.2


EXCLUSIVELY = ("PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE", "UPDATE meta SET value = value", "COMMIT")


def test_a_store_can_be_made_on_a_file_locked_against_readers(path: Path) -> None:
    """Making a store on a wholly locked file raises nothing; its calls do, in time, until the lock is gone."""
    with locking(path, *EXCLUSIVELY):
        store = SqliteStore(path, busy_seconds=BUSY_SECONDS)
        for call in CALLS.values():
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                call(store)
            assert time.monotonic() - started < BUSY_SECONDS + 1
    assert version(store, "u-1") == 3
    assert sign_up(store, "u-2").cursor.position == 4
    store.close()


def test_a_store_can_be_made_on_a_new_file_that_is_locked(tmp_path: Path) -> None:
    """The same goes for a file that is no ledger yet."""
    path = tmp_path / "new.db"
    with locking(path, "BEGIN EXCLUSIVE"):
        store = SqliteStore(path, busy_seconds=BUSY_SECONDS)
        with pytest.raises(StoreUnavailable):
            store.load([])
    assert sign_up(store, "u-1").cursor.position == 1
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.getuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(store: SqliteStore) -> int:
    """Append until there is no room any more; how many were acknowledged."""
    for number in range(10_000):
        try:
            store.append(f"u-{number}", [OPENED, TOLD])
        except StoreUnavailable:
            return number
    raise AssertionError("the disk does not fill up")


def test_a_full_disk(small_disk: Path) -> None:
    """Without room an append raises and writes nothing; with room again all goes on, and nothing is lost."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    with closing(SqliteStore(small_disk / "ledger.db")) as store:
        count = fill(store)
        before = head(store)
        assert before.position == 2 * count > 0
        with pytest.raises(StoreUnavailable, match="disk is full"):
            store.append(f"u-{count}", [OPENED, TOLD], idempotency_key="k-1")
        assert head(store) == before
        assert version(store, f"u-{count}") == 0
        assert store.verify() == before
        ballast.unlink()
        assert store.append(f"u-{count}", [OPENED, TOLD], idempotency_key="k-1").cursor.position == before.position + 2
        assert store.verify().position == before.position + 2
        assert {version(store, f"u-{number}") for number in range(count + 1)} == {2}


def test_a_database_at_its_limit(store: SqliteStore) -> None:
    """A database that may not grow is a full disk too."""
    sign_up(store, "u-0")
    (connection, _) = store._database._pool._idle[-1]
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    before = head(store)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        store.append("u-2", [OPENED, *[e.Granted("surveys", f"{number:0>200}") for number in range(50)]])
    assert head(store) == before  # over a new connection, without that limit
    assert sign_up(store, "u-2").cursor.position == before.position + 1
