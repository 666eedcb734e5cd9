"""Positions in order of commits, commits in doubt, locks, and what a transaction asks of the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import attrs
import psycopg
import pytest

from diijam_consent_sdk.errors import InvalidEvent, OutcomeUnknown, StoreUnavailable
from diijam_consent_sdk.stores import PostgresStore
from diijam_consent_sdk.stores.answers import Write
from diijam_consent_sdk.stores.postgres import transactions
from diijam_consent_sdk.stores.postgres.connection import DeadlineConnection
from diijam_consent_sdk.stores.sql.append_plans import AppendOutcome, PlannedAppend
from diijam_consent_sdk.stores.sql.appends import AppendJudge
from diijam_consent_sdk.stores.sql.statements import CommitBatch, Statement

from ..contract import OPENED, TOLD, head
from ..writers import eight_writers
from .support import Interfere

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


def test_a_writer_that_dawdles_hides_no_entry(store: PostgresStore, interfere: Interfere) -> None:
    """A second writer gets its position after the first has committed, and a reader of changes gets both in order."""
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
    """Connections lost during commits cost time, and write nothing twice."""
    interfere(losing(2, final=True, after=after))
    appended = store.append("u-1", [OPENED, TOLD], idempotency_key="k-1")
    assert (appended.cursor.position, len(store.history("u-1"))) == (2, 2)
    assert appended.is_repeat == after  # a try whose commit was in doubt had written it
    again = store.append("u-1", [OPENED, TOLD], idempotency_key="k-1")
    assert again == attrs.evolve(appended, is_repeat=True)


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


def test_a_writer_that_is_frozen_during_its_write_holds_up_no_other(url: str, interfere: Interfere) -> None:
    """PostgreSQL ends a transaction whose process sends nothing, and others write on; the frozen write is refused."""
    is_frozen, woken = threading.Event(), threading.Event()

    def freeze(go_on: Callable[[], Any], batch: Sequence[Statement]) -> Any:
        if isinstance(batch, CommitBatch) and any("u-frozen" in values for _, values in batch):
            is_frozen.set()
            woken.wait(10)
        return go_on()

    interfere(freeze)
    with closing(PostgresStore(url, deadline=0.5)) as store, closing(PostgresStore(url, deadline=5)) as other:
        with ThreadPoolExecutor(1) as pool:
            frozen = pool.submit(store.append, "u-frozen", [OPENED])
            assert is_frozen.wait(10)
            assert other.append("u-1", [OPENED]).cursor.position == 1
            time.sleep(0.5)  # its own call is over by then, and may not try again
            woken.set()
            with pytest.raises((StoreUnavailable, OutcomeUnknown)):
                frozen.result(10)
        assert other.history("u-frozen") == []


def test_a_locked_ledger_is_waited_for_no_longer_than_a_call(url: str, store: PostgresStore) -> None:
    """A write that gets no lock fails in time; a read does not wait."""
    with psycopg.connect(url) as other, closing(PostgresStore(url, deadline=0.5)) as impatient:
        other.execute("SELECT FROM diijam_consent.ledger FOR UPDATE")
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            impatient.append("u-1", [OPENED])
        assert time.monotonic() - started < 2
        assert impatient.load(["u-1"]).cursor.position == 0
    assert store.append("u-1", [OPENED]).cursor.position == 1


def test_a_commit_that_comes_too_late_is_not_sent(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where judging many events took all the time of the call, nothing is written, and the error says so."""
    judge = AppendJudge.judge

    def judge_slowly(judges: AppendJudge, plan: PlannedAppend) -> AppendOutcome:
        """Judge as a large batch does."""
        time.sleep(0.6)
        return judge(judges, plan)

    monkeypatch.setattr(AppendJudge, "judge", judge_slowly)
    with closing(PostgresStore(url, deadline=0.5)) as store:
        with pytest.raises(StoreUnavailable):
            store.append_many([Write("u-1", [OPENED])])
        with pytest.raises(StoreUnavailable):
            store.append("u-1", [OPENED])
        assert store.load(["u-1"]).cursor.position == 0


def test_writers_take_turns_whatever_the_isolation_by_default(store: PostgresStore, db: psycopg.Connection) -> None:
    """A write that waited for the lock reads what was committed meanwhile, and need not be tried again."""
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


def test_a_refused_append_leaves_no_lock(store: PostgresStore, url: str) -> None:
    """After a refusal the next write need not wait."""
    with pytest.raises(InvalidEvent):
        store.append("u-1", [TOLD])
    with closing(PostgresStore(url, deadline=1)) as other:
        assert other.append("u-1", [OPENED]).cursor.position == 1


def test_eight_writers_leave_no_gap_and_no_inversion(url: str) -> None:
    """Of eight writers on eight connections no entry is lost, and a reader of changes gets each once, in order."""
    told, acknowledged = eight_writers(url, seconds=2)
    assert len(acknowledged) > 8
    assert told == sorted(acknowledged) == list(range(1, len(acknowledged) + 1))
