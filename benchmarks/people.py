"""Made-up users: their ids, their choices, ledgers of them, and a store that has any number of them."""

from __future__ import annotations

import random
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from diijam_consent_sdk.events import (
    AccountOpened,
    Agreed,
    Event,
    Granted,
    LedgerEntry,
    Notified,
    Objected,
    Published,
    Restricted,
    Withdrawn,
)
from diijam_consent_sdk.record import ConsentRecord, fold, unopened
from diijam_consent_sdk.standing import EVERY_ASK, standing_of
from diijam_consent_sdk.stores import Changes, Cursor, Loaded, MemoryStore, SqliteStore, wire
from diijam_consent_sdk.stores.answers import StandingRow, Standings
from diijam_consent_sdk.stores.sql.append_plans import plan_append
from diijam_consent_sdk.stores.sql.statements import Steps, Transaction
from diijam_consent_sdk.stores.sqlite.schema import FORMAT
from diijam_consent_sdk.stores.standings import encode_standing

QUICK = "--quick" in sys.argv  # a look whether all runs; nothing is written of it
SEED = 20261124
FOLDER = Path(__file__).parent.parent / ".benchmarks"
HEAD = Cursor("bench", 1, "00")


def scaled(count: int) -> int:
    """*count*, or a hundredth of it for a quick look."""
    return max(count // 100, 10) if QUICK else count


def ids(count: int) -> list[str]:
    """That many user ids."""
    return [f"u-{number:07d}" for number in range(count)]


def choices(rng: random.Random) -> list[Event]:
    """What one user did so far: 2 to 6 events."""
    events: list[Event] = [AccountOpened()]
    channels = [channel for channel in ("email", "notification", "message", "call") if rng.random() < 0.5]
    if channels:
        events.append(Granted("marketing", notice="signup-2026-1", channels=set(channels)))
    if rng.random() < 0.4:
        events.append(Granted("surveys", notice="signup-2026-1"))
    if rng.random() < 0.3:
        events.append(Published("avatar"))
    if rng.random() < 0.1 and channels:
        events.append(Withdrawn("marketing", channels={channels[0]}))
    if rng.random() < 0.1:
        events.append(Objected("surveys"))
    return events


def partners(rng: random.Random) -> list[Event]:
    """What one user did so far, some of it about sharing and about single fields: 2 to 10 events."""
    events = choices(rng)
    for recipient in ("acme-records", "globex"):
        if rng.random() < 0.5:
            notice = f"{recipient}-2026-1"
            events.append(Notified(notice, recipient, {"username", "avatar"}, "marketing"))
            if rng.random() < 0.7:
                events.append(Agreed(notice))
    if rng.random() < 0.2:
        events.append(Restricted({"username"}))
    return events


def write(store: SqliteStore, batches: Iterable[tuple[str, list[Event]]]) -> None:
    """Append in one transaction: what the ledger holds counts here, not how long it took to get there."""

    def all_of() -> Steps[None]:
        for user_id, events in batches:
            plan = plan_append(user_id, events, None, None, None)
            yield from store._appends.write([plan]).start()  # noqa: SLF001

    store._write(Transaction(all_of))  # noqa: SLF001


def population(count: int, rng: random.Random) -> Iterator[tuple[str, list[Event]]]:
    """Users with their first events."""
    return ((user_id, choices(rng)) for user_id in ids(count))


def ledger(count: int) -> Path:
    """A SQLite file of that many users, made once."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{count}-{FORMAT}.db"
    if not path.exists():
        making = path.with_suffix(".making")
        making.unlink(missing_ok=True)
        store = SqliteStore(making)
        write(store, population(count, random.Random(SEED)))
        store.close()
        making.rename(path)
    return path


class Printed(MemoryStore):
    """
    A store in which everybody has a record, printed from a few hundred and read as from the wire when asked for; nobody
    ever changes.
    """

    def __init__(self, choices: Callable[[random.Random], list[Event]] = choices) -> None:
        super().__init__()
        rng = random.Random(SEED)
        records = [_folded(choices(rng)) for _ in range(500)]
        self._printed = [wire.encode(record) for record in records]
        self._printed_standings = [encode_standing(standing_of(record, datetime.now(UTC))) for record in records]
        self._closed = threading.Event()

    def record(self, user_id: str) -> bytes:
        """A user's record in JSON."""
        printed = self._printed[zlib.crc32(user_id.encode()) % len(self._printed)]
        return printed.replace(b"somebody", user_id.encode())

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        printed = b",".join(map(self.record, user_ids))
        return Loaded(HEAD, datetime.now(UTC), tuple(wire.decode_records(b"[%b]" % printed)))

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`. Like a store, it gives each row bytes of its own."""
        rows = [StandingRow(user_id, 1, bytes(bytearray(self._standing(user_id)))) for user_id in user_ids]
        return Standings(HEAD, datetime.now(UTC), EVERY_ASK, tuple(rows))

    def _standing(self, user_id: str) -> bytes:
        return self._printed_standings[zlib.crc32(user_id.encode()) % len(self._printed_standings)]

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:  # noqa: ARG002
        """See `Store.changes`."""
        self._closed.wait(wait)
        return Changes(after, HEAD, {}, complete=True, waited=0.0)

    def close(self) -> None:
        """See `Store.close`."""
        self._closed.set()


def _folded(events: list[Event]) -> ConsentRecord:
    record = unopened("somebody")
    for number, event in enumerate(events, start=1):
        record = fold(record, LedgerEntry(number, "somebody", number, datetime.now(UTC), event))
    return record
