"""How many requests a minute keep a cache of users fresh."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterable

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk.events import Objected, ObjectionLifted
from diijam_consent_sdk.stores import Changes, Cursor, SqliteStore
from diijam_consent_sdk.stores.answers import Standings

from . import people, report

USERS = 10_000
SECONDS = 60.0
ASKED_A_SECOND = 500
CHANGES_A_MINUTE = (0, 60, 600)


class Counting(SqliteStore):
    """A store that counts what is asked of it."""

    def __init__(self, users: int) -> None:
        super().__init__(people.ledger(users))
        self.asked: Counter[str] = Counter()

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        self.asked["standings"] += 1
        return super().standings(user_ids)

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        self.asked["changes"] += 1
        return super().changes(after, wait=wait, limit=limit)


def change(store: SqliteStore, user_ids: list[str], a_minute: int, stop: threading.Event) -> None:
    """Have users change their mind, evenly over time."""
    rng = random.Random(people.SEED)
    events = (Objected("contests"), ObjectionLifted("contests"))
    while a_minute and not stop.wait(60 / a_minute):
        store.append(rng.choice(user_ids), [rng.choice(events)])


def asked_in(seconds: float, users: int, changes_a_minute: int) -> Counter[str]:
    """What a client asks of the store while users are asked about all the time, and some change their mind."""
    store, writer = Counting(users), SqliteStore(people.ledger(users))
    user_ids, rng = people.ids(users), random.Random(people.SEED)
    with ConsentClient(store, capacity=users, deadline=10) as consent:
        for _ in consent.users(user_ids):
            pass
        time.sleep(0.5)
        stop = threading.Event()
        changing = threading.Thread(target=change, args=(writer, user_ids, changes_a_minute, stop))
        changing.start()
        before, until = Counter(store.asked), time.monotonic() + seconds
        while time.monotonic() < until:
            for user_id in rng.choices(user_ids, k=ASKED_A_SECOND // 10):
                consent.can_market(user_id, "email")
            time.sleep(0.1)
        asked = Counter(store.asked)
        stop.set()
        changing.join()
    store.close()
    writer.close()
    asked.subtract(before)
    return asked


def main() -> None:
    """Count for each rate of change, and publish the table."""
    users, seconds = people.scaled(USERS), SECONDS / 10 if people.QUICK else SECONDS
    rows = []
    for a_minute in CHANGES_A_MINUTE:
        asked = asked_in(seconds, users, a_minute)
        a_minute_asked = [asked[kind] * 60 / seconds for kind in ("changes", "standings")]
        rows.append([f"{a_minute:,}", *(f"{number:,.0f}" for number in a_minute_asked), f"{sum(a_minute_asked):,.0f}"])
    note = (
        f"{users:,} users in memory, bound 60 s, {ASKED_A_SECOND} guards a second on users at random. A TTL cache of"
        f" 60 s asks again for each user that is asked about after its time: up to {users:,} requests a minute."
    )
    table = report.table(["changes a minute", "polls", "loads", "requests a minute"], rows)
    report.publish("freshness", "Requests that keep a cache fresh", note, table)


if __name__ == "__main__":
    main()
