"""A ledger of made-up customers who are waiting for an answer, for the demo and its tests."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path

from diijam_consent_sdk import Channel, Field, HoldKind, Method, Outcome, Provenance, Purpose, RequestKind
from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import SqliteStore, Store

HOLDERS = ("mailer", "tre-xanh-records", "warehouse")
WEB = Provenance("privacy-center", Method.WEB, language="vi")
STAFF = Provenance("support-center", Method.STAFF, "staff-0932")
FIRST_DAY = 200.0

# How many days ago, who, and what: in the order of the customers.
Line = tuple[float, str, e.Event]
STORY: Sequence[Line] = (
    (180, "u-00412", e.AccountOpened()),
    (179, "u-00412", e.Granted(Purpose.MARKETING, "promo-2026-03", {Channel.EMAIL, Channel.MESSAGE})),
    (11.5, "u-00412", e.RequestFiled("pc-5b1f07d2", RequestKind.ACCESS)),
    (10.2, "u-00412", e.RequestReplied("pc-5b1f07d2")),
    (150, "u-01180", e.AccountOpened()),
    (3.1, "u-01180", e.RequestFiled("pc-90c4e1aa", RequestKind.COMPLAINT)),
    (140, "u-00077", e.AccountOpened()),
    (8.2, "u-00077", e.RequestFiled("pc-2d6a8f31", RequestKind.RECTIFICATION)),
    (7.4, "u-00077", e.RequestReplied("pc-2d6a8f31")),
    (120, "u-01533", e.AccountOpened()),
    (1.8, "u-01533", e.RequestFiled("pc-c07b55e9", RequestKind.ACCESS, processor=True)),
    (110, "u-00905", e.AccountOpened()),
    (40, "u-00905", e.RequestFiled("pc-71aa03bc", RequestKind.COMPLAINT)),
    (39, "u-00905", e.RequestReplied("pc-71aa03bc")),
    (33, "u-00905", e.RequestResolved("pc-71aa03bc", Outcome.FULFILLED, "complaint-upheld")),
    (0.4, "u-00905", e.RequestFiled("pc-e8d2690f", RequestKind.RECTIFICATION)),
    (100, "u-01777", e.AccountOpened()),
    (60, "u-01777", e.HoldPlaced("inv-2026-0417", HoldKind.DEBT, {Field.FULL_NAME, Field.PAYMENT})),
    (16, "u-01777", e.RequestFiled("pc-3fd1c84e", RequestKind.ERASURE)),
    (15, "u-01777", e.RequestReplied("pc-3fd1c84e")),
    (12, "u-01777", e.ErasureConfirmed("mailer")),
    (90, "u-00268", e.AccountOpened()),
    (9, "u-00268", e.RequestFiled("pc-ab40d7f6", RequestKind.ERASURE)),
    (8, "u-00268", e.RequestReplied("pc-ab40d7f6")),
    (6, "u-00268", e.ErasureConfirmed("mailer")),
    (5, "u-00268", e.ErasureConfirmed("warehouse")),
    (80, "u-01402", e.AccountOpened()),
    (7, "u-01402", e.RequestFiled("pc-18e9b3d5", RequestKind.ERASURE)),
    (6.5, "u-01402", e.RequestReplied("pc-18e9b3d5")),
    *((4 - number, "u-01402", e.ErasureConfirmed(holder)) for number, holder in enumerate(HOLDERS)),
)
BY_STAFF = (e.RequestReplied, e.RequestExtended, e.RequestResolved)


def fill(path: Path) -> None:
    """Make the ledger at *path*, each event at its time before now."""
    now = datetime.now(UTC)
    instants = [now - timedelta(days=FIRST_DAY)]
    with closing(SqliteStore(path, clock=lambda: instants[-1])) as store:
        tell(store, instants, now)


def tell(store: Store, instants: list[datetime], now: datetime) -> None:
    """Write the story; the last of *instants* is the time of the store's clock."""
    for holder in HOLDERS:
        store.register_holder(holder)
    for days, user_id, event in sorted(STORY, key=itemgetter(0), reverse=True):
        instants.append(now - timedelta(days=days))
        store.append(user_id, [event], provenance=STAFF if isinstance(event, BY_STAFF) else WEB)
    instants.append(now)
