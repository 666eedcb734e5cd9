"""Restarts, backups and replicas: which of them is another history, and that clients notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from diijam_consent_sdk import ConsentClient, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import PostgresStore

from ..cluster import Cluster, running
from ..contract import OPENED, eventually, head, sign_up

GRANTED = e.Granted("marketing", "promo", ["email"])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server that tests may stop and change; each has a new ledger."""
    with running() as cluster:
        yield cluster


def test_a_restart_is_another_epoch(cluster: Cluster) -> None:
    """
    A server that starts may have been given an older state meanwhile, and nothing in the database could tell. All that
    was acknowledged is there; a cursor of before belongs to another history.
    """
    url = cluster.ledger()
    with closing(PostgresStore(url, deadline=10)) as store:
        before = sign_up(store, "u-1", "u-2").cursor
        cluster.stop()
        cluster.start()
        after = head(store)
        assert (after.position, after.hash) == (before.position, before.hash)
        assert after.epoch != before.epoch
        assert not store.changes(before, wait=5).is_continuation()


def test_another_connection_is_the_same_epoch(cluster: Cluster) -> None:
    """The epoch is the server's, not a store's or a connection's; a crash of one backend is no restart."""
    url = cluster.ledger()
    with closing(PostgresStore(url)) as first, closing(PostgresStore(url)) as second:
        cursor = sign_up(first, "u-1").cursor
        assert head(second) == cursor
        assert second.changes(cursor, wait=0).is_continuation()


def test_an_older_base_backup_is_another_epoch(cluster: Cluster) -> None:
    """
    A backup that was put back, without recovery to another timeline, is another history, also once it has grown past
    the cursor that a client has; and a client that polled starts over from it.
    """
    url = cluster.ledger()
    with closing(PostgresStore(url, deadline=10)) as store, ConsentClient(store, max_staleness=5) as client:
        client.record("u-1", OPENED)
        cluster.tool("pg_basebackup", "-d", cluster.url(), "-D", cluster.folder / "backup", "-c", "fast")
        before = client.record("u-1", GRANTED)
        assert client.can_market("u-1", "email")
        assert eventually(lambda: client.status().position == before.cursor.position)
        cluster.kill()
        cluster.data.rename(cluster.folder / "lost")
        (cluster.folder / "backup").rename(cluster.data)
        cluster.start()
        user = client.user("u-1")
        assert eventually(lambda: client.can_market("u-1", "email").reason is Reason.NOT_CONSENTED, within=20)
        assert not user.can_market("email")
        sign_up(store, "u-2", "u-3")
        after = store.load([]).cursor
        assert after.position > before.cursor.position
        assert after.epoch != before.cursor.epoch
        assert not store.changes(before.cursor, wait=0).is_continuation()
        assert client.user("u-1", at_least=before.token).can_market("email").reason is Reason.UNAVAILABLE


@pytest.mark.parametrize("before", ["DROP SCHEMA diijam_consent CASCADE", "TRUNCATE diijam_consent.ledger"])
def test_a_dump_that_is_loaded_again_is_another_epoch(before: str, cluster: Cluster) -> None:
    """An older dump that takes the ledger's place in a running server is another history."""
    url = cluster.ledger()
    dump = cluster.folder / "dump.sql"
    tables = ["--data-only", "-t", "diijam_consent.ledger"] if before.startswith("TRUNCATE") else []
    with closing(PostgresStore(url, deadline=10)) as store:
        sign_up(store, "u-1")
        cluster.tool("pg_dump", "-d", url, "-f", dump, *tables)
        cursor = head(store)
        with psycopg.connect(url) as db:
            db.execute(before)
        cluster.tool("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", dump)
        after = head(store)
        assert (after.position, after.hash) == (cursor.position, cursor.hash)
        assert after.epoch != cursor.epoch


def test_a_replica_is_no_place_to_ask(cluster: Cluster) -> None:
    """
    A replica, which may be behind, answers nothing until it is promoted; from then on it is another history, also for
    connections that were there before.
    """
    url = cluster.ledger()
    with closing(PostgresStore(url, deadline=10)) as store:
        before = sign_up(store, "u-1").cursor
    copy = cluster.folder / "replica"
    cluster.tool("pg_basebackup", "-d", cluster.url(), "-D", copy, "-c", "fast", "-R")
    with running(copy_of=copy) as replica:
        own = url.replace(str(cluster.folder), str(replica.folder))
        with closing(PostgresStore(own, deadline=1)) as stale:
            calls: list[Callable[[], object]] = [
                lambda: stale.load(["u-1"]), lambda: stale.append("u-1", [GRANTED]), lambda: stale.history("u-1"),
                stale.holders, stale.notices,
            ]  # fmt: skip
            for call in calls:
                with pytest.raises(StoreUnavailable, match="replica"):
                    call()
            replica.tool("pg_ctl", "promote", "-D", replica.data, "-w")
            after = stale.load(["u-1"])
            assert (after.cursor.hash, after.records[0].version) == (before.hash, 1)
            assert after.cursor.epoch != before.epoch
            assert stale.append("u-1", [GRANTED]).cursor.epoch == after.cursor.epoch


def test_a_kill_loses_nothing_acknowledged(cluster: Cluster) -> None:
    """After `kill -9` and a restart every acknowledged entry is there, and the ledger goes on without a gap."""
    url = cluster.ledger()
    with closing(PostgresStore(url, deadline=10)) as store:
        for turn in range(2):
            appended = sign_up(store, *(f"u-{turn}-{number}" for number in range(5)))
            cluster.kill()
            cluster.start()
            loaded = store.load([f"u-{turn}-{number}" for number in range(5)])
            assert [record.version for record in loaded.records] == [1] * 5
            assert loaded.cursor.position == appended.cursor.position == 5 * (turn + 1)
