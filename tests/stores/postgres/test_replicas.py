"""A server that has to wait for its replicas: what they may lack is not acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from diijam_consent_sdk.errors import OutcomeUnknown
from diijam_consent_sdk.notices import NoticeText
from diijam_consent_sdk.stores import PostgresStore
from diijam_consent_sdk.stores.answers import Appended, Write
from diijam_consent_sdk.stores.postgres.async_store import AsyncPostgresStore
from diijam_consent_sdk.vocabulary import Purpose

from ..cluster import Cluster, running
from ..contract import OPENED

NONE_LEFT = ["SELECT pg_cancel_backend(pid)", "SELECT pg_terminate_backend(pid)"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server of this module alone."""
    with running() as cluster:
        yield cluster


def wait_for(cluster: Cluster, replicas: str) -> None:
    """Have the server wait for these replicas, which there are not, from the next commit on."""
    with psycopg.connect(cluster.url(), autocommit=True) as db:
        db.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{replicas}'")
        db.execute("SELECT pg_reload_conf()")
    end = time.monotonic() + 10
    while True:
        with psycopg.connect(cluster.url()) as db:
            if db.execute("SHOW synchronous_standby_names").fetchone() == (replicas,):
                return
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    """An empty ledger on a server that waits for a replica which is away."""
    url = cluster.ledger()
    wait_for(cluster, "away")
    yield url
    wait_for(cluster, "")


def end_wait(url: str, how: str) -> None:
    """End the wait of a commit, as an administrator does to get rid of statements that hang."""
    waiting = f"{how} FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    end = time.monotonic() + 10
    with psycopg.connect(url, autocommit=True) as db:
        while not db.execute(waiting).fetchall():
            assert time.monotonic() < end
            time.sleep(0.02)


def leave_behind(url: str, how: str, key: str | None = "k-1") -> None:
    """Append what is then on the server's own disk alone."""
    with closing(PostgresStore(url, deadline=3)) as store, ThreadPoolExecutor(1) as pool:
        appending: Future[Appended] = pool.submit(store.append, "u-1", [OPENED], idempotency_key=key)
        end_wait(url, how)
        with pytest.raises(OutcomeUnknown):
            appending.result(10)


@pytest.mark.parametrize("how", NONE_LEFT, ids=["cancelled", "terminated"])
def test_a_commit_that_the_replicas_may_lack_is_in_doubt(how: str, url: str) -> None:
    """PostgreSQL calls a commit done whose wait for the replicas was ended; the append is not acknowledged."""
    leave_behind(url, how, key=None)


@pytest.mark.parametrize("how", NONE_LEFT, ids=["cancelled", "terminated"])
def test_a_repeat_waits_for_the_replicas_too(how: str, url: str, cluster: Cluster) -> None:
    """What an earlier try wrote can be read, and is acknowledged only once the replicas have it."""
    leave_behind(url, how)
    with closing(PostgresStore(url, deadline=2)) as store:
        assert store.load(["u-1"]).records[0].version == 1
        with pytest.raises(OutcomeUnknown):
            store.append("u-1", [OPENED], idempotency_key="k-1")
        with pytest.raises(OutcomeUnknown):
            store.append_many([Write("u-1", [OPENED], idempotency_key="k-1")])
    wait_for(cluster, "")
    with closing(PostgresStore(url, deadline=10)) as store:
        again = store.append("u-1", [OPENED], idempotency_key="k-1")
        assert (again.version, again.is_repeat) == (1, True)


@pytest.mark.parametrize("register", [
    lambda store: store.register_holder("mailer"),
    lambda store: store.register_notice(NoticeText("n-1", {"en": "Yes?"}, {Purpose.SURVEYS})),
], ids=["holder", "notice"])  # fmt: skip
def test_a_registration_that_is_there_waits_for_the_replicas_too(
    register: Callable[[PostgresStore], object], url: str, cluster: Cluster
) -> None:
    """Found again, it is acknowledged only once the replicas have it: a failover could lose it."""
    with closing(PostgresStore(url, deadline=3)) as store, ThreadPoolExecutor(1) as pool:
        registering = pool.submit(register, store)
        end_wait(url, NONE_LEFT[0])
        with pytest.raises(OutcomeUnknown):
            registering.result(10)
    wait_for(cluster, "")
    with closing(PostgresStore(url, deadline=10)) as store:
        assert register(store)


def test_a_repeat_of_a_task_waits_for_the_replicas_too(url: str, cluster: Cluster) -> None:
    """The store for asyncio acknowledges no sooner."""

    async def repeat(deadline: float) -> Appended:
        """Append again, within so many seconds."""
        store = AsyncPostgresStore(url, deadline=deadline)
        try:
            return await store.append("u-1", [OPENED], idempotency_key="k-1")
        finally:
            await store.close()

    leave_behind(url, NONE_LEFT[0])
    with pytest.raises(OutcomeUnknown):
        asyncio.run(repeat(2))
    wait_for(cluster, "")
    assert asyncio.run(repeat(10)).is_repeat
