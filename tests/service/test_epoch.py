"""A new epoch, unless the history of a file is proven unbroken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.service.epoch import kept_epoch
from diijam_consent_sdk.stores import MemoryStore, SqliteStore


class Service:
    """Services of one file in one machine's memory."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "consents.db"
        self.memory = folder / "memory"
        self.memory.mkdir()

    def serve(self, *users: str) -> str:
        """Serve for a while, append to these users, and stop; return the epoch meanwhile."""
        store = SqliteStore(self.path)
        with kept_epoch(store, self.memory):
            for user in users:
                store.append(user, [AccountOpened()])
            epoch = store.load(()).cursor.epoch
        store.close()
        return epoch

    def crash(self) -> str:
        """Serve for a while, end badly; the epoch meanwhile."""
        store = SqliteStore(self.path)
        serving = kept_epoch(store, self.memory)
        serving.__enter__()
        epoch = store.load(()).cursor.epoch
        error = KeyboardInterrupt()
        assert not serving.__exit__(KeyboardInterrupt, error, None)
        store.close()
        return epoch


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A ledger to serve, on a machine whose folder for temporary files is a test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path.parent))
    monkeypatch.setenv("TMPDIR", str(tmp_path.parent))
    return Service(tmp_path)


def test_a_restart_in_good_order_keeps_the_epoch(service: Service) -> None:
    """The service after one that stopped without an error keeps its epoch, time after time."""
    first = service.serve("u-1")
    assert service.serve("u-2") == first
    assert service.serve() == first


def test_the_first_service_begins_an_epoch(service: Service) -> None:
    """A file that no service of this machine has left gets a new epoch."""
    store = SqliteStore(service.path)
    before = store.load(()).cursor.epoch
    store.close()
    assert service.serve() != before


def test_a_crash_ends_the_epoch(service: Service) -> None:
    """After a service that was killed, a new epoch begins."""
    first = service.serve("u-1")
    assert service.crash() == first
    assert service.serve() != first


@pytest.mark.parametrize("overtaken", [False, True], ids=["older", "older, then written on"])
def test_a_restored_copy_is_another_epoch(service: Service, overtaken: bool) -> None:
    """A file that was replaced by an older copy between two services gets a new epoch, also if it was written on."""
    first = service.serve("u-1")
    shutil.copy2(service.path, service.path.with_suffix(".backup"))
    assert service.serve("u-2") == first
    shutil.copy2(service.path.with_suffix(".backup"), service.path)
    if overtaken:
        store = SqliteStore(service.path)
        for user in ("u-3", "u-4"):
            store.append(user, [AccountOpened()])
        store.close()
    assert service.serve() != first


def test_a_restored_folder_is_another_epoch(service: Service, tmp_path: Path) -> None:
    """What proves the history is not beside the file: a backup of everything there does not bring it back."""
    first = service.serve("u-1")
    beside = {path.name for path in service.path.parent.iterdir()}
    assert beside == {"consents.db", "memory"}
    copy = service.path.read_bytes()
    assert service.serve("u-2") == first
    service.path.write_bytes(copy)
    assert service.serve() != first


def test_a_write_between_two_services_is_another_epoch(service: Service) -> None:
    """Somebody who wrote to the file between two services costs a new epoch, which is always safe."""
    first = service.serve("u-1")
    store = SqliteStore(service.path)
    store.append("u-2", [AccountOpened()])
    store.close()
    assert service.serve() != first


def test_a_second_service_joins_the_epoch_of_the_first(service: Service) -> None:
    """Beside a service that is at work on the file another one changes no epoch, whichever of them ends first."""
    one, other = SqliteStore(service.path), SqliteStore(service.path)
    first, second = kept_epoch(one, service.memory), kept_epoch(other, service.memory)
    first.__enter__()
    epoch = one.load(()).cursor.epoch
    second.__enter__()
    assert other.load(()).cursor.epoch == epoch
    first.__exit__(None, None, None)
    other.append("u-1", [AccountOpened()])
    assert service.serve() == epoch
    second.__exit__(None, None, None)
    one.close()
    other.close()
    assert service.serve() == epoch


def test_the_first_to_leave_leaves_no_proof(service: Service) -> None:
    """After the last of two services was killed, the mark of the first one proves nothing."""
    one, other = SqliteStore(service.path), SqliteStore(service.path)
    with kept_epoch(one, service.memory):
        epoch = one.load(()).cursor.epoch
        beside = kept_epoch(other, service.memory)
        beside.__enter__()
    other.append("u-1", [AccountOpened()])  # acknowledged, then lost, as the second service is killed
    beside.gen.close()
    assert service.serve() != epoch
    one.close()
    other.close()


@pytest.mark.parametrize("has_memory", [True, False])
def test_services_that_start_at_once_share_an_epoch(has_memory: bool, service: Service) -> None:
    """Of services that start in one moment one decides on the epoch, and the others join it, also without a tmpfs."""
    if not has_memory:
        service.memory.rmdir()
    program = """
import sys, time
from pathlib import Path
from diijam_consent_sdk.service.epoch import kept_epoch
from diijam_consent_sdk.stores import SqliteStore
store = SqliteStore(sys.argv[1], busy_seconds=5)
with kept_epoch(store, Path(sys.argv[2])):
    print(store.load(()).cursor.epoch, flush=True)
    sys.stdin.read()
    print(store.load(()).cursor.epoch, flush=True)
"""
    SqliteStore(service.path).close()
    command = [sys.executable, "-c", program, str(service.path), str(service.memory)]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    first = [process.stdout.readline() for process in running if process.stdout]
    rest = [process.communicate(timeout=30)[0] for process in running]
    assert len(set(first + rest)) == 1


def test_a_file_replaced_under_a_service_is_not_joined(service: Service) -> None:
    """A service that finds another file than the running service opened begins a new epoch."""
    one = SqliteStore(service.path)
    with kept_epoch(one, service.memory):
        epoch = one.load(()).cursor.epoch
        copy = service.path.with_suffix(".copy")
        SqliteStore(copy).close()
        copied = SqliteStore(copy)
        other = copied.load(()).cursor.epoch
        copied.close()
        one.close()
        service.path.unlink()
        copy.rename(service.path)
        one = SqliteStore(service.path)
        assert service.serve() not in {epoch, other}
    one.close()


@pytest.mark.parametrize("spoiled", ["link", "readable by others", "no folder"])
def test_a_mark_that_others_may_have_made_is_none(service: Service, spoiled: str) -> None:
    """A mark that is not this user's alone proves nothing, and without a folder in memory no mark is made."""
    first = service.serve("u-1")
    (mark,) = service.memory.iterdir()
    if spoiled == "link":
        mark.rename(service.memory / "elsewhere")
        mark.symlink_to(service.memory / "elsewhere")
    elif spoiled == "readable by others":
        mark.chmod(0o666)
    else:
        shutil.rmtree(service.memory)
    assert service.serve() != first


def test_a_mark_is_its_users_alone(service: Service) -> None:
    """The mark may be read and written by nobody else, and holds no user id."""
    service.serve("u-1")
    (mark,) = service.memory.iterdir()
    assert mark.stat().st_mode & 0o777 == 0o600
    assert mark.stat().st_uid == os.geteuid()
    assert "u-1" not in mark.read_text()


def test_other_stores_have_their_own_epochs() -> None:
    """A store in memory, or of another service, is left as it is."""
    store = MemoryStore()
    before = store.load(()).cursor
    with kept_epoch(store):
        assert store.load(()).cursor == before
    with kept_epoch(object()):
        pass


def test_a_new_epoch_keeps_the_ledger(service: Service) -> None:
    """With another epoch, records and chain are what they were, and an older cursor is of another history."""
    store = SqliteStore(service.path)
    store.append("u-1", [AccountOpened()], idempotency_key="k-1")
    before = store.load(["u-1"])
    store.begin_epoch()
    after = store.load(["u-1"])
    assert after.records == before.records
    assert (after.cursor.position, after.cursor.hash) == (before.cursor.position, before.cursor.hash)
    assert not store.changes(before.cursor, wait=0).is_continuation()
    assert store.append("u-1", [AccountOpened()], idempotency_key="k-1").cursor == after.cursor
    assert store.verify() == after.cursor
    store.close()
