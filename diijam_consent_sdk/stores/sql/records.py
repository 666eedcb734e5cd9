"""
A user's row in the table of records: the record, and the standing that was made of it in the same statement.

The standing is made for the time of the user's last entry, so that `verify` can make it again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from ...due import erasure_due_at
from ...record import END_OF_TIME, ConsentRecord
from ...standing import standing_of
from .. import wire
from ..standings import STANDING_FORMAT, encode_standing

# A standing is used with the record's own version and the reader's own format, from `made_at` to before
# `next_change_at`: integers, so that SQL can compare them.
COLUMNS = (
    "user_id, version, standing_version, standing_format, made_at, next_change_at, erasure_due_at, standing, record"
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Count the microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


NEVER = microseconds(END_OF_TIME)
NO_DUE_TIME = NEVER + 1  # of an erasure that nobody asked for: after all others


class RecordRow(msgspec.Struct, frozen=True, gc=False):  # attrs takes 5 times as long to make one
    """The values of `COLUMNS`, in order."""

    user_id: str
    version: int
    standing_version: int
    standing_format: int
    made_at: int  # in microseconds since 1970
    next_change_at: int  # the same; `NEVER` if no end lies ahead
    erasure_due_at: int | None  # the same; `NO_DUE_TIME` if only a closing began it, None if none is under way
    standing: bytes
    record: bytes

    def __repr__(self) -> str:
        return f"RecordRow(version={self.version})"


def upsert(columns: str, values: str) -> str:
    """Make the SQL that writes a row of *columns* in place of the user's earlier one."""
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns.split(", ")[1:])
    return f"INSERT INTO records ({columns}) VALUES ({values}) ON CONFLICT (user_id) DO UPDATE SET {updates}"  # noqa: S608 - our own columns


PLACES = ", ".join("?" for _ in COLUMNS.split(", "))
PUT = upsert(COLUMNS, PLACES)


def record_row(record: ConsentRecord, at: datetime) -> RecordRow:
    """Make the row of a record whose last entry is of the time *at*."""
    standing = standing_of(record, at)
    ends = standing.next_change_at
    return RecordRow(
        user_id=record.user_id, version=record.version, standing_version=record.version,
        standing_format=STANDING_FORMAT, made_at=microseconds(at),
        next_change_at=NEVER if ends is None else microseconds(ends), erasure_due_at=_due_in_order(record),
        standing=encode_standing(standing), record=wire.encode(record),
    )  # fmt: skip


def _due_in_order(record: ConsentRecord) -> int | None:
    return None if record.erasure is None else due_in_order(erasure_due_at(record))


def due_in_order(due_at: datetime | None) -> int:
    """Make the integer by which erasures are in the order of `OwedErasures`."""
    return NO_DUE_TIME if due_at is None else microseconds(due_at)
