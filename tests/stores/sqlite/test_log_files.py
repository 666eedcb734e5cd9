"""The write-ahead log and the shared memory that somebody removes, or puts others in place of, under an open ledger."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import OutcomeUnknown, StoreUnavailable, StoreUnusable
from diijam_consent_sdk.stores import SqliteStore

from ..contract import at_once, eventually, sign_up
from ..programs import heard, run, running, tell
from .files import BUSY_SECONDS, CALLS, version

WITHDRAWAL = e.Withdrawn("marketing")
ASKING = 'say(SqliteStore(path).load(["u-1"]).records[0].version)'


def remove_log(path: Path, *ends: str) -> None:
    """Delete these files beside a database, or all."""
    for end in ends or ("-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink()


@pytest.mark.parametrize("ends", [("-wal", "-shm"), ("-wal",), ("-shm",)], ids=" ".join)
def test_a_withdrawal_after_the_log_was_removed_is_kept(ends: tuple[str, ...], path: Path, store: SqliteStore) -> None:
    """A process that opens the ledger next sees it, and what stood in the removed log alone."""
    sign_up(store, "u-2")
    assert store.standing_at_once("u-1") is not None, "which has a connection too"
    remove_log(path, *ends)
    assert store.append("u-1", [WITHDRAWAL]).version == 4
    assert run(path, ASKING) == ["4"]
    assert [version(store, user_id) for user_id in ("u-1", "u-2")] == [4, 1]
    assert store.verify().position == 5


def test_a_log_removed_during_an_append_leaves_it_in_doubt(path: Path, store: SqliteStore) -> None:
    """What was written to a log that nobody reads any more is not acknowledged; its key finds it, or writes it."""
    store.load(["u-1"])
    with closing(sqlite3.connect(path, isolation_level=None)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN IMMEDIATE")
        withdrawal = pool.submit(store.append, "u-1", [WITHDRAWAL], idempotency_key="k-2")
        time.sleep(0.1)  # it waits for the lock
        remove_log(path)
        other.execute("COMMIT")
        with pytest.raises(OutcomeUnknown, match="removed") as caught:
            withdrawal.result()
    assert caught.value.idempotency_key == "k-2"
    assert store.append("u-1", [WITHDRAWAL], idempotency_key="k-2").version == 4
    assert run(path, ASKING) == ["4"]


def test_a_removed_log_that_another_process_writes_to_is_waited_for(path: Path, store: SqliteStore) -> None:
    """While another process has it open too, nothing is answered and nothing written; what that one wrote is kept."""
    store.load(["u-1"])
    writer = """
        store = SqliteStore(path)
        store.append("u-1", [Withdrawn("marketing")])
        say("written")
        sys.stdin.readline()
    """
    with running(path, writer) as program:
        assert heard(program) == "written"
        remove_log(path)
        for call in CALLS.values():
            with pytest.raises(StoreUnavailable, match="removed"):
                call(store)
        assert store.standing_at_once("u-1") is None
        assert not path.with_name(f"{path.name}-wal").exists()
        tell(program)
        program.wait(10)
    assert [version(store, "u-1"), store.verify().position] == [4, 4]


def test_a_log_that_a_later_process_began_is_refused(path: Path, store: SqliteStore) -> None:
    """Two logs of one file would mix: the process with the removed one answers nothing and writes nothing."""
    sign_up(store, "u-2")
    remove_log(path)
    run(path, ASKING)
    for call in CALLS.values():
        with pytest.raises(StoreUnusable, match="replaced"):
            call(store)


def test_threads_go_on_after_the_log_was_removed(path: Path) -> None:
    """Threads with connections of their own lose no acknowledged write, and soon write again."""
    with closing(SqliteStore(path, busy_seconds=BUSY_SECONDS)) as store:
        written = list[str]()

        def work(number: int) -> None:
            for turn in range(6):
                if (number, turn) == (0, 2):
                    remove_log(path)
                with suppress(StoreUnavailable, OutcomeUnknown):
                    sign_up(store, f"t-{number}-{turn}")
                    written.append(f"t-{number}-{turn}")

        at_once(work, 4)

        def is_writable() -> bool:
            with suppress(StoreUnavailable):
                store.append("last", [WITHDRAWAL])
                return True
            return False

        assert eventually(is_writable)
        assert [version(store, user_id) for user_id in written] == [1] * len(written)
