"""The customers a visitor can be: a handful from `examples/data`, chosen for their choices."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import attrs

from diijam_consent_sdk import events
from diijam_consent_sdk.stores import SqliteStore

from .holders import HOLDERS
from .words import Words

DATA = Path(__file__).parent.parent / "data"
CHOSEN = {
    "u-01665": "generous",
    "u-01297": "picky",
    "u-01033": "debtor",
    "u-00048": "restricted",
    "u-00086": "leaving",
    "u-00020": "closed",
    "u-00105": "erased",
}
PARTNERS = {
    "tre-xanh-records": "Tre Xanh Records",
    "mua-ha-records": "Mưa Hạ Records",
    "san-khau-ve-dien-tu": "Sân Khấu Vé Điện Tử",
    "kim-hac-telecom": "Kim Hạc Telecom",
    "song-hong-khao-sat": "Sông Hồng Khảo Sát",
}
PAST_DAYS = 400  # how far back the made-up past begins
QUIET_DAYS = 2  # and how long nothing has happened since


@attrs.frozen
class Customer:
    """
    Somebody to sign in as.

    Args:
        user_id: The ledger's id, which the pages never show.

        name: The customer's name, or None.

        about: The customer's situation, as a key of the words.

        number: The place among those to sign in as.
    """

    user_id: str = attrs.field(repr=False)
    name: str | None = attrs.field(repr=False)
    about: str
    number: int = 1

    def called(self, words: Words) -> str:
        """What to call this customer."""
        if self.about == "yourself":
            return words("welcome.yourself")
        nameless = words("welcome.erased") if self.about == "erased" else words("welcome.somebody", number=self.number)
        return self.name or nameless


def customers(user_ids: Sequence[str] = ()) -> list[Customer]:
    """The customers with these ids, or those chosen ones; names are the audience's, where it has them."""
    with (DATA / "audience.csv").open(encoding="utf-8", newline="") as file:
        names = {row["user_id"]: row["full_name"] for row in csv.DictReader(file) if not row["full_name"].isupper()}
    if user_ids:
        return [Customer(who, names.get(who), "other", number) for number, who in enumerate(user_ids, start=1)]
    return [Customer(who, None if about == "erased" else names[who], about) for who, about in CHOSEN.items()]


def fill(path: Path) -> None:
    """
    Make a ledger of the chosen customers, each event at a made-up time of the past year or so. Two holders are
    registered from the beginning, and confirmed the one erasure that is done.
    """
    now = datetime.now(UTC)
    dated = [
        (at, user_id, event)
        for user_id, batch in _batches()
        for at, event in zip(_instants(len(batch), now), batch, strict=True)
    ]
    instants = [now - timedelta(days=PAST_DAYS + QUIET_DAYS)]
    with closing(SqliteStore(path, clock=lambda: instants[-1])) as store:
        for holder in HOLDERS:
            store.register_holder(holder, by="privacy-team")
        for at, user_id, event in sorted(dated, key=itemgetter(0)):
            instants.append(at)
            confirmed = map(events.ErasureConfirmed, HOLDERS) if isinstance(event, events.Erased) else ()
            store.append(user_id, [*confirmed, event])


def _batches() -> Iterator[tuple[str, list[events.Event]]]:
    with (DATA / "customers.jsonl").open(encoding="utf-8") as file:
        for user_id, lines in groupby(map(json.loads, file), key=lambda line: str(line["user_id"])):
            if user_id in CHOSEN:
                yield user_id, [_event(**line["event"]) for line in lines]


def _event(type: str, **fields: Any) -> events.Event:  # noqa: A002 - the data's word
    for name in {"expires_at", "until"} & set(fields):
        fields[name] = datetime.fromisoformat(fields[name])
    event: events.Event = getattr(events, type)(**fields)
    return event


def _instants(count: int, now: datetime) -> list[datetime]:
    """The latest events lie close together: what was asked of Diijam last is not overdue yet."""
    days = [QUIET_DAYS + PAST_DAYS * (1 - number / count) ** 2 for number in range(1, count + 1)]
    return [now - timedelta(days=day) for day in days]


def partner(recipient: str) -> str:
    """How a recipient is called."""
    return PARTNERS.get(recipient, recipient)
