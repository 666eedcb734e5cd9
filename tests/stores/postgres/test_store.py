"""What is PostgreSQL's own: the schema, positions in order of commits, lost connections, deadlines, what is left."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from typing import Any

import attrs
import psycopg
import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent, OutcomeUnknown, StoreUnavailable, StoreUnusable
from diijam_consent_sdk.stores import AsyncPostgresStore, PostgresStore
from diijam_consent_sdk.stores._retry import Attempts, Failure
from diijam_consent_sdk.stores.postgres import schema, transactions
from diijam_consent_sdk.stores.postgres.connection import AsyncDeadlineConnection, DeadlineConnection
from diijam_consent_sdk.stores.postgres.errors import error_for
from diijam_consent_sdk.stores.sql.statements import CommitBatch, Statement
from tests.domain.samples import NEEDED

from ..cluster import shared
from ..contract import AGREED, OPENED, TOLD, at_once, erase, eventually, head, sign_up
from ..writers import eight_writers

SECRET = "vinh.secret"


@pytest.fixture
def empty() -> Iterator[str]:
    """A database with nothing in it."""
    url = shared().database()
    yield url
    shared().give_back(url)


@pytest.fixture
def url(empty: str) -> str:
    """A database with an empty ledger."""
    schema.prepare(empty)
    return empty


@pytest.fixture
def db(url: str) -> Iterator[psycopg.Connection]:
    """A connection of somebody else, autocommitting."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"SET search_path = {schema.SCHEMA}")
        yield db


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    """A store on the ledger."""
    with closing(PostgresStore(url, deadline=5)) as store:
        yield store


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
    db.execute("UPDATE ledger SET format = format + 1")
    for call in (lambda: store.append("u-1", [OPENED]), lambda: PostgresStore(url), lambda: schema.prepare(url)):
        with pytest.raises(StoreUnusable, match="upgrade diijam-consent-sdk"):
            call()
    assert db.execute("SELECT position FROM ledger").fetchone() == (0,)


def test_an_older_ledger_is_brought_up_to_date(url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of an older format is refused until `init` has run, and keeps its entries."""
    cursor = sign_up(store, "u-1").cursor
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "ALTER TABLE records ADD COLUMN more text"))
    monkeypatch.setattr(schema, "FORMAT", schema.FORMAT + 1)
    with pytest.raises(StoreUnusable, match="diijam-consent init"):
        PostgresStore(url)
    assert schema.prepare(url) == schema.FORMAT - 1
    assert head(store) == cursor


def test_a_failed_migration_leaves_nothing_half_done(
    url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a migration did before it failed is undone, and the ledger goes on."""
    broken = "ALTER TABLE records ADD COLUMN more text; ALTER TABLE records ADD COLUMN more text"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    with pytest.raises(StoreUnusable):
        schema.prepare(url)
    assert sign_up(store, "u-1").record.version == 1


def test_a_database_in_another_encoding_is_refused() -> None:
    """Ids are any text: a database that cannot hold all of it is not made a ledger."""
    with psycopg.connect(shared().url(), autocommit=True) as db, suppress(psycopg.errors.DuplicateDatabase):
        db.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StoreUnusable, match="UTF8"):
        schema.prepare(shared().url("latin"))


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


def test_a_ledger_that_goes_away_is_named_as_such(store: PostgresStore, db: psycopg.Connection) -> None:
    """A schema that is dropped under an open store is a missing ledger."""
    sign_up(store, "u-1")
    db.execute(f"DROP SCHEMA {schema.SCHEMA} CASCADE")
    with pytest.raises(StoreUnusable, match="diijam-consent init"):
        store.load(["u-1"])


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


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 warns of any fork with threads
def test_a_forked_child_has_connections_of_its_own(store: PostgresStore) -> None:
    """A child writes and ends, and its parent's connections live on."""
    sign_up(store, "u-1")
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            store.append("u-2", [OPENED])
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert sign_up(store, "u-3").cursor.position == 3


# Out-of-order commits.

TAKE = {
    "counter": "UPDATE counter SET position = position + 1 RETURNING position",
    "sequence": "SELECT nextval('positions')",
}


@pytest.mark.parametrize("kind", TAKE)
def test_a_plain_sequence_loses_entries(kind: str, empty: str) -> None:
    """
    Where positions come from a sequence, a reader that goes on from the last one it saw never sees the entry of a
    writer that took its position before and committed after; with a counter row the second writer waits.
    """
    insert = f"WITH taken AS ({TAKE[kind]}) INSERT INTO told SELECT *, %s FROM taken"
    with psycopg.connect(empty, autocommit=True) as db, psycopg.connect(empty) as first, ThreadPoolExecutor(1) as pool:
        db.execute("CREATE SCHEMA diijam_consent; CREATE SEQUENCE diijam_consent.positions")
        db.execute("CREATE TABLE diijam_consent.counter AS SELECT 0::bigint AS position")
        db.execute("CREATE TABLE diijam_consent.told (position bigint, user_id text)")
        first.execute("SET search_path = diijam_consent")
        first.commit()

        def write_second() -> None:
            with psycopg.connect(empty) as second:
                second.execute("SET search_path = diijam_consent")
                second.execute(insert, ("u-2",))

        told: list[str] = []

        def read_on(after: int) -> int:
            rows = db.execute(
                "SELECT position, user_id FROM diijam_consent.told WHERE position > %s ORDER BY position", (after,)
            ).fetchall()
            told.extend(user_id for _, user_id in rows)
            return rows[-1][0] if rows else after

        first.execute(insert, ("u-1",))
        writing = pool.submit(write_second)
        with suppress(TimeoutError):
            writing.result(0.3)
        after = read_on(0)
        first.commit()
        writing.result(10)
        read_on(read_on(after))
    assert told == (["u-1", "u-2"] if kind == "counter" else ["u-2"])


@pytest.fixture
def interfere(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Callable[[Callable[[], Any], Sequence[Statement]], Any]], None]:
    """Has a function of the test run each batch of statements, in place of the connection: (go on, batch) -> rows."""
    real = DeadlineConnection.run_batch

    def install(instead: Callable[[Callable[[], Any], Sequence[Statement]], Any]) -> None:
        monkeypatch.setattr(
            DeadlineConnection, "run_batch", lambda self, batch: instead(lambda: real(self, batch), batch)
        )

    return install


Interfere = Callable[[Callable[[Callable[[], Any], Sequence[Statement]], Any]], None]


def test_a_writer_that_dawdles_hides_no_entry(store: PostgresStore, interfere: Interfere) -> None:
    """A second writer gets its position after the first has committed, and a follower is told of both in order."""
    start = head(store)
    may_commit, has_position = threading.Event(), threading.Event()

    def dawdle(go_on: Callable[[], Any], batch: Sequence[Statement]) -> Any:
        if isinstance(batch, CommitBatch) and any("u-slow" in values for _, values in batch):
            has_position.set()
            assert may_commit.wait(10)
        return go_on()

    interfere(dawdle)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(store.append, "u-slow", [OPENED])
        assert has_position.wait(10)
        quick = pool.submit(store.append, "u-quick", [OPENED])
        time.sleep(0.2)
        seen = store.changes(start, wait=0)
        may_commit.set()
        assert (slow.result(10).cursor.position, quick.result(10).cursor.position) == (1, 2)
    later = store.changes(seen.cursor, wait=0)
    assert [*seen.user_ids, *later.user_ids] == ["u-slow", "u-quick"]


# Lost connections, conflicts, and commits in doubt.


def losing(times: int, *, final: bool, after: bool, error: type[psycopg.Error] = psycopg.OperationalError) -> Any:
    """Loses so many batches, final ones or others, before or after they are carried out."""
    left = [times]

    def lose(go_on: Callable[[], Any], batch: Sequence[Statement]) -> Any:
        if isinstance(batch, CommitBatch) is not final or not left[0]:
            return go_on()
        left[0] -= 1
        if after:
            go_on()
        raise error("lost")

    return lose


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_commit_in_doubt_is_settled_by_its_key(after: bool, store: PostgresStore, interfere: Interfere) -> None:
    """Connections lost amid commits cost time, and write nothing twice."""
    interfere(losing(2, final=True, after=after))
    appended = store.append("u-1", [OPENED, TOLD], idempotency_key="k-1")
    assert (appended.cursor.position, len(store.history("u-1"))) == (2, 2)
    assert store.append("u-1", [OPENED, TOLD], idempotency_key="k-1") == appended


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_commit_in_doubt_without_a_key_is_unknown(after: bool, store: PostgresStore, interfere: Interfere) -> None:
    """Without a key nothing that may have been written is tried again."""
    interfere(losing(1, final=True, after=after))
    with pytest.raises(OutcomeUnknown):
        store.append("u-1", [OPENED])
    assert head(store).position == (1 if after else 0)


def test_doubt_stays_until_it_is_settled(url: str, interfere: Interfere) -> None:
    """A commit in doubt whose repetitions fail for want of time is unknown, not unavailable."""
    with closing(PostgresStore(url, deadline=0.4)) as store:
        interfere(losing(1, final=True, after=True))
        sign_up_later = losing(10**6, final=False, after=False)
        count = [0]

        def both(go_on: Callable[[], Any], batch: Sequence[Statement]) -> Any:
            count[0] += isinstance(batch, CommitBatch)
            if isinstance(batch, CommitBatch):
                go_on()
                raise psycopg.OperationalError("lost")
            return sign_up_later(go_on, batch) if count[0] else go_on()

        interfere(both)
        with pytest.raises(OutcomeUnknown) as caught:
            store.append("u-1", [OPENED], idempotency_key="k-1")
        assert caught.value.idempotency_key == "k-1"


@pytest.mark.parametrize(
    "error",
    [psycopg.OperationalError, psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected],
    ids=lambda error: error.__name__,
)
def test_what_was_not_written_is_tried_again(
    error: type[psycopg.Error], store: PostgresStore, interfere: Interfere
) -> None:
    """Connections lost before the commit, and transactions in each other's way, are tried again, with no key too."""
    interfere(losing(2, final=False, after=True, error=error))
    assert store.append("u-1", [OPENED]).cursor.position == 1
    interfere(losing(2, final=False, after=False, error=error))
    assert store.load(["u-1"]).records[0].version == 1


def test_a_conflict_at_the_commit_leaves_no_doubt(store: PostgresStore, interfere: Interfere) -> None:
    """PostgreSQL said that it wrote nothing, so that trying again is safe."""
    interfere(losing(2, final=True, after=False, error=psycopg.errors.SerializationFailure))
    assert store.append("u-1", [OPENED]).cursor.position == 1


@pytest.mark.parametrize("error", [psycopg.errors.InternalError_, psycopg.errors.AdminShutdown])
def test_a_commit_that_the_servers_end_cut_off_is_unknown(error: type[psycopg.Error]) -> None:
    """A server that breaks down amid a commit may have it on the disk, whatever its last words are."""
    found = error_for(error("its last words"), is_lost=True, maybe_written=True)
    assert isinstance(found, Failure)
    assert found.maybe_written


def test_connections_that_died_unused_are_replaced(store: PostgresStore, db: psycopg.Connection) -> None:
    """After a restart of the server, or a firewall's cut, the next calls are answered all the same."""
    at_once(lambda number: store.append(f"u-{number}", [OPENED]))
    db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'diijam-consent'")
    assert store.load(["u-1"]).records[0].version == 1
    assert store.append("u-9", [OPENED]).cursor.position == 9


def end_all(db: psycopg.Connection) -> None:
    """Have the server end every connection of a store."""
    db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'diijam-consent'")
    time.sleep(0.1)


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


def test_a_writer_that_is_frozen_amid_its_write_holds_nobody_up(url: str, interfere: Interfere) -> None:
    """PostgreSQL ends a transaction whose process says nothing, and others write on; the frozen write is refused."""
    frozen_amid, woken = threading.Event(), threading.Event()

    def freeze(go_on: Callable[[], Any], batch: Sequence[Statement]) -> Any:
        if isinstance(batch, CommitBatch) and any("u-frozen" in values for _, values in batch):
            frozen_amid.set()
            woken.wait(10)
        return go_on()

    interfere(freeze)
    with closing(PostgresStore(url, deadline=0.5)) as store, closing(PostgresStore(url, deadline=5)) as other:
        with ThreadPoolExecutor(1) as pool:
            frozen = pool.submit(store.append, "u-frozen", [OPENED])
            assert frozen_amid.wait(10)
            assert other.append("u-1", [OPENED]).cursor.position == 1
            time.sleep(0.5)  # its own call is over by then, and may not try again
            woken.set()
            with pytest.raises((StoreUnavailable, OutcomeUnknown)):
                frozen.result(10)
        assert other.history("u-frozen") == []


def test_a_locked_ledger_is_waited_for_no_longer_than_a_call(url: str, store: PostgresStore) -> None:
    """Who cannot write says so in time; who reads does not wait."""
    with psycopg.connect(url) as other, closing(PostgresStore(url, deadline=0.5)) as impatient:
        other.execute("SELECT FROM diijam_consent.ledger FOR UPDATE")
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            impatient.append("u-1", [OPENED])
        assert time.monotonic() - started < 2
        assert impatient.load(["u-1"]).cursor.position == 0
    assert store.append("u-1", [OPENED]).cursor.position == 1


# The news.


def test_news_come_without_a_poll(store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_poll_finds_what_nobody_heard(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change whose news got lost is found by looking."""
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
    """The one connection that listens is replaced when it dies."""
    listening = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    cursor = sign_up(store, "u-1").cursor
    for _ in range(3):
        store.changes(cursor, wait=0.01)
    assert eventually(lambda: len(db.execute(listening).fetchall()) == 1)
    old = db.execute(listening).fetchall()
    db.execute(f"SELECT pg_terminate_backend(pid) FROM ({listening}) l")
    assert eventually(lambda: len(found := db.execute(listening).fetchall()) == 1 and found != old)


def test_a_store_that_nobody_closed_is_let_go(url: str) -> None:
    """Dropped amid nothing, it goes, and with it the thread that listens for it."""
    store = PostgresStore(url, deadline=5)
    store.changes(head(store), wait=0.01)
    listening, gone = store._listener._thread, weakref.ref(store)
    assert listening is not None
    del store
    assert eventually(lambda: not gc.collect() or gone() is None)
    assert gone() is None
    assert eventually(lambda: not listening.is_alive())


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


# What is on the server.


@pytest.mark.parametrize(
    "setting", ["datestyle=German", "client_encoding=LATIN1", "bytea_output=escape", "timezone=Asia/Ho_Chi_Minh"]
)
def test_what_the_server_is_set_to_changes_nothing(setting: str, url: str, db: psycopg.Connection) -> None:
    """How the database writes times, texts and bytes by default is not what this library's connections use."""
    name, _, value = setting.partition("=")
    db.execute(f"ALTER ROLE postgres IN DATABASE {db.info.dbname} SET {name} = '{value}'")
    try:
        with closing(PostgresStore(url, deadline=5)) as store:
            store.append("Nguyễn Văn A", [OPENED, TOLD])
            assert store.load(["Nguyễn Văn A"]).records[0].version == 2
            assert store.verify().position == 2
    finally:
        db.execute(f"ALTER ROLE postgres IN DATABASE {db.info.dbname} RESET ALL")


def test_the_environments_encoding_changes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where libpq is told to speak another encoding, ids are any text all the same."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with closing(PostgresStore(url, deadline=5)) as store:
        assert store.append("Nguyễn Văn A", [OPENED]).record.version == 1


def test_writers_take_turns_whatever_the_isolation_by_default(store: PostgresStore, db: psycopg.Connection) -> None:
    """Who waited for the lock reads what was committed meanwhile, and need not try again."""
    with store._connect() as connection:
        store._configure(connection)
        connection.execute("SET default_transaction_isolation = 'serializable'")
        connection.run_batch([transactions.BEGIN, transactions.LOCK])
        assert connection.execute("SHOW transaction_isolation").fetchone() == ("read committed",)
        connection.execute("ROLLBACK")


def test_a_commit_is_durable_whatever_the_servers_default(url: str) -> None:
    """Where the server would acknowledge before the disk has it, this library's connections ask for more."""
    asked = "SELECT current_setting('synchronous_commit')"
    for default, used in (("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")):
        with DeadlineConnection.connect(
            f"{url}&options=-csynchronous_commit%3D{default}", autocommit=True
        ) as connection:
            connection.run_batch(transactions.begin_writing(1))
            assert connection.execute(asked).fetchone() == (used,)
            connection.execute("ROLLBACK")
            assert connection.execute(asked).fetchone() == (default,)


def test_what_was_erased_is_in_no_row(store: PostgresStore, db: psycopg.Connection) -> None:
    """No table tells of an erased user more than the tombstone does."""
    store.append("u-1", [OPENED, *NEEDED], idempotency_key=SECRET)
    store.append("u-1", [AGREED, e.Granted("marketing", SECRET, ["email"])])
    store.append("u-2", [OPENED, TOLD], idempotency_key="k")
    erase(store, "u-1")
    rows = [
        str(row)
        for table in ("ledger", "entries", "records", "appends")
        for row in db.execute(f"SELECT convert_from(convert_to(t::text, 'UTF8'), 'UTF8') FROM {table} t")
    ]
    details = [word.encode().hex() for word in (SECRET, "h-1", "q-1")]
    assert len(rows) == 1 + 11 + 2 + 1
    assert not [row for row in rows if any(detail in row for detail in details)]


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


def test_a_refused_append_leaves_no_lock(store: PostgresStore, url: str) -> None:
    """Whoever was refused holds nobody up."""
    with pytest.raises(InvalidEvent):
        store.append("u-1", [TOLD])
    with closing(PostgresStore(url, deadline=1)) as other:
        assert other.append("u-1", [OPENED]).cursor.position == 1


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


def test_eight_writers_leave_no_gap_and_no_inversion(url: str) -> None:
    """Of eight writers with connections of their own nothing is lost, and a follower is told in order, each once."""
    told, acknowledged = eight_writers(url, seconds=2)
    assert len(acknowledged) > 8
    assert told == sorted(acknowledged) == list(range(1, len(acknowledged) + 1))
