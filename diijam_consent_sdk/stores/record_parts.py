"""
The parts of a record: the key that each stands under, and its times.

Types alone do not hold them, so `wire` checks them of every record that it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any

import attrs

from ..record import Consent, Hold, Notice, Publication, Request, consent_key
from ..vocabulary import Channel, Purpose


def time_fields(kind: type) -> list[str]:
    """Name the fields of an attrs class that hold a time."""
    return [field.name for field in attrs.fields(kind) if "datetime" in str(field.type)]


def _times_of(kind: type) -> Callable[[object], tuple[datetime | None, ...]]:
    names = time_fields(kind)
    if len(names) > 1:
        return attrgetter(*names)
    return lambda part: (getattr(part, names[0]),)


_CONSENT_KEYS = {
    (purpose, channel): consent_key(purpose, channel) for purpose in Purpose for channel in (None, *Channel)
}
# By the name of a record's map.
PARTS: tuple[tuple[str, Callable[[Any], str], Callable[[Any], tuple[datetime | None, ...]]], ...] = (
    ("consents", lambda consent: _CONSENT_KEYS[consent.purpose, consent.channel], _times_of(Consent)),
    ("publications", attrgetter("field"), _times_of(Publication)),
    ("notices", attrgetter("notice"), _times_of(Notice)),
    ("holds", attrgetter("hold"), _times_of(Hold)),
    ("requests", attrgetter("request"), _times_of(Request)),
)
