"""Errors name what is missing or wrong, and neither a password nor a user."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from typing import Any

import psycopg
import pytest

from diijam_consent_sdk.errors import LedgerBroken, StoreUnavailable, StoreUnusable
from diijam_consent_sdk.stores import AsyncPostgresStore, PostgresStore
from diijam_consent_sdk.stores._retry import Failure
from diijam_consent_sdk.stores.postgres import schema
from diijam_consent_sdk.stores.postgres.errors import error_for

from ..cluster import shared
from ..contract import OPENED, sign_up
from .support import SECRET


@pytest.mark.parametrize("bad", [f"postgresql://u:{SECRET}@h/d%zz", f"postgresql://u:{SECRET}@h/d?nothing=1"])
def test_a_malformed_url_is_not_repeated(bad: str) -> None:
    """A URL that PostgreSQL does not understand is a mistake, and its password is not shown."""
    with pytest.raises(ValueError, match="postgresql://") as caught:
        PostgresStore(bad)
    assert SECRET not in str(caught.value) + repr(caught.value.__context__ and caught.value.__suppress_context__)


def test_a_missing_database_is_named_as_such() -> None:
    """`init` on a database that does not exist says to create it."""
    with pytest.raises(StoreUnavailable, match="create it"):
        schema.prepare(shared().url("nowhere"))


MISSING = {
    "role": ("postgres@", "nobody_here@", 'role "nobody_here" does not exist.*CREATE ROLE'),
    "database": ("/ledger", "/no_ledger", "database .* does not exist.*create it"),
    "socket": ("host=", "host=/nowhere", "/nowhere.* failed: No such file.*whether PostgreSQL runs there"),
    "service": ("host=", "sslmode=require&service=none&passfile=", 'service "none" not found.*pg_service'),
}


@pytest.mark.parametrize(("part", "other", "said"), MISSING.values(), ids=MISSING)
def test_what_does_not_exist_is_named(part: str, other: str, said: str, url: str) -> None:
    """The command that prepares, and each call of both stores, say what of the URL is missing, not another thing."""
    wrong = url.replace(part, other)
    with pytest.raises(StoreUnavailable, match=said):
        schema.prepare(wrong)
    with closing(PostgresStore(wrong, deadline=0.4)) as store, pytest.raises(StoreUnavailable, match=said):
        store.load([])

    async def ask() -> None:
        """Ask the async store."""
        store = AsyncPostgresStore(wrong, deadline=0.4)
        try:
            await store.load([])
        finally:
            await store.close()

    with pytest.raises(StoreUnavailable, match=said):
        asyncio.run(ask())


def test_a_role_without_rights_is_no_missing_ledger(url: str, db: psycopg.Connection) -> None:
    """Where the role may not look into the schema, that is said, not that there is no ledger."""
    db.execute("DROP ROLE IF EXISTS stranger")
    db.execute("CREATE ROLE stranger LOGIN")
    try:
        wrong = url.replace("postgres@", "stranger@")
        with closing(PostgresStore(wrong, deadline=0.5)) as store, pytest.raises(StoreUnavailable, match="grant it"):
            store.load([])
    finally:
        db.execute("DROP ROLE stranger")


def test_transactions_that_are_read_only_by_default_are_no_replica(url: str, db: psycopg.Connection) -> None:
    """The error of a write names the setting, not another server."""
    database = psycopg.sql.Identifier(db.info.dbname)
    setting = psycopg.sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
    db.execute(setting.format(database, psycopg.sql.SQL("on")))
    try:
        with closing(PostgresStore(url, deadline=2)) as store:
            store.load([])
            with pytest.raises(StoreUnavailable, match="default_transaction_read_only") as caught:
                sign_up(store, "u-1")
            assert "replica" not in str(caught.value)
    finally:
        db.execute(setting.format(database, psycopg.sql.SQL("off")))


@pytest.mark.parametrize(("is_replica", "said"), [
    (True, {"replica"}), (False, {"read-only by"}), (None, {"replica", "read-only by"}),
])  # fmt: skip
def test_a_refused_write_names_what_is_known_of_the_server(is_replica: bool | None, said: set[str]) -> None:
    """A replica, a default of the role, or both where the server does not tell, as behind some poolers."""
    error = psycopg.errors.ReadOnlySqlTransaction("no")
    found = str(error_for(error, is_lost=False, maybe_written=False, is_replica=is_replica))
    assert {part for part in ("replica", "read-only by") if part in found} == said


def test_a_ledger_that_goes_away_is_named_as_such(store: PostgresStore, db: psycopg.Connection) -> None:
    """A schema that is dropped under an open store is a missing ledger."""
    sign_up(store, "u-1")
    db.execute(f"DROP SCHEMA {schema.SCHEMA} CASCADE")
    with pytest.raises(StoreUnusable, match="diijam-consent init"):
        store.load(["u-1"])


def test_an_unreachable_server_is_unavailable(tmp_path: Any) -> None:
    """A store may be made while the server is down; its calls say so, in time."""
    with closing(PostgresStore(f"postgresql://u:{SECRET}@/d?host={tmp_path}", deadline=0.3)) as store:
        started = time.monotonic()
        for call in (lambda: store.load([]), lambda: store.append("u-1", [OPENED], idempotency_key="k")):
            with pytest.raises(StoreUnavailable) as caught:
                call()
            assert SECRET not in str(caught.value)
        assert time.monotonic() - started < 3
        assert SECRET not in repr(store)


@pytest.mark.parametrize("error", [psycopg.errors.InternalError_, psycopg.errors.AdminShutdown])
def test_a_commit_that_the_servers_end_cut_off_is_unknown(error: type[psycopg.Error]) -> None:
    """A server that breaks down during a commit may have it on the disk, whatever its last error was."""
    found = error_for(error("its last words"), is_lost=True, maybe_written=True)
    assert isinstance(found, Failure)
    assert found.maybe_written


@pytest.mark.parametrize("state", ["XX000", "08006", "08P01", "58000"])
@pytest.mark.parametrize("maybe_written", [True, False])
def test_a_poolers_own_error_is_tried_again(maybe_written: bool, state: str) -> None:
    """Of a commit it tells nothing of what the server did, so that is unknown; else nothing was written."""
    found = error_for(psycopg.errors.lookup(state)("it is full"), is_lost=False, maybe_written=maybe_written)
    assert isinstance(found, Failure)
    assert found.maybe_written is maybe_written


@pytest.mark.parametrize("at", ["2999-01-01T00:00:00+00:00", "1999-01-01T00:00:00+00:00"])
def test_another_time_of_the_last_entry_is_found(at: str, store: PostgresStore, db: psycopg.Connection) -> None:
    """The time from which the next entry is stamped stands beside the chain, and is compared with it."""
    sign_up(store, "u-1")
    assert store.verify().position == 1
    db.execute("UPDATE ledger SET at = %s", (at,))
    with pytest.raises(LedgerBroken, match="position 1: the ledger claims another time"):
        store.verify()


def test_a_damaged_ledger_is_refused_without_naming_anybody(store: PostgresStore, db: psycopg.Connection) -> None:
    """What PostgreSQL says of a violated constraint names the user; what is raised does not, nor what caused it."""
    sign_up(store, SECRET)
    db.execute("UPDATE ledger SET position = 0")
    db.execute("DELETE FROM records")
    with pytest.raises(StoreUnusable, match="verify") as caught:
        store.append(SECRET, [OPENED])
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
