"""Appends of one process that wait for another's lock are written together, and each is judged by itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent, KeyReused, OutcomeUnknown, StoreUnusable, VersionConflict
from diijam_consent_sdk.stores import Appended, SqliteStore

from ..contract import OPENED, TOLD, eventually, repeat_of, sign_up

Call = tuple[str, list[e.Event], dict[str, Any]]


@contextmanager
def together(store: SqliteStore, path: Path, calls: list[Call]) -> Iterator[list[Future[Appended]]]:
    """Call `append` in threads while another process has the lock; the last call is in the queue when this begins."""
    writers = store._database.writers
    with closing(sqlite3.connect(path, isolation_level=None)) as other, ThreadPoolExecutor(len(calls)) as pool:
        other.execute("BEGIN IMMEDIATE")
        futures = []
        for user_id, events, options in calls:
            futures.append(pool.submit(store.append, user_id, events, **options))
            assert eventually(lambda: len(writers.entries) == len(futures))
        other.execute("ROLLBACK")
        yield futures


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store whose calls wait long for another process's lock."""
    with closing(SqliteStore(tmp_path / "ledger.db", busy_seconds=20)) as store:
        yield store


def test_each_is_judged_after_those_before_it(patient: SqliteStore, tmp_path: Path) -> None:
    """Versions, repeats, used keys and refusals are as if the appends had come one by one."""
    sign_up(patient, "u-1", "u-2")
    erased = patient.append("u-3", [OPENED, e.AccountClosed()], idempotency_key="k-3")
    calls: list[Call] = [
        ("u-0", [OPENED], {}),
        ("u-1", [TOLD], {"expected_version": 1, "idempotency_key": "k-1"}),
        ("u-1", [TOLD], {"expected_version": 1, "idempotency_key": "k-1"}),
        ("u-1", [e.Restricted()], {"expected_version": 1}),
        ("u-1", [OPENED], {"idempotency_key": "k-1"}),
        ("u-1", [e.Objected("surveys")], {"idempotency_key": "k-1"}),
        ("u-2", [OPENED], {}),
        ("u-3", [e.Erased()], {}),
        ("u-3", [OPENED], {}),
    ]
    with together(patient, tmp_path / "ledger.db", calls) as futures:
        errors = [future.exception(30) for future in futures]
    kinds = [type(error) for error in errors]
    none = type(None)
    assert kinds == [none, none, none, VersionConflict, KeyReused, none, InvalidEvent, none, InvalidEvent]
    assert futures[2].result() == repeat_of(futures[1].result())
    assert [futures[n].result().cursor.position for n in (0, 1, 5, 7)] == [5, 6, 7, 8]
    assert [futures[n].result().version for n in (0, 1, 5, 7)] == [1, 2, 3, erased.version + 1]
    assert [entry.event for entry in patient.history("u-3")] == [e.Erased()]
    assert patient.verify().position == 8


def test_a_group_takes_one_commit(patient: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that wait, the first goes alone, and all others together."""
    begin, begun = patient._database.begin_write, list[object]()

    def begin_write(db: sqlite3.Connection) -> None:
        begun.append(db)
        begin(db)

    monkeypatch.setattr(patient._database, "begin_write", begin_write)
    with together(patient, tmp_path / "ledger.db", [(f"u-{number}", [OPENED], {}) for number in range(40)]) as futures:
        positions = [future.result(30).cursor.position for future in futures]
    assert positions == list(range(1, 41))
    assert len(begun) == 2
    assert patient.verify().position == 40


def test_a_damaged_record_harms_nobody_else(patient: SqliteStore, tmp_path: Path) -> None:
    """The group is tried again member by member, and only the one whose record cannot be read fails."""
    sign_up(patient, "u-1", "u-2")
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as db:
        ((record,),) = db.execute("SELECT record FROM records WHERE user_id = 'u-2'")
        db.execute("UPDATE records SET record = ? WHERE user_id = 'u-1'", (record,))
    calls: list[Call] = [(user_id, [TOLD], {}) for user_id in ("u-0", "u-1", "u-2", "u-3")]
    with together(patient, tmp_path / "ledger.db", calls) as futures:
        errors = [future.exception(30) for future in futures]
    assert [type(error) for error in errors] == [InvalidEvent, StoreUnusable, type(None), InvalidEvent]


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_FSYNC], ids=["full", "unknown"])
def test_a_commit_that_fails(code: int, patient: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk refuses a group, whose members are then written one by one; a failed flush is unknown to all."""
    connection, commits = patient._database._connection, [0]

    class Failing:
        """A connection whose second commit fails."""

        def __init__(self, db: sqlite3.Connection) -> None:
            self._db = db

        def __getattr__(self, name: str) -> Any:
            return getattr(self._db, name)

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            """Fail the commit, or do it."""
            commits[0] += sql == "COMMIT"
            if sql == "COMMIT" and commits[0] == 2:
                error = sqlite3.OperationalError("disk")
                error.sqlite_errorcode = code
                raise error
            return self._db.execute(sql, *values)

    @contextmanager
    def lend() -> Iterator[Any]:
        with connection() as db:
            yield Failing(db)

    monkeypatch.setattr(patient._database, "_connection", lend)
    calls: list[Call] = [(f"u-{number}", [OPENED], {"idempotency_key": f"k-{number}"}) for number in range(4)]
    with together(patient, tmp_path / "ledger.db", calls) as futures:
        errors = [future.exception(30) for future in futures]
    if code == sqlite3.SQLITE_FULL:
        assert errors == [None] * 4
        assert patient.verify().position == 4
    else:
        assert [e.idempotency_key for e in errors if isinstance(e, OutcomeUnknown)] == ["k-1", "k-2", "k-3"]
        assert patient.verify().position == 1


def test_an_erasure_in_a_group_is_scrubbed(patient: SqliteStore, tmp_path: Path) -> None:
    """Nothing of what was erased, or of entries that the same group wrote of the user, is left in the file."""
    secret = "n-7f3a9c"
    patient.append("u-1", [OPENED, e.Notified(secret, "acme-records", ["email"], "marketing")])
    calls: list[Call] = [
        ("u-0", [OPENED], {}),
        ("u-1", [e.Agreed(secret)], {}),
        ("u-1", [e.AccountClosed(), e.Erased()], {}),
        ("u-2", [OPENED], {}),
    ]
    with together(patient, tmp_path / "ledger.db", calls) as futures:
        assert [future.exception(30) for future in futures] == [None] * 4
    patient.verify()
    patient.close()
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()
