"""Connections to a file that is read-only, gone or replaced."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import HeadNotContinued, OutcomeUnknown, StoreUnavailable, StoreUnusable
from diijam_consent_sdk.stores import SqliteStore

from ..contract import erase, head, sign_up
from ..programs import heard, run, running, tell
from .files import CALLS, version

READ_ONLY: dict[str, tuple[int, int]] = {
    "file and folder": (0o444, 0o555),
    "file": (0o444, 0o777),
    "folder": (0o666, 0o555),
    "no right to read": (0o000, 0o777),
}


@pytest.mark.parametrize("kind", READ_ONLY)
def test_a_read_only_ledger_is_not_written(kind: str, path: Path) -> None:
    """A process without the right to write gets `StoreUnavailable` from an append, and the file stays as it was."""
    file_mode, folder_mode = READ_ONLY[kind]
    folder = Path(tempfile.mkdtemp(prefix="read-only-"))  # pytest's own folders cannot be entered by another user
    try:
        copied = Path(shutil.copy(path, folder))
        copied.chmod(file_mode)
        folder.chmod(folder_mode)
        before = copied.read_bytes() if os.access(copied, os.R_OK) else b""
        code = """
            import encodings.idna, logging, traceback, urllib.parse
            if os.getuid() == 0:
                os.setgroups([]); os.setgid(65534); os.setuid(65534)
            try:
                store = SqliteStore(path, busy_seconds=0.3)
                store.append("u-2", [AccountOpened()])
            except StoreUnavailable as error:
                say("unavailable")
            else:
                say("written")
        """
        assert run(copied, code) == ["unavailable"]
        folder.chmod(0o700)
        copied.chmod(0o600)
        assert not before or copied.read_bytes() == before
        with closing(SqliteStore(copied)) as store:
            assert (version(store, "u-1"), version(store, "u-2"), store.verify().position) == (3, 0, 3)
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)


@pytest.fixture
def immutable(path: Path) -> Iterator[Path]:
    """A closed ledger in a folder where this user, or nobody for root, may write nothing."""
    folder = Path(tempfile.mkdtemp(prefix="immutable-"))
    copied = Path(shutil.copy(path, folder))
    copied.chmod(0o644)
    folder.chmod(0o555)
    yield copied
    folder.chmod(0o700)
    shutil.rmtree(folder)


IMMUTABLE = """
import encodings.idna, logging, traceback, urllib.parse
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
store = SqliteStore(path, busy_seconds=0.3)
while True:
    try:
        say(store.load(["u-1"]).records[0].version, store.verify().position)
    except StoreUnavailable as error:
        say("unavailable:", error)
    sys.stdin.readline()
"""
REFUSED = IMMUTABLE.replace("store = SqliteStore", "try: store = SqliteStore").replace(
    "0.3)\n", "0.3)\nexcept StoreUnavailable as error: say(error); sys.exit()\n", 1
)


def test_a_ledger_in_a_read_only_place_is_read(immutable: Path) -> None:
    """A closed ledger is read and verified where nothing can be written beside it, and nothing is left there."""
    with running(immutable, IMMUTABLE) as program:
        assert heard(program) == "3 3"
        assert [path.name for path in immutable.parent.iterdir()] == [immutable.name]


def test_a_ledger_in_a_read_only_place_that_is_written_elsewhere_is_read_again(immutable: Path) -> None:
    """What another place writes to the file is seen: it is never taken for unchanging while a log lies beside it."""
    with running(immutable, IMMUTABLE) as program:
        assert heard(program) == "3 3"
        immutable.parent.chmod(0o755)
        with closing(SqliteStore(immutable)) as writer:
            writer.append("u-1", [e.Withdrawn("marketing")])
            tell(program)
            said = heard(program)
            assert said == "4 4" or said.startswith("unavailable:")
        immutable.parent.chmod(0o555)
        tell(program)
        assert heard(program) == "4 4"


def leave_log(ledger: Path) -> None:
    """Have a withdrawal in the log beside a ledger, as a writer leaves it that is killed."""
    ledger.parent.chmod(0o755)
    with closing(SqliteStore(ledger)) as writer:
        writer.append("u-1", [e.Withdrawn("marketing")])
        log = Path(f"{ledger}-wal").read_bytes()
    Path(f"{ledger}-wal").write_bytes(log)


def test_a_log_in_a_read_only_place_is_named(immutable: Path) -> None:
    """A ledger made read-only while it was open cannot be read whole, and the error names the reason."""
    leave_log(immutable)
    Path(f"{immutable}-wal").chmod(0o644)
    immutable.parent.chmod(0o555)
    (said,) = run(immutable, REFUSED)
    assert "write-ahead log" in said


def test_a_log_behind_a_link_is_not_left_out(immutable: Path) -> None:
    """A ledger that a link leads to is never read without the log beside it, in which the last withdrawals stand."""
    leave_log(immutable)
    folder = Path(tempfile.mkdtemp(prefix="link-"))
    (folder / "ledger.db").symlink_to(immutable)
    for place in (immutable.parent, folder):
        place.chmod(0o555)
    (said,) = run(folder / "ledger.db", REFUSED)
    folder.chmod(0o755)
    shutil.rmtree(folder)
    assert "write-ahead log" in said


def test_a_link_to_itself_is_no_ledger(tmp_path: Path) -> None:
    """A link that leads nowhere is a ledger that cannot be opened."""
    link = tmp_path / "ledger.db"
    link.symlink_to(link)
    for create in (True, False):
        with pytest.raises(StoreUnavailable, match="cannot be opened"):
            SqliteStore(link, create=create)


def remove(path: Path) -> None:
    """Delete a database whole."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("whole", [True, False], ids=["with its log", "without its log"])
def test_a_deleted_file_is_no_empty_ledger(call: str, whole: bool, path: Path, store: SqliteStore) -> None:
    """A running store whose file was deleted raises, and never makes an empty ledger in its place."""
    sign_up(store, "u-2")
    if whole:
        remove(path)
    else:
        path.unlink()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            CALLS[call](store)
    assert not path.exists()


def test_a_file_that_comes_back_is_used_again(path: Path, store: SqliteStore) -> None:
    """A file that was moved away and put back is the ledger it was."""
    before = sign_up(store, "u-2").cursor
    store._database._pool.release()  # so that all of it is in the file
    path.rename(path.with_name("away.db"))
    with pytest.raises(StoreUnavailable):
        store.load([])
    path.with_name("away.db").rename(path)
    assert head(store) == before
    assert sign_up(store, "u-3").cursor.position == before.position + 1


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another ledger, closed."""
    path = tmp_path / "other.db"
    with closing(SqliteStore(path)) as store:
        sign_up(store, "x", "y", "z", "u-1")
    return path


def test_a_replaced_file_is_seen(path: Path, other: Path, store: SqliteStore) -> None:
    """A running store whose file was replaced by another ledger answers from that one: another history."""
    before = sign_up(store, "u-2").cursor
    remove(path)
    other.rename(path)
    assert [version(store, user_id) for user_id in ("u-1", "u-2", "x")] == [1, 0, 1]
    changes = store.changes(before, wait=5)
    assert (changes.cursor.position, changes.is_continuation()) == (4, False)
    assert sign_up(store, "u-2").cursor.position == 5
    assert store.verify().position == 5


def test_a_file_replaced_during_an_append_leaves_it_in_doubt(path: Path) -> None:
    """What was written to a file that nobody reads any more is not acknowledged, and its key writes it to the new."""
    copied = Path(shutil.copy(path, path.with_name("copy.db")))
    with closing(SqliteStore(path)) as store:
        store.load(["u-1"])
        with closing(sqlite3.connect(path, isolation_level=None)) as other, ThreadPoolExecutor(1) as pool:
            other.execute("BEGIN IMMEDIATE")
            withdrawal = pool.submit(store.append, "u-1", [e.Withdrawn("marketing")], idempotency_key="k-2")
            time.sleep(0.1)  # it waits for the lock
            remove(path)
            copied.rename(path)
            other.execute("COMMIT")
            with pytest.raises(OutcomeUnknown, match="replaced") as caught:
                withdrawal.result()
        assert caught.value.idempotency_key == "k-2"
        assert not store.append("u-1", [e.Withdrawn("marketing")], idempotency_key="k-2").is_repeat
        assert version(store, "u-1") == 4


def test_a_file_replaced_during_a_long_poll_is_seen(path: Path, other: Path, store: SqliteStore) -> None:
    """A wait for changes of a ledger that was replaced ends soon."""
    cursor = sign_up(store, "u-2").cursor
    code = "time.sleep(0.3); [os.remove(path + end) for end in ('-wal', '-shm')]; os.replace(sys.argv[2], path)"
    with closing(SqliteStore(path)) as waiting:
        started = time.monotonic()
        with running(path, code, other):
            changes = waiting.changes(cursor, wait=20)
        assert time.monotonic() - started < 15
        assert not changes.is_continuation()


def test_a_file_replaced_beside_its_log_is_refused(path: Path, other: Path, store: SqliteStore) -> None:
    """A new file is never read through the old one's write-ahead log, which would mix the two, until that is gone."""
    sign_up(store, "u-2")
    other.replace(path)
    untouched = path.read_bytes()
    for call in CALLS.values():
        with pytest.raises(StoreUnusable, match="-wal"):
            call(store)
    assert store.standing_at_once("u-1") is None, "which had no connection yet"
    assert path.read_bytes() == untouched
    for end in ("-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)
    assert [version(store, user_id) for user_id in ("u-1", "u-2", "x")] == [1, 0, 1]
    assert store.verify().position == 4


def test_a_file_replaced_behind_a_link_beside_its_log_is_refused(path: Path, other: Path) -> None:
    """The log is looked for where SQLite keeps it: beside the file that a link leads to."""
    link = path.with_name("links") / "ledger.db"
    link.parent.mkdir()
    link.symlink_to(path)
    with closing(SqliteStore(link)) as store:
        sign_up(store, "u-2")
        other.replace(path)
        with pytest.raises(StoreUnusable, match="-wal"):
            store.load(["u-1"])


def test_a_file_replaced_just_while_it_is_opened(path: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was opened on a file a moment before it was replaced is not kept."""
    with closing(SqliteStore(path)) as store:
        connect, replaced = store._database._pool._connect, list[bool]()

        def replacing() -> sqlite3.Connection:
            connection = connect()
            if not replaced:
                replaced.append(True)
                remove(path)
                other.rename(path)
            return connection

        store._database._pool.release()
        monkeypatch.setattr(store._database._pool, "_connect", replacing)
        assert [version(store, user_id) for user_id in ("x", "y")] == [1, 1]
        assert sign_up(store, "u-2").cursor.position == 5
    with closing(SqliteStore(path)) as store:
        assert store.verify().position == 5


def test_a_file_emptied_under_a_store_is_no_empty_ledger(path: Path, store: SqliteStore) -> None:
    """A running store never begins a ledger in a file that held one and is empty now."""
    sign_up(store, "u-2")
    remove(path)
    path.touch()
    for call in CALLS.values():
        with pytest.raises(StoreUnusable, match="empty"):
            call(store)
    assert path.stat().st_size == 0


def test_a_restored_backup_is_another_history_to_whoever_was_further(path: Path) -> None:
    """A copy of an earlier state, put back and overtaken, does not know the cursors of what was lost."""
    backup = Path(shutil.copy(path, path.with_name("backup.db")))
    with closing(SqliteStore(path)) as store:
        lost = [sign_up(store, "u-2").cursor, erase(store, "u-1").cursor]
        kept = store.changes(lost[0], wait=0)
        assert kept.is_continuation()
    remove(path)
    backup.rename(path)
    with closing(SqliteStore(path)) as store:
        assert not store.changes(lost[0], wait=5).is_continuation()
        sign_up(store, "u-7", "u-8", "u-9", "u-10")
        assert [store.changes(cursor, wait=5).is_continuation() for cursor in lost] == [False, False]


@pytest.mark.parametrize("since", ["epoch.1." + "ab" * 32, "no head"])
def test_a_verification_that_failed_leaves_no_old_state_behind(since: str, path: Path, store: SqliteStore) -> None:
    """Whoever keeps the error of `verify` sees what others write from then on, a withdrawal among it."""
    sign_up(store, "u-2")
    with pytest.raises((HeadNotContinued, ValueError)) as kept:
        store.verify(since=since)
    with closing(SqliteStore(path)) as other:
        written = other.append("u-1", [e.Withdrawn("marketing")]).cursor
    assert (head(store), store.standings(["u-1"]).cursor) == (written, written)
    assert kept.value.__traceback__ is not None  # kept until here, with all that its frames hold
