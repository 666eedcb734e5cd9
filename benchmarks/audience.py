"""Filtering an audience, cold and warm, over memory, SQLite and HTTP, beside the transfer alone."""

from __future__ import annotations

import random
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import httpx

from diijam_consent_sdk import ConsentClient, Market
from diijam_consent_sdk.decisions import decide
from diijam_consent_sdk.stores import HttpStore, MemoryStore, SqliteStore, Store
from diijam_consent_sdk.stores.standings import decode_standing

from . import people, report
from .serving import serving
from .timing import Work, frozen, interleaved, ratios, spread

USERS = 100_000
SAMPLE = 20_000  # of the raw transfer
SINGLE = 300  # requests of one check each
BATCH = 1000
ROUNDS = 11
ASK = Market("email")
ONE, RAW = "HTTP, one request a check", "HTTP, raw transfer of the same bytes"
PLAIN = "SQLite, a plain program that reads (id, 200 bytes)"


def cold(store: Store, user_ids: Sequence[str]) -> int:
    """With nothing in memory."""
    with _client(store, len(user_ids)) as consent:
        return _filtered(consent, user_ids)


def _client(store: Store, capacity: int) -> ConsentClient:
    return ConsentClient(store, max_staleness=3600, capacity=capacity, deadline=60)


def _filtered(consent: ConsentClient, user_ids: Sequence[str]) -> int:
    for _ in consent.permitted(user_ids, ASK):
        pass
    return len(user_ids)


def warm(store: Store, user_ids: Sequence[str], stack: ExitStack) -> Work:
    """With everybody in memory."""
    consent = stack.enter_context(_client(store, len(user_ids)))
    _filtered(consent, user_ids)
    return partial(_filtered, consent, user_ids)


def masked(store: Store, user_ids: Sequence[str], stack: ExitStack) -> Work:
    """The same, as a mask."""
    consent = stack.enter_context(_client(store, len(user_ids)))
    _filtered(consent, user_ids)
    return lambda: len(consent.permitted_mask(user_ids, ASK))


def raw(client: httpx.Client, user_ids: Sequence[str]) -> int:
    """The same questions to the same service, one after the other, the answers read and thrown away."""
    for start in range(0, len(user_ids), BATCH):
        question = {"nonce": secrets.token_hex(16), "user_ids": user_ids[start : start + BATCH]}
        client.post("/v1/standings/load", json=question).raise_for_status()
    return len(user_ids)


def plain_file(path: Path, user_ids: Sequence[str]) -> Path:
    """A SQLite file of ids with 200 bytes each."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE users (id TEXT PRIMARY KEY, choices BLOB NOT NULL)")
        with db:
            db.executemany("INSERT INTO users VALUES (?, ?)", ((user, secrets.token_bytes(200)) for user in user_ids))
    return path


def plain(path: Path, user_ids: Sequence[str]) -> int:
    """Read them in the same batches, and throw them away."""
    with closing(sqlite3.connect(path)) as db:
        for start in range(0, len(user_ids), BATCH):
            some = user_ids[start : start + BATCH]
            db.execute(f"SELECT id, choices FROM users WHERE id IN ({','.join('?' * len(some))})", some).fetchall()
    return len(user_ids)


def one_by_one(store: Store, user_ids: Sequence[str]) -> int:
    """A load and a decision for each."""
    for user_id in user_ids:
        found = store.standings([user_id])
        decide(decode_standing(found.users[0].standing, found.view), ASK, found.at)
    return len(user_ids)


def copied(path: Path) -> MemoryStore:
    """The ledger in memory."""
    store, file = MemoryStore(), SqliteStore(path)
    with file._database.reading() as source, store._database.reading() as target:  # noqa: SLF001
        target.execute("COMMIT")
        source.backup(target)
        target.execute("BEGIN")
    file.close()
    return store


def main() -> None:
    """Time all of it in turns, and publish the table."""
    count = people.scaled(USERS)
    path, user_ids = people.ledger(count), people.ids(count)
    random.Random(people.SEED).shuffle(user_ids)
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        service = stack.enter_context(serving(path))
        http = stack.enter_context(closing(HttpStore(service.url, token=service.token, deadline=60)))
        file, memory = stack.enter_context(closing(SqliteStore(path))), stack.enter_context(closing(copied(path)))
        client = stack.enter_context(service.client())
        some = user_ids[:SINGLE]
        contenders: dict[str, Callable[[], int]] = {
            "memory, cold": partial(cold, memory, user_ids),
            "SQLite, cold": partial(cold, file, user_ids),
            PLAIN: partial(plain, plain_file(Path(folder) / "plain.db", people.ids(count)), user_ids),
            "HTTP, cold": partial(cold, http, user_ids),
            "any store, warm": warm(file, user_ids, stack),
            "any store, warm, permitted_mask": masked(file, user_ids, stack),
            RAW: partial(raw, client, user_ids[:SAMPLE]),
            ONE: partial(one_by_one, http, some),
            "SQLite, one load a check": partial(one_by_one, file, some),
        }
        with frozen(collecting=True):
            times = interleaved(contenders, rounds=ROUNDS)
    rows = [
        [name, f"{1e9 / spread(took).median:,.0f}", spread(took).text(0)]
        + [ratios(times[other], took).text() for other in (RAW, ONE, PLAIN, "SQLite, cold")]
        for name, took in times.items()
    ]
    columns = [
        "",
        "users a second",
        "ns a user",
        "× raw transfer",
        "× one request a check",
        "× plain SQLite",
        "× SQLite, cold",
    ]
    report.publish("audience", f"Filtering {count:,} users", report.table(columns, rows))


if __name__ == "__main__":
    main()
