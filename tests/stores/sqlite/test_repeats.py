"""A repeated append is answered as the first was, and holds no other writer up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import OutcomeUnknown
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.stores.sql import repeats

from ..contract import AGREED, OPENED, TOLD, folded, sign_up


def test_a_repeat_holds_up_no_writer(path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a repeat is answered from a user's history, another process writes at once."""
    events: list[e.Event] = [OPENED, TOLD, AGREED]
    store.append("u-1", [e.Withdrawn("marketing")])
    first = store.history("u-1")[:3]
    others = iter(range(100))

    def fold_all(record: ConsentRecord, entries: list[e.LedgerEntry]) -> ConsentRecord:
        with closing(SqliteStore(path, busy_seconds=0)) as other:
            sign_up(other, f"other-{next(others)}")
        return folded(record.user_id, entries)

    monkeypatch.setattr(repeats, "fold_all", fold_all)
    appended = store.append("u-1", events, idempotency_key="k-1")
    assert appended.record == folded("u-1", first)
    assert next(others) == 1


def test_a_repeat_is_answered_while_another_process_writes(path: Path, store: SqliteStore) -> None:
    """A repeat waits for no lock of the writer."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert store.append("u-1", [OPENED, TOLD, AGREED], idempotency_key="k-1").version == 3


def test_a_repeat_that_came_meanwhile_is_one(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same append of two processes is written once, also if both looked before either wrote."""
    begin = store._database.begin_write

    def begin_late(db: sqlite3.Connection) -> None:
        monkeypatch.setattr(store._database, "begin_write", begin)
        sign = store.append("u-2", [OPENED], idempotency_key="k-2")
        assert sign.version == 1
        begin(db)

    monkeypatch.setattr(store._database, "begin_write", begin_late)
    assert store.append("u-2", [OPENED], idempotency_key="k-2").version == 1
    assert len(store.history("u-2")) == 1


def test_of_long_histories_one_is_folded_at_a_time(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A second repeat with a long history is not answered: it would take the threads that others write in. What it
    repeats was written all the same, so its outcome is unknown to the caller, and not that nothing was written.
    """
    monkeypatch.setattr(repeats, "LONG_HISTORY", 2)
    store.append("u-1", [e.Withdrawn("marketing")])
    events: list[e.Event] = [OPENED, TOLD, AGREED]
    with store._long_folds.folding(3), pytest.raises(OutcomeUnknown, match="try again") as unknown:
        store.append("u-1", events, idempotency_key="k-1")
    assert unknown.value.idempotency_key == "k-1"
    assert store.append("u-1", events, idempotency_key="k-1").version == 3
