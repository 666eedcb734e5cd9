"""Tables that were changed, or that something else acts on, are refused."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from diijam_consent_sdk.errors import StoreUnusable
from diijam_consent_sdk.stores import AsyncPostgresStore, PostgresStore
from diijam_consent_sdk.stores.postgres import schema

from ..contract import OPENED, sign_up
from .support import end_all

EATING = "CREATE FUNCTION public.eat() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"


CALLED = """
CREATE FUNCTION public.so(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
DROP INDEX records_requesting;
CREATE INDEX records_requesting ON records (user_id) WHERE public.so(user_id);
"""


FOREIGN = {
    "trigger": (
        f"{EATING}; CREATE TRIGGER eater BEFORE UPDATE ON records FOR EACH ROW EXECUTE FUNCTION public.eat()",
        "trigger eater on records",
    ),
    "rule": ("CREATE RULE eater AS ON INSERT TO entries DO INSTEAD NOTHING", "rule eater on entries"),
    "rule beside": ("CREATE RULE also AS ON INSERT TO appends DO ALSO NOTIFY told", "rule also on appends"),
    "policy": ("CREATE POLICY few ON records USING (user_id <> 'u-1')", "policy few on records"),
    "row security": ("ALTER TABLE records ENABLE ROW LEVEL SECURITY", "table records"),
    "view": ("CREATE VIEW more AS SELECT * FROM entries", "more"),
    "table": ("CREATE TABLE more (id int)", "more"),
    "index": ("CREATE INDEX more ON entries (at)", "index more"),
    "index in place of ours": (
        "DROP INDEX entries_of_user; CREATE INDEX entries_of_user ON entries (user_id, version)", "entries_of_user"
    ),
    "index that calls": (
        CALLED,
        "what records_requesting calls",
    ),
    "child": ("CREATE TABLE public.child () INHERITS (records)", "inheritance of records"),
    "default": ("ALTER TABLE entries ALTER at SET DEFAULT 'now'", "column entries.at"),
    "column": ("ALTER TABLE records ADD more text", "column records.more"),
    "nullable": ("ALTER TABLE records ALTER record DROP NOT NULL", "column records.record"),
    "check": ("ALTER TABLE entries ADD CONSTRAINT few CHECK (position < 9)", "constraint few"),
    "foreign key": (
        'CREATE TABLE public.clerks (user_id text COLLATE "C" REFERENCES records ON DELETE CASCADE)',
        "constraint clerks_user_id_fkey",
    ),
    "function": ("CREATE FUNCTION length(text) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function length"),
    "unlogged": ("ALTER TABLE appends SET UNLOGGED", "table appends"),
    "lost index": ("DROP INDEX records_requesting", "index records_requesting"),
    "lost table": ("DROP TABLE appends", "appends"),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "named"), FOREIGN.values(), ids=FOREIGN)
def test_what_acts_on_the_tables_is_found(
    statement: str, named: str, url: str, store: PostgresStore, db: psycopg.Connection
) -> None:
    """A schema that is not exactly a ledger's is refused on opening and by `verify`, and what it is is named."""
    sign_up(store, "u-1")
    db.execute(statement)
    try:
        with pytest.raises(StoreUnusable, match=f"schema was changed: '[a-z ]*{named}"):
            PostgresStore(url, deadline=5)
        with pytest.raises(StoreUnusable, match=f"schema was changed: '[a-z ]*{named}"):
            store.verify()

        async def ask() -> None:
            """Ask the async store."""
            late = AsyncPostgresStore(url, deadline=1)
            try:
                await late.load([])
            finally:
                await late.close()

        with pytest.raises(StoreUnusable, match=f"schema was changed: '[a-z ]*{named}"):
            asyncio.run(ask())
    finally:
        db.execute(f"DROP SCHEMA public, {schema.SCHEMA} CASCADE; CREATE SCHEMA public")


def test_a_new_connection_sees_what_was_planted(store: PostgresStore, db: psycopg.Connection) -> None:
    """A store that is open already refuses the ledger on each connection it makes afterwards."""
    sign_up(store, "u-1")
    db.execute("CREATE RULE eater AS ON INSERT TO entries DO INSTEAD NOTHING")
    end_all(db)
    with pytest.raises(StoreUnusable, match="rule eater on entries"):
        store.append("u-2", [OPENED])
    db.execute("DROP RULE eater ON entries")
    assert sign_up(store, "u-3").cursor.position == 2
