"""How a guard's cost grows with the number of users kept, and an audience's with the share who changed meanwhile."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from diijam_consent_sdk import ConsentClient, Market
from diijam_consent_sdk.events import Objected, ObjectionLifted
from diijam_consent_sdk.stores import SqliteStore

from . import people, report
from .guard import FLOOR, await_feed, filled, floor, may_mail, measure, one_step
from .timing import frozen, ratios, spread, timed

SIZES = (1_000, 10_000, 100_000, 1_000_000)
SHARES = (0.0, 0.001, 0.01, 0.1, 1.0)
USERS = 100_000
ROUNDS = 3
ASK = Market("email")


def by_size(count: int) -> list[str]:
    """The row of a cache of that many users."""
    with ConsentClient(people.Printed(), max_staleness=36_000, capacity=count, deadline=60) as consent:
        users = filled(consent, count)
        await_feed(consent)
        times = measure({FLOOR: floor(users), "ours": one_step(consent)}, may_mail(users))
    mine, least = spread(times["ours"]), spread(times[FLOOR])
    return [f"{count:,}", least.text(0), mine.text(0), ratios(times["ours"], times[FLOOR]).text()]


def by_share(store: SqliteStore, count: int) -> Iterator[list[str]]:
    """Filter an audience again and again, with more users changed each time, and return the rows."""
    rng = random.Random(people.SEED)
    user_ids = people.ids(count)
    with ConsentClient(store, max_staleness=3600, capacity=count, deadline=60) as consent:

        def filtered() -> int:
            for _ in consent.permitted(user_ids, ASK):
                pass
            return count

        filtered()
        times: dict[float, list[float]] = {share: [] for share in SHARES}
        for number in range(ROUNDS):
            event = ObjectionLifted("contests") if number % 2 else Objected("contests")
            for share in SHARES:
                changed = rng.sample(user_ids, int(share * count))
                people.write(store, ((user_id, [event]) for user_id in changed))
                _catch_up(consent, store)
                with frozen(collecting=True):
                    times[share].append(timed(filtered))
    for share, took in times.items():
        yield [f"{share:.1%}", spread(took).text(0), ratios(took, times[0.0]).text()]


def _catch_up(consent: ConsentClient, store: SqliteStore) -> None:
    head = store.load(()).cursor.position
    until = time.monotonic() + 120
    while (consent.status().position or 0) < head:
        if time.monotonic() > until:
            raise SystemExit("the follower did not catch up")
        time.sleep(0.01)


def main() -> None:
    """Measure both, and publish the tables."""
    sizes = report.table(
        ["users kept", "two dict lookups, ns", "consent.can_market(id, …), ns", "×"],
        [by_size(people.scaled(size)) for size in SIZES],
    )
    count = people.scaled(USERS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(people.ledger(count), folder))
        with closing(SqliteStore(path)) as store:
            rows = list(by_share(store, count))
    shares = report.table(["changed since", "ns a user", "× nobody changed"], rows)
    told = f"`permitted` over {count:,} users in memory, after the poller applied the changes (SQLite):"
    report.publish("growth", "Growth with users kept, and with users changed", sizes, told, shares)


if __name__ == "__main__":
    main()
