"""Several processes on one SQLite file: nothing acknowledged is lost, and each soon sees what another wrote."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import Cursor, SqliteStore

from ..contract import head, repeat_of
from ..programs import heard, run, running, tell

ACKNOWLEDGED, WORKERS = 1_000, 4

# Appends one entry for each of its users and tells of it once it is acknowledged, until it is killed.
WORKER = """
    store = SqliteStore(path, busy_seconds=20)
    for number in range(100_000):
        user_id = f"{sys.argv[2]}-{number}"
        appended = store.append(user_id, [AccountOpened()], idempotency_key=user_id)
        say(user_id, appended.token)
"""


@attrs.define
class Crew:
    """Workers that are killed at random moments and started again, and all that was acknowledged to them."""

    path: Path
    chance: random.Random
    acknowledged: dict[str, Cursor] = attrs.field(factory=dict)
    kills: int = 0

    def work(self, number: int) -> None:
        """Keep one worker at work until enough is acknowledged to all of them."""
        for generation in range(1_000):
            if len(self.acknowledged) >= ACKNOWLEDGED:
                return
            with running(self.path, WORKER, f"{number}-{generation}") as program:
                end = threading.Timer(self.chance.uniform(0, 1), program.kill)
                if generation == 0:  # the others are killed while they write, however long they take to start
                    end.start()
                assert program.stdout is not None
                for line in program.stdout:
                    if end.ident is None:
                        end.start()
                    user_id, token = line.split() if line.endswith("\n") else ("", "")
                    if user_id:
                        self.acknowledged[user_id] = Cursor.parse(token)
                program.wait()
                assert program.returncode == -9, program.stderr and program.stderr.read()
                self.kills += 1


def test_killed_processes_lose_nothing_acknowledged(tmp_path: Path) -> None:
    """Four processes killed again and again during 1,000 appends lose no acknowledged entry, and the chain verifies."""
    path = tmp_path / "ledger.db"
    crew = Crew(path, random.Random())
    threads = [threading.Thread(target=crew.work, args=(number,)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(crew.acknowledged) >= ACKNOWLEDGED
    assert crew.kills >= WORKERS
    with closing(SqliteStore(path)) as store:
        last = store.verify()
        assert last == head(store)
        user_ids = list(crew.acknowledged)
        assert all(record.version == 1 for record in store.load(user_ids).records)
        for user_id, cursor in crew.acknowledged.items():
            assert [entry.position for entry in store.history(user_id)] == [cursor.position]
            assert store.changes(cursor, wait=0, limit=1).is_continuation()
        repeated = user_ids[-1]
        answer = store.append(repeated, [e.AccountOpened()], idempotency_key=repeated)
        assert answer.cursor == crew.acknowledged[repeated]


def test_many_processes_begin_one_ledger(tmp_path: Path) -> None:
    """Processes that make the same missing file at once all write to one ledger."""
    path = tmp_path / "ledger.db"
    code = """
        sys.stdin.readline()
        store = SqliteStore(path, busy_seconds=20)
        say(store.append(sys.argv[2], [AccountOpened()]).cursor.epoch)
    """
    programs = [running(path, code, f"u-{number}") for number in range(4)]
    with programs[0] as one, programs[1] as two, programs[2] as three, programs[3] as four:
        started = [one, two, three, four]
        for program in started:
            tell(program)
        assert len({heard(program) for program in started}) == 1
    with closing(SqliteStore(path)) as store:
        assert store.verify().position == 4


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store with one consent."""
    with closing(SqliteStore(tmp_path / "ledger.db")) as store:
        store.append("u-1", [e.AccountOpened(), e.Granted("surveys", "n-1")])
        yield store


def test_a_withdrawal_in_another_process_is_seen_at_once(store: SqliteStore, tmp_path: Path) -> None:
    """A waiting `changes` returns within 250 ms of a withdrawal that another process wrote, and the record refuses."""
    code = """
        store = SqliteStore(path)
        for line in sys.stdin:
            store.append("u-1", [Withdrawn("surveys")])
            say(time.monotonic())
    """
    delays = []
    with running(tmp_path / "ledger.db", code) as program:
        for _ in range(5):
            cursor = head(store)
            threading.Timer(0.1, tell, (program,)).start()
            changes = store.changes(cursor, wait=20)
            returned = time.monotonic()  # the same clock in every process of a machine
            assert changes.user_ids == {"u-1": cursor.position + 1}
            (record,) = store.load(["u-1"]).records
            assert record.consents["surveys"].withdrawn_at is not None
            delays.append(returned - float(heard(program)))
    assert statistics.median(delays) < 0.25


def test_versions_are_expected_across_processes(store: SqliteStore, tmp_path: Path) -> None:
    """What one process wrote since conflicts with what another expects."""
    code = """
        try:
            SqliteStore(path).append("u-1", [Withdrawn("surveys")], expected_version=2)
        except VersionConflict as conflict:
            say(conflict.actual)
    """
    store.append("u-1", [e.AccountClosed()])
    assert run(tmp_path / "ledger.db", code) == ["3"]


def test_keys_are_kept_across_processes(store: SqliteStore, tmp_path: Path) -> None:
    """The same key gives the same answer in another process."""
    first = store.append("u-1", [e.Withdrawn("surveys")], idempotency_key="k-1")
    code = """
        store = SqliteStore(path)
        say(store.append("u-1", [Withdrawn("surveys")], idempotency_key="k-1").token)
        store.append("u-1", [AccountClosed()])
    """
    assert run(tmp_path / "ledger.db", code) == [first.token]
    assert store.append("u-1", [e.Withdrawn("surveys")], idempotency_key="k-1") == repeat_of(first)
    assert head(store).position == first.cursor.position + 1
