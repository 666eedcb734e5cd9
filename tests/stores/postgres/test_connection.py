"""Connections that ended unused, forks, cancelled calls, and settings of the server."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import AsyncPostgresStore, PostgresStore
from diijam_consent_sdk.stores._retry import Attempts
from diijam_consent_sdk.stores.postgres import schema
from diijam_consent_sdk.stores.postgres.connection import AsyncDeadlineConnection
from diijam_consent_sdk.stores.postgres.listener import Listener
from diijam_consent_sdk.stores.sql.operations import Head, Operations
from diijam_consent_sdk.stores.sql.statements import Row

from ..contract import OPENED, TOLD, at_once, sign_up
from .support import end_all


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 warns of any fork with threads
def test_a_forked_child_opens_new_connections(store: PostgresStore) -> None:
    """A child writes and ends, and its parent's connections stay open."""
    sign_up(store, "u-1")
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            store.append("u-2", [OPENED])
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert sign_up(store, "u-3").cursor.position == 3


def test_connections_that_died_unused_are_replaced(store: PostgresStore, db: psycopg.Connection) -> None:
    """After a restart of the server, or a firewall's cut, the next calls are answered all the same."""
    at_once(lambda number: store.append(f"u-{number}", [OPENED]))
    db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'diijam-consent'")
    assert store.load(["u-1"]).records[0].version == 1
    assert store.append("u-9", [OPENED]).cursor.position == 9


def test_connections_that_died_unused_cost_no_attempts(
    store: PostgresStore, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there were: a call that has one try alone is answered."""
    pool = store._open_pool()
    for connection in [pool.getconn() for _ in range(10)]:
        pool.putconn(connection)
    end_all(db)
    monkeypatch.setattr(store, "_attempts", lambda key=None: Attempts(5, is_repeatable=False))
    assert store.load([]).cursor.position == 0


def test_connections_of_asyncio_that_died_unused_cost_no_attempts(
    url: str, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for asyncio."""

    async def ask() -> int:
        """Have ten connections, lose them, then ask."""
        store = AsyncPostgresStore(url, deadline=5)
        pool = await store._open_pool()
        for connection in [await pool.getconn() for _ in range(10)]:
            await pool.putconn(connection)
        end_all(db)
        monkeypatch.setattr(store, "_attempts", lambda key=None: Attempts(5, is_repeatable=False))
        try:
            return (await store.load([])).cursor.position
        finally:
            await store.close()

    assert asyncio.run(ask()) == 0


def test_a_call_that_close_overtakes_opens_nothing(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed just before a call takes its connection, a store makes no pool that nobody would close."""
    begin_attempt = PostgresStore._begin_attempt

    def overtaken(self: PostgresStore, tries: Any) -> float:
        """Closes it behind the check."""
        share = begin_attempt(self, tries)
        self.close()
        return share

    monkeypatch.setattr(PostgresStore, "_begin_attempt", overtaken)
    with pytest.raises(StoreUnavailable, match="closed"):
        store.load([])
    assert store._pool is None


def test_a_task_cancelled_twice_gives_its_connection_back(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled again while it tidies up, a call still leaves its connection to others."""

    async def cancelled(connection: Any) -> None:
        """What tidies up."""
        raise asyncio.CancelledError

    async def ask() -> int:
        """Have the only connection, twice."""
        store = AsyncPostgresStore(url, deadline=5, connections=1)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(AsyncDeadlineConnection, "settle", cancelled)
                with pytest.raises(asyncio.CancelledError):
                    await store.load([])
            return (await store.load([])).cursor.position
        finally:
            await store.close()

    assert asyncio.run(ask()) == 0


SETTINGS = [
    "datestyle=German", "client_encoding=LATIN1", "bytea_output=escape", "timezone=Asia/Ho_Chi_Minh",
    "standard_conforming_strings=off", "quote_all_identifiers=on",
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_the_server_is_set_to_changes_nothing(setting: str, empty: str) -> None:
    """How the database reads and writes times, names, texts and bytes by default changes no ledger and no answer."""
    name, _, value = setting.partition("=")
    with psycopg.connect(empty, autocommit=True) as db:
        db.execute(f"ALTER ROLE postgres IN DATABASE {db.info.dbname} SET {name} = '{value}'")
    try:
        schema.prepare(empty)
        with closing(PostgresStore(empty, deadline=5)) as store:
            store.append("Nguyễn Văn A", [OPENED, TOLD, e.RequestFiled("r", "access")])
            assert store.load(["Nguyễn Văn A"]).records[0].version == 3
            assert [record.user_id for record in store.open_requests().records] == ["Nguyễn Văn A"]
            assert store.verify().position == 3
    finally:
        with psycopg.connect(empty, autocommit=True) as db:
            db.execute(f"ALTER ROLE postgres IN DATABASE {db.info.dbname} RESET ALL")


@pytest.mark.parametrize("limit", ["statement_timeout", "transaction_timeout", "idle_in_transaction_session_timeout"])
def test_a_limit_of_the_server_ends_no_verification(limit: str, url: str, db: psycopg.Connection) -> None:
    """A ledger takes as long to verify as it does, whatever limit the role's transactions have."""
    if db.execute("SELECT FROM pg_settings WHERE name = %s", (limit,)).fetchone() is None:
        pytest.skip("a newer PostgreSQL is needed")
    with closing(PostgresStore(url, deadline=5)) as store:
        sign_up(store, "u-1")
        read_head = store._operations.read_head

        def read_head_late(_: Operations, rows: Sequence[Row]) -> Head:
            """Take longer than the limit."""
            time.sleep(0.5)
            return read_head(rows)

        db.execute(f"ALTER ROLE postgres IN DATABASE {db.info.dbname} SET {limit} = 300")
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Operations, "read_head", read_head_late)
                assert store.verify().position == 1
        finally:
            db.execute(f"ALTER ROLE postgres IN DATABASE {db.info.dbname} RESET ALL")


def test_the_environments_encoding_changes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment gives libpq another encoding, ids are any text all the same."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with closing(PostgresStore(url, deadline=5)) as store:
        assert store.append("Nguyễn Văn A", [OPENED]).version == 1


def test_an_interrupted_opening_of_the_pool_is_made_good(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler may raise while the pool is opened; the next call opens one."""
    store.release()
    interrupts = [KeyboardInterrupt()]
    opening = ConnectionPool.open

    def open_or_not(pool: ConnectionPool, *args: Any, **options: Any) -> None:
        """Be interrupted once."""
        if interrupts:
            raise interrupts.pop()
        opening(pool, *args, **options)

    monkeypatch.setattr(ConnectionPool, "open", open_or_not)
    with pytest.raises(KeyboardInterrupt):
        store.load([])
    assert store.load([]).cursor.position == 0


def test_forks_leave_nothing_behind_in_the_parent(store: PostgresStore) -> None:
    """Each makes another listener, and the one before is kept by nobody."""
    store.release()
    gc.collect()
    before = sum(type(each) is Listener for each in gc.get_objects())
    for _ in range(5):
        store.release()
    gc.collect()
    assert sum(type(each) is Listener for each in gc.get_objects()) == before
