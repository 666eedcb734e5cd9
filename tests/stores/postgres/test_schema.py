"""Making the tables of a ledger, and bringing them up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

from diijam_consent_sdk.errors import StoreUnusable
from diijam_consent_sdk.events import AccountClosed, RequestFiled
from diijam_consent_sdk.notices import NoticeText
from diijam_consent_sdk.stores import PostgresStore, SqliteStore
from diijam_consent_sdk.stores.postgres import schema
from diijam_consent_sdk.vocabulary import Purpose, RequestKind

from ..cluster import shared
from ..contract import OPENED, at_once, head, sign_up


def test_an_empty_database_says_what_to_do(empty: str) -> None:
    """Opening a database that holds no ledger names the command that makes one."""
    with pytest.raises(StoreUnusable, match="diijam-consent init --url postgresql://"):
        PostgresStore(empty)


def test_preparing_twice_changes_nothing(url: str, store: PostgresStore) -> None:
    """A ledger that is ready stays as it is, epoch and entries and all."""
    cursor = sign_up(store, "u-1").cursor
    assert schema.prepare(url) == schema.FORMAT
    assert head(store) == cursor


def test_many_prepare_at_once(empty: str) -> None:
    """Of several that prepare one database one makes the ledger, and nobody fails."""
    found = at_once(lambda _: schema.prepare(empty))
    assert sorted(found) == [0] + [schema.FORMAT] * 7
    with closing(PostgresStore(empty)) as store:
        assert head(store).position == 0


def test_a_newer_ledger_is_refused(url: str, db: psycopg.Connection, store: PostgresStore) -> None:
    """Neither an open store, nor a new one, nor `init` touches a ledger of a newer format."""
    text = NoticeText("n-1", {"en": "Yes?"}, {Purpose.SURVEYS})
    store.register_notice(text)
    store.register_holder("mailer")
    db.execute("UPDATE ledger SET format = format + 1")
    calls: list[Callable[[], object]] = [
        lambda: store.append("u-1", [OPENED]), lambda: store.load(["u-1"]), lambda: store.history("u-1"),
        lambda: store.history_page("u-1", 0), lambda: store.notice("n-1"), store.notices, store.remarks, store.verify,
        lambda: PostgresStore(url), lambda: schema.prepare(url), lambda: store.register_notice(text),
        store.require_notices, lambda: store.register_holder("mailer"), lambda: store.retire_holder("mailer"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(StoreUnusable, match="upgrade diijam-consent-sdk"):
            call()
    assert db.execute("SELECT position, requires_notices FROM ledger").fetchone() == (0, False)
    assert db.execute("SELECT holder FROM holders").fetchall() == [("mailer",)]


def test_an_older_ledger_is_brought_up_to_date(url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of an older format is refused until `init` has run, and keeps its entries."""
    cursor = sign_up(store, "u-1").cursor
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "ALTER TABLE records ADD COLUMN more text"))
    monkeypatch.setattr(schema, "FORMAT", schema.FORMAT + 1)
    with pytest.raises(StoreUnusable, match="diijam-consent init"):
        PostgresStore(url)
    assert schema.prepare(url) == schema.FORMAT - 1
    assert head(store) == cursor


def test_records_of_an_older_format_are_made_again(empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a record of before erasures were kept lacks is found in its user's entries, and so is its standing."""
    with (
        closing(SqliteStore(tmp_path / "consents.db")) as store,
        closing(sqlite3.connect(tmp_path / "consents.db")) as db,
    ):
        store.append("u-1", [OPENED, RequestFiled("q-1", RequestKind.ERASURE)])
        store.append("u-2", [OPENED, AccountClosed()])
        entries, records = db.execute("SELECT * FROM entries").fetchall(), store.load(["u-1", "u-2"]).records
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:3])
        before.setattr(schema, "FORMAT", 3)
        schema.prepare(empty)
    with psycopg.connect(empty, autocommit=True, options=f"-c search_path={schema.SCHEMA}") as old:
        for entry in entries:
            old.execute("INSERT INTO entries VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", entry)
        for record in records:
            old.execute("INSERT INTO records VALUES (%s, 'of an older format', 2, 2, 1, 0, 0, '')", (record.user_id,))
        old.execute("UPDATE ledger SET position = 4, hash = %s, at = %s", (entries[-1][9], entries[-1][3]))
    with pytest.raises(StoreUnusable, match="run diijam-consent init on it for format 4"):
        PostgresStore(empty)
    assert schema.prepare(empty) == 3
    with closing(PostgresStore(empty)) as found:
        assert found.load(["u-1", "u-2"]).records == records
        assert found.verify().position == 4


def test_a_failed_migration_leaves_nothing_half_done(
    url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a migration did before it failed is undone, and the ledger goes on."""
    broken = "ALTER TABLE records ADD COLUMN more text; ALTER TABLE records ADD COLUMN more text"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    with pytest.raises(StoreUnusable):
        schema.prepare(url)
    assert sign_up(store, "u-1").version == 1


def test_a_database_in_another_encoding_is_refused() -> None:
    """Ids are any text: a database that cannot hold all of it is not made a ledger."""
    with psycopg.connect(shared().url(), autocommit=True) as db, suppress(psycopg.errors.DuplicateDatabase):
        db.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StoreUnusable, match="UTF8"):
        schema.prepare(shared().url("latin"))


def test_a_role_that_owns_the_schema_may_prepare_it(empty: str) -> None:
    """A role that may not create schemas fills the one that it was given, and may run `init` again."""
    with psycopg.connect(empty, autocommit=True) as db:
        db.execute("DROP ROLE IF EXISTS keeper")
        db.execute("CREATE ROLE keeper LOGIN")
        db.execute(f"CREATE SCHEMA {schema.SCHEMA} AUTHORIZATION keeper")
        try:
            mine = empty.replace("postgres@", "keeper@")
            assert [schema.prepare(mine), schema.prepare(mine)] == [0, schema.FORMAT]
        finally:
            db.execute("DROP OWNED BY keeper CASCADE")
            db.execute("DROP ROLE keeper")
