"""
A ledger for docs/how-to/report.md: what 520 made-up customers said in the 14 months before today.

    python examples/report.py report.db

The entries have the times of the story, so the ledger is stamped by the story's own clock, and `verify` says so.
Exit code 0: the ledger was made. 2: there is something at the path already.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from diijam_consent_sdk import Channel, Field, HoldKind, Method, NoticeText, Provenance, Purpose, RequestKind
from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import SqliteStore, Store
from diijam_consent_sdk.stores.protocol import Write

WEEKS, NEW_A_WEEK = 60, 8
LAST_WEEKS = 4  # of which requests are open, and in which a mailer and a warehouse have copies
WEEK = timedelta(weeks=1)
WEB = Provenance("privacy-center", Method.WEB, language="vi")
SHARING = NoticeText(
    "tre-xanh",
    {
        "vi": "Nếu bạn đồng ý, Diijam chia sẻ tên người dùng của bạn với Tre Xanh Records.",
        "en": "If you agree, Diijam shares your username with Tre Xanh Records.",
    },
    {Purpose.MARKETING},
    {Field.USERNAME},
    "tre-xanh-records",  # no real label
)
HOLDERS = ("mailer", "warehouse")
ENDS = [("fulfilled",), ("fulfilled",), ("fulfilled",), ("refused", "not-yours"), ("cancelled",)]
TOLD = e.Notified(SHARING.notice, "tre-xanh-records", SHARING.data, Purpose.MARKETING)


class StoryClock:
    """The clock of the story, which the story sets. It ends today."""

    def __init__(self, today: datetime) -> None:
        self.start = self.now = today - (WEEKS - 1) * WEEK

    def __call__(self) -> datetime:
        """Give the time."""
        return self.now


def tell(store: Store, clock: StoryClock) -> None:
    """Write the story, a week at once."""
    chance = Random(17)  # noqa: S311 - no secret
    store.register_notice(SHARING, by="legal")
    store.append_many([*_imports(chance, clock.now)])
    for week in range(WEEKS):
        clock.now = clock.start + week * WEEK
        for holder in HOLDERS if week == WEEKS - LAST_WEEKS else ():
            store.register_holder(holder, by="legal")
        store.append_many([*_newcomers(chance, week), *_later(chance, week), *_requests(chance, week, clock.now)])


def _user(number: int) -> str:
    return f"u-{number:05}"


def _imports(chance: Random, now: datetime) -> Iterator[Write]:
    """Yield what an older shop had of its customers."""
    for number in range(90000, 90040):
        said_at = now - timedelta(days=chance.randrange(60, 400))
        old = Provenance("shop-import", Method.IMPORT, said_at=said_at)
        said = e.Granted(Purpose.MARKETING, "shop-2024", {Channel.EMAIL}) if chance.random() < 0.8 else e.Withdrawn(
            Purpose.MARKETING, {Channel.EMAIL})  # fmt: skip
        yield Write(_user(number), [e.AccountOpened()])
        yield Write(_user(number), [said], provenance=old)


def _newcomers(chance: Random, week: int) -> Iterator[Write]:
    """Yield the sign-ups of a week, with the first choices."""
    for number in range(week * NEW_A_WEEK, (week + 1) * NEW_A_WEEK):
        events: list[e.Event] = [e.AccountOpened(), TOLD]
        channels = {channel for channel in Channel if chance.random() < 0.3 + 0.1 * (channel is Channel.EMAIL)}
        if channels:
            events.append(e.Granted(Purpose.MARKETING, "promo", channels))
        if chance.random() < 0.35:
            events.append(e.Agreed(SHARING.notice))
        purposes = (Purpose.SERVICE_IMPROVEMENT, Purpose.SURVEYS, Purpose.CONTESTS)
        events += [e.Granted(purpose, "sign-up") for purpose in purposes if chance.random() < 0.4]
        if chance.random() < 0.25:
            events.append(e.Published(Field.AVATAR))
        yield Write(_user(number), events, provenance=WEB)


def _earlier(chance: Random, week: int, share: float) -> Iterable[int]:
    """Draw some of those who were there before this week."""
    return [number for number in range(week * NEW_A_WEEK) if chance.random() < share]


def _later(chance: Random, week: int) -> Iterator[Write]:
    """Yield what earlier customers change their minds about."""
    for number in _earlier(chance, week, 0.012):
        yield Write(_user(number), [e.Withdrawn(Purpose.MARKETING)], provenance=WEB)
    for number in _earlier(chance, week, 0.004):
        yield Write(_user(number), [e.Objected(Purpose.SURVEYS), e.Restricted({Field.LOCATION})], provenance=WEB)
    for number in _earlier(chance, week, 0.0015):
        confirmed = map(e.ErasureConfirmed, HOLDERS if week >= WEEKS - LAST_WEEKS else ())
        yield Write(_user(number), [e.AccountClosed(), *confirmed, e.Erased(anonymised=chance.random() < 0.3)])


def _requests(chance: Random, week: int, now: datetime) -> Iterator[Write]:
    """Yield requests: those of the last weeks are open, and debts and disputes hold some erasures."""
    kinds = [RequestKind.ACCESS, RequestKind.RECTIFICATION, RequestKind.COMPLAINT]
    is_open = week >= WEEKS - LAST_WEEKS
    for number in _earlier(chance, week, 0.02 if is_open else 0.008):
        request, kind = f"q-{week}", chance.choice(kinds)
        received_at = now - timedelta(days=chance.randrange(7))
        events: list[e.Event] = [e.RequestFiled(request, kind, received_at=received_at)]
        if chance.random() < 0.8:
            events.append(e.RequestReplied(request))
        if not is_open:
            events.append(e.RequestResolved(request, *chance.choice(ENDS)))
        yield Write(_user(number), events, provenance=WEB)
    for number in _earlier(chance, week, 0.01) if is_open else ():
        holds = [kind for kind in (HoldKind.DEBT, HoldKind.DISPUTE, HoldKind.TAX) if chance.random() < 0.4]
        placed = [e.HoldPlaced(f"h-{kind}", kind, {Field.PAYMENT}) for kind in holds]
        confirmed = [e.ErasureConfirmed(holder) for holder in HOLDERS if chance.random() < 0.7]
        replied = [e.RequestReplied("q-erase")] if chance.random() < 0.8 else []
        asked = e.RequestFiled("q-erase", RequestKind.ERASURE)
        yield Write(_user(number), [*placed, asked, *replied, *confirmed], provenance=WEB)


def main(arguments: Sequence[str]) -> int:
    """Make the ledger."""
    parser = argparse.ArgumentParser(description="Make a ledger of what 520 made-up customers said.")
    parser.add_argument("path", nargs="?", type=Path, default=Path("report.db"), help="default: report.db")
    path = parser.parse_args(arguments).path
    if path.exists():
        print(f"error: {path} exists already: name another file, or remove it", file=sys.stderr)
        return 2
    clock = StoryClock(datetime.now(UTC))
    with closing(SqliteStore(path, clock=clock)) as store:
        tell(store, clock)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
