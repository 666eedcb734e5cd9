"""What the stores do on PostgreSQL beside the contract: erasing, the clock, and clients made from a URL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta

import attrs
import psycopg
import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import AsyncPostgresStore, PostgresStore
from diijam_consent_sdk.stores.postgres import schema
from tests.domain.samples import NEEDED

from ..contract import AGREED, OPENED, TOLD, erase, eventually, sign_up
from .support import SECRET

SAID_WORDS = ("form-5f0c2d7a", "vi-x-91be4e38", "2019-08-07T06:05:04.030201Z")
SAID = e.Provenance("crm", "import", *SAID_WORDS[:2], datetime.fromisoformat(SAID_WORDS[2]))


def test_clients_are_made_from_a_url(url: str) -> None:
    """Both clients take the database's URL: the sync one over the sync store, the async one over the async."""

    async def ask() -> bool:
        """Record and ask."""
        async with AsyncConsentClient.from_url(url, deadline=5) as client:
            assert isinstance(client._store, AsyncPostgresStore)
            return bool((await client.user("u-1")).can_market("email"))

    with ConsentClient.from_url(url, deadline=5) as client:
        assert isinstance(client._store, PostgresStore)
        client.record("u-1", OPENED, e.Granted("marketing", "promo", ["email"]))
        assert client.can_market("u-1", "email")
    assert asyncio.run(ask())


def test_what_was_erased_is_in_no_row(store: PostgresStore, db: psycopg.Connection) -> None:
    """No table tells of an erased user more than the tombstone does."""
    store.append("u-1", [OPENED, *NEEDED], idempotency_key=SECRET, provenance=SAID)
    store.append("u-1", [AGREED, e.Granted("marketing", SECRET, ["email"])], provenance=SAID)
    store.append("u-2", [OPENED, TOLD], idempotency_key="k")
    erase(store, "u-1")
    rows = [
        str(row)
        for table in ("ledger", "entries", "records", "appends")
        for row in db.execute(f"SELECT convert_from(convert_to(t::text, 'UTF8'), 'UTF8') FROM {table} t")
    ]
    # The short ones as JSON has them, since any three bytes come by chance in a salt or a hash.
    details = [word.encode().hex() for word in (SECRET, '"h-1"', '"q-1"', *SAID_WORDS)]
    assert len(rows) == 1 + 11 + 2 + 1
    assert not [row for row in rows if any(detail in row for detail in details)]


def test_what_was_erased_is_in_no_file_after_a_full_vacuum(store: PostgresStore, db: psycopg.Connection) -> None:
    """As the docs advise: then the tables' files hold no id, evidence, language or time of saying of the erased."""
    tables = [f"{schema.SCHEMA}.{table}" for table in ("entries", "records", "appends")]
    words = [word.encode() for word in (SECRET, *SAID_WORDS)]

    def found() -> list[bytes]:
        """The words that stand in the files."""
        db.execute("CHECKPOINT")
        read = "SELECT pg_read_binary_file(pg_relation_filepath(%s))"
        files = b"".join(bytes(row[0]) for table in tables for row in db.execute(read, [table]))
        return [word for word in words if word in files]

    store.append("u-1", [OPENED, *NEEDED, e.Granted("marketing", SECRET, ["email"])], provenance=SAID)
    assert found() == words
    store.append("u-1", [e.AccountClosed(), e.HoldReleased("h-1"), e.Erased()], provenance=SAID)
    for table in tables:
        db.execute(f"VACUUM FULL {table}")
    assert found() == []


def test_an_erasure_asks_postgresql_to_clear_away(store: PostgresStore, db: psycopg.Connection) -> None:
    """The rows of before the erasure are vacuumed, so that none is dead and still there."""
    store.append("u-1", [OPENED, *NEEDED], idempotency_key="k-1")
    erase(store, "u-1")
    vacuumed = "SELECT sum(vacuum_count) FROM pg_stat_user_tables WHERE relname IN ('entries', 'records', 'appends')"
    assert eventually(lambda: db.execute(vacuumed).fetchone() == (3,))


def test_an_erasure_is_acknowledged_where_vacuum_is_not_allowed(url: str, db: psycopg.Connection) -> None:
    """A role that may write but owns no table erases all the same."""
    db.execute("DROP ROLE IF EXISTS clerk")
    db.execute("CREATE ROLE clerk LOGIN")
    db.execute(f"GRANT USAGE ON SCHEMA {schema.SCHEMA} TO clerk")
    db.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema.SCHEMA} TO clerk")
    try:
        with closing(PostgresStore(url.replace("postgres@", "clerk@"), deadline=5)) as store:
            store.append("u-1", [OPENED, *NEEDED])
            record = erase(store, "u-1").record
            assert store.load(["u-1"]).records == (record,)
    finally:
        db.execute("DROP OWNED BY clerk")
        db.execute("DROP ROLE clerk")


def test_the_databases_clock_stamps_entries(store: PostgresStore, db: psycopg.Connection) -> None:
    """Processes on machines whose clocks differ share one clock, that of the database."""
    before, after = db.execute("SELECT clock_timestamp()").fetchone(), None
    sign_up(store, "u-1")
    after = db.execute("SELECT clock_timestamp()").fetchone()
    assert before is not None
    assert after is not None
    assert before[0] <= store.history("u-1")[0].at <= after[0]


@pytest.fixture
def jumping(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Has the store see the database's clock so far ahead from now on."""
    ahead = timedelta(0)
    shown = store._operations.dialect.time
    dialect = attrs.evolve(store._operations.dialect, time=lambda row: shown(row) + ahead)
    monkeypatch.setattr(store, "_operations", attrs.evolve(store._operations, dialect=dialect))

    def jump(by: timedelta) -> None:
        nonlocal ahead
        ahead = by

    return jump


def test_a_databases_clock_that_ran_ahead_spoils_no_entry(
    store: PostgresStore, jumping: Callable[[timedelta], None]
) -> None:
    """Years ahead of what was measured here since, it stamps nothing: a yes is refused, a no gets the time measured."""
    sign_up(store, "u-1")
    jumping(timedelta(days=9_000))
    with pytest.raises(StoreUnavailable, match="jumped ahead"):
        store.append("u-1", [e.Granted("surveys", "n-1")])
    assert store.clock_trouble() is not None
    store.append("u-1", [e.Withdrawn("surveys")])
    first, last = store.history("u-1")
    assert timedelta(0) <= last.at - first.at < timedelta(minutes=1)
    assert store.load([]).at - last.at < timedelta(minutes=1)
    jumping(timedelta(0))
    store.append("u-1", [e.Granted("surveys", "n-1")])
    assert store.clock_trouble() is None
