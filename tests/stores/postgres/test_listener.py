"""Long polls are woken by appends, and read all the same where no notification comes."""

from __future__ import annotations

import gc
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from diijam_consent_sdk.stores import PostgresStore
from diijam_consent_sdk.stores.postgres import transactions

from ..contract import OPENED, eventually, head, sign_up


def test_an_append_wakes_a_long_poll(store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long poll is woken by the append of another store, not by its safety net."""
    monkeypatch.setattr("diijam_consent_sdk.stores.postgres.listener.POLL_SECONDS", 30)
    cursor = sign_up(store, "u-1").cursor
    store.changes(cursor, wait=0.01)
    assert eventually(lambda: store._listener._is_listening)
    with closing(PostgresStore(url, deadline=5)) as other, ThreadPoolExecutor(1) as pool:
        polled = pool.submit(store.changes, cursor, wait=20)
        time.sleep(0.3)
        other.append("u-2", [OPENED])
        assert polled.result(5).user_ids == {"u-2": 2}


def test_a_poll_finds_what_no_notification_announced(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change whose notification got lost is found by looking."""
    monkeypatch.setattr(transactions, "COMMIT", [("COMMIT", ())])
    cursor = sign_up(store, "u-1").cursor
    store.changes(cursor, wait=0.01)
    assert eventually(lambda: store._listener._is_listening)
    with ThreadPoolExecutor(1) as pool:
        polled = pool.submit(store.changes, cursor, wait=20)
        time.sleep(0.3)
        sign_up(store, "u-2")
        assert polled.result(5).user_ids == {"u-2": 2}


def test_a_lost_listener_listens_again(store: PostgresStore, db: psycopg.Connection) -> None:
    """The one connection that listens is replaced when it ends."""
    listening = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    cursor = sign_up(store, "u-1").cursor
    for _ in range(3):
        store.changes(cursor, wait=0.01)
    assert eventually(lambda: len(db.execute(listening).fetchall()) == 1)
    old = db.execute(listening).fetchall()
    db.execute(f"SELECT pg_terminate_backend(pid) FROM ({listening}) l")
    assert eventually(lambda: len(found := db.execute(listening).fetchall()) == 1 and found != old)


def test_a_store_that_nobody_closed_is_let_go(url: str) -> None:
    """A store without references is collected, and the thread that listens for it ends."""
    store = PostgresStore(url, deadline=5)
    store.changes(head(store), wait=0.01)
    listening, gone = store._listener._thread, weakref.ref(store)
    assert listening is not None
    del store
    assert eventually(lambda: not gc.collect() or gone() is None)
    assert gone() is None
    assert eventually(lambda: not listening.is_alive())
