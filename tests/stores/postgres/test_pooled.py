"""PostgreSQL behind a pool that shares connections between transactions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import AsyncPostgresStore, PostgresStore
from diijam_consent_sdk.stores.postgres import schema

from ..cluster import shared
from ..contract import AGREED, OPENED, TOLD, at_once, erase, eventually, head, record_of, sign_up
from ..pooler import pooling

SESSION = ("search_path", "lock_timeout", "idle_in_transaction_session_timeout", "synchronous_commit", "datestyle")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the pool is."""
    with pooling(shared()) as port:
        yield port


@pytest.fixture
def direct() -> Iterator[str]:
    """A database with an empty ledger, past the pool."""
    url = shared().ledger()
    yield url
    shared().give_back(url)


@pytest.fixture
def pooled(direct: str, port: int) -> str:
    """The same database through the pool."""
    database = direct.partition("@/")[2].partition("?")[0]
    return f"postgresql://u@127.0.0.1:{port}/{database}"


def settings(pooled: str) -> list[tuple[str, ...]]:
    """What another program finds set on each connection of the pool, and how many statements are prepared there."""
    found = set()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):  # two transactions at once are on two connections
            found |= set(pool.map(_settings, [pooled] * 2))
    return sorted(found)


def _settings(pooled: str) -> tuple[str, ...]:
    asked = ", ".join(f"current_setting('{name}')" for name in SESSION)
    with psycopg.connect(pooled, prepare_threshold=None) as other:
        row = other.execute(
            f"SELECT {asked}, (SELECT count(*) FROM pg_prepared_statements),"
            " (SELECT count(*) FROM pg_listening_channels()), pg_sleep(0.05)"
        ).fetchone()
    assert row is not None
    return tuple(map(str, row[:-1]))


def test_a_ledger_works_behind_a_pool(pooled: str, direct: str) -> None:
    """Eight threads, each with its own connections, write, read, erase and verify, and nothing is lost or mixed up."""
    before = settings(pooled)
    stores = [PostgresStore(pooled, deadline=20, connections=2) for _ in range(8)]
    try:

        def write(number: int) -> int:
            user = f"u-{number}"
            for turn in range(10):
                stores[number].append(f"{user}-{turn}", [OPENED, TOLD], idempotency_key=f"k-{turn}")
                again = stores[number].append(f"{user}-{turn}", [OPENED, TOLD], idempotency_key=f"k-{turn}")
                assert again.is_repeat
                assert record_of(again).user_id == f"{user}-{turn}"
                stores[number].append(f"{user}-{turn}", [AGREED])
                assert stores[number].load([f"{user}-{turn}"]).records[0].version == 3
                assert [entry.user_id for entry in stores[number].history(f"{user}-{turn}")] == [f"{user}-{turn}"] * 3
            erase(stores[number], f"{user}-0")
            return len(stores[number].changes(head(stores[number]), wait=0).user_ids)

        at_once(write)
        assert stores[0].verify().position == 8 * (30 + 2)
        with closing(PostgresStore(direct, deadline=5)) as other:
            assert other.verify() == stores[0].verify()
    finally:
        for store in stores:
            store.close()
    assert settings(pooled) == before


def test_asyncio_works_behind_a_pool(pooled: str) -> None:
    """The same for the async store."""

    async def ask() -> int:
        """Write and read at once."""
        store = AsyncPostgresStore(pooled, deadline=20)
        try:
            await asyncio.gather(*(store.append(f"u-{number}", [OPENED], idempotency_key="k") for number in range(20)))
            loads = await asyncio.gather(*(store.load([f"u-{number}"]) for number in range(20) for _ in range(10)))
            assert {load.records[0].version for load in loads} == {1}
            return (await store.load([])).cursor.position
        finally:
            await store.close()

    assert asyncio.run(ask()) == 20


def test_what_another_program_leaves_on_the_pool_changes_nothing(pooled: str, direct: str) -> None:
    """Settings that another program left on the shared connections do not change what ours do."""
    with psycopg.connect(direct, autocommit=True) as db:
        db.execute(
            "CREATE SCHEMA evil; CREATE VIEW evil.ledger AS SELECT 1 AS position; CREATE TABLE evil.records (a int)"
        )
        db.execute("CREATE FUNCTION evil.left(text, int) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'")
        db.execute("CREATE FUNCTION evil.chr(int) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'")
    left = (
        "SET search_path = evil, pg_catalog; SET datestyle = 'German'; SET synchronous_commit = off;"
        " SET bytea_output = 'escape'; SET timezone = 'Asia/Ho_Chi_Minh';"
        " SET default_transaction_isolation = 'serializable'"
    )
    try:

        def spoil(_: int) -> None:
            with psycopg.connect(pooled) as other:
                other.execute(left.encode() + b"; SELECT pg_sleep(0.1)")
                other.commit()

        with closing(PostgresStore(direct, deadline=5)) as clean, closing(PostgresStore(pooled, deadline=5)) as store:
            at_once(spoil, 2)
            sign_up(store, "Nguyễn Văn A")
            store.append("Nguyễn Văn A", [TOLD, AGREED])
            assert store.load(["Nguyễn Văn A"]).records == clean.load(["Nguyễn Văn A"]).records
            assert store.load([]).cursor == clean.load([]).cursor == store.verify()
            assert abs((store.load([]).at - clean.load([]).at).total_seconds()) < 60
    finally:
        with psycopg.connect(direct, autocommit=True) as db:
            db.execute("DROP SCHEMA evil CASCADE")


def test_the_command_works_behind_a_pool(pooled: str, direct: str) -> None:
    """`init` makes the tables through the pool, and may be run again."""
    with psycopg.connect(direct, autocommit=True) as db:
        db.execute(f"DROP SCHEMA {schema.SCHEMA} CASCADE")
    assert [schema.prepare(pooled), schema.prepare(pooled)] == [0, schema.FORMAT]


def test_notifications_come_past_the_pool(pooled: str, direct: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `listen_url` past the pool, a long poll is woken by another store's append, not by its safety net."""
    monkeypatch.setattr("diijam_consent_sdk.stores.postgres.listener.POLL_SECONDS", 30)
    with (
        closing(PostgresStore(pooled, deadline=5, listen_url=direct)) as store,
        closing(PostgresStore(pooled, deadline=5)) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        cursor = sign_up(store, "u-1").cursor
        store.changes(cursor, wait=0.01)
        assert eventually(lambda: store._listener._is_listening)
        waiting = pool.submit(store.changes, cursor, wait=20)
        time.sleep(0.3)
        sign_up(other, "u-2")
        assert waiting.result(5).user_ids == {"u-2": 2}


def test_without_a_way_past_the_pool_changes_are_looked_for(pooled: str, caplog: pytest.LogCaptureFixture) -> None:
    """No store listens on a shared connection; it logs that once, and finds changes all the same."""
    caplog.set_level(logging.WARNING)
    with closing(PostgresStore(pooled, deadline=5)) as store, ThreadPoolExecutor(1) as pool:
        cursor = sign_up(store, "u-1").cursor
        waiting = pool.submit(store.changes, cursor, wait=20)
        assert eventually(lambda: "store.no_news" in caplog.text)
        sign_up(store, "u-2")
        assert waiting.result(5).user_ids == {"u-2": 2}
        store.changes(store.load([]).cursor, wait=0.3)
    assert caplog.text.count("store.no_news") == 1
    assert "listen_url" in caplog.text
    assert {row[-1] for row in settings(pooled)} == {"0"}


def test_asyncio_looks_for_changes_too(pooled: str, direct: str) -> None:
    """The async store is woken past the pool, and looks by itself where there is no way past it."""

    async def ask(listen_url: str | None) -> dict[str, int]:
        """Wait for another's append."""
        store = AsyncPostgresStore(pooled, deadline=5, listen_url=listen_url)
        try:
            cursor = (await store.load([])).cursor
            waiting = asyncio.create_task(store.changes(cursor, wait=20))
            await asyncio.sleep(0.5)
            await store.append(f"u-{listen_url is None}", [OPENED])
            return dict((await asyncio.wait_for(waiting, 5)).user_ids)
        finally:
            await store.close()

    assert [asyncio.run(ask(direct)), asyncio.run(ask(None))] == [{"u-False": 1}, {"u-True": 2}]


def test_statements_are_prepared_on_a_direct_connection_alone(pooled: str, direct: str) -> None:
    """Through a pool nothing is prepared; without one between, statements are planned once."""
    for url, is_prepared in ((pooled, False), (direct, True)):
        with closing(PostgresStore(url, deadline=5, connections=1)) as store:
            for _ in range(10):
                store.load(["u-1"])
            with store._open_pool().connection() as connection:
                assert (connection.prepare_threshold is not None) == is_prepared
                row = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
            assert row is not None
            assert (row[0] > 0) == is_prepared


def test_a_pool_that_takes_no_transactions_is_refused_by_name(direct: str) -> None:
    """Where the pool shares connections between statements, the error of a write names the setting to change."""
    database = direct.partition("@/")[2].partition("?")[0]
    with (
        pooling(shared(), mode="statement") as port,
        closing(PostgresStore(f"postgresql://u@127.0.0.1:{port}/{database}", deadline=1)) as store,
    ):
        assert store.load([]).cursor.position == 0
        with pytest.raises(StoreUnavailable, match="pool_mode to transaction"):
            store.append("u-1", [OPENED])


def test_a_client_takes_both_urls(pooled: str, direct: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`from_url` takes it, and `from_env` reads it."""
    with ConsentClient.from_url(pooled, listen_url=direct, deadline=5) as client:
        client.record("u-1", OPENED, e.Granted("marketing", "promo", ["email"]))
        assert client.can_market("u-1", "email")
        assert isinstance(client._store, PostgresStore)
        assert not client._store._may_be_shared
    monkeypatch.setenv("DIIJAM_CONSENT_URL", pooled)
    monkeypatch.setenv("DIIJAM_CONSENT_LISTEN_URL", direct)
    with ConsentClient.from_env(deadline=5) as client:
        assert isinstance(client._store, PostgresStore)
        assert not client._store._may_be_shared
