"""
Standings read from a SQL database: those that are stored, as they are, and the others made from their records.

A stored one is read without its record, so that a database reads little and Python decodes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter

import attrs
import msgspec

from ...errors import StoreUnusable, TooLarge
from ...identifiers import identifier
from ...record import END_OF_TIME, ConsentRecord, unopened
from ...standing import EVERY_ASK, standing_of
from .. import wire
from ..answers import MAX_LOAD_BYTES, MAX_POSITION, StandingRow, Standings, StandingsPage
from ..checks import checked_limit
from ..standings import encode_standing
from .dialect import ReadLimits
from .operations import Operations
from .records import NEVER, microseconds
from .statements import Query, Row

ENDLESS = "the database is damaged: a standing has no end that it may have"
READ_TIME = timedelta(seconds=1)  # about what a read takes at most: an end that comes meanwhile costs another read
_versions = msgspec.json.Decoder(list[int])


@attrs.frozen
class StandingReads:
    """
    The reads of standings, beside the ledger's other operations.

    Which of the stored standings a read may take is known once it has its time from the database. So each read is two
    queries: the first takes those that will probably do, and gives None if one of them does not; the second then makes
    all that have an end from their records.
    """

    operations: Operations

    def standings(self, user_ids: list[str]) -> Iterator[Query[Standings | None]]:
        """See `Store.standings`; *user_ids* were checked."""

        def parse(head_rows: Sequence[Row], rows: Sequence[Row]) -> Standings | None:
            head = self.operations.read_head(head_rows)
            found = rows_from(rows, head.now)
            if found is None:
                return None
            return Standings(head.cursor, head.now, EVERY_ASK, tuple(in_order(user_ids, found)))

        for limits in self._limits(len(user_ids)):
            statement = self.operations.dialect.standings(user_ids, limits)
            yield Query([self.operations.select_head(), statement], parse)

    def page(self, after: str | None, limit: int) -> Iterator[Query[StandingsPage | None]]:
        """See `Store.list_standings`."""
        start, limit = "" if after is None else identifier(after), min(checked_limit(limit), MAX_POSITION)

        def parse(head_rows: Sequence[Row], rows: Sequence[Row]) -> StandingsPage | None:
            head = self.operations.read_head(head_rows)
            found = rows_from(rows, head.now)
            if found is None:
                return None
            users = tuple(sorted(found, key=attrgetter("user_id")))
            last = users[-1].user_id if len(users) == limit else None
            return StandingsPage(head.cursor, head.now, EVERY_ASK, users, last)

        for limits in self._limits(limit):
            statement = self.operations.dialect.standings_after(start, limit, limits)
            yield Query([self.operations.select_head(), statement], parse)

    def _limits(self, users: int) -> Iterator[ReadLimits]:
        max_bytes = MAX_LOAD_BYTES if users > 1 else MAX_POSITION
        yield ReadLimits(microseconds(self.operations.estimated_time() + READ_TIME), max_bytes)
        yield ReadLimits(NEVER - 1, max_bytes)


def in_order(user_ids: list[str], found: Sequence[StandingRow]) -> Iterable[StandingRow]:
    """
    Give a row for each of some users, in order. Users without entries have none of those that were *found*.

    Raises:
        StoreUnusable: one that was found is of another user.
    """
    if [row.user_id for row in found] == user_ids:  # as SQLite gives them, if none is unknown
        return found
    return _with_unknown(user_ids, found)


def _with_unknown(user_ids: Iterable[str], found: Iterable[StandingRow]) -> Iterator[StandingRow]:
    rows = {row.user_id: row for row in found}
    for user_id in user_ids:
        yield rows.pop(user_id) if user_id in rows else StandingRow(user_id, 0, _unopened())
    if rows:
        raise StoreUnusable("the database is damaged: a record stands under another user's id")


def rows_from(rows: Sequence[Row], at: datetime) -> list[StandingRow] | None:
    """
    Make the rows of standings for the time *at*, from one row of user ids and stored standings, one a line, of versions
    and records, separated by commas, and of when the stored ones were made at the latest and end at the earliest. A
    line without a standing has a record instead.

    Returns:
        None if one of the stored standings may not be used at that time.

    Raises:
        TooLarge: the statement left standings out.
    """
    if not rows:
        return []
    ((user_ids, versions, joined, records, made_at, ends_at),) = rows
    if joined is None:
        raise TooLarge("the standings are too large together: ask for fewer users")
    if made_at is not None and not is_usable(made_at, ends_at, at):
        return None
    try:
        ids, numbers, standings = user_ids.split("\n"), _versions.decode(b"[%b]" % versions), joined.split(b"\n")
    except msgspec.DecodeError:
        raise wire.Malformed("a version is no whole number") from None
    if not len(ids) == len(numbers) == len(standings):
        raise wire.Malformed("a standing has several lines")
    if records is not None:
        _make_again(ids, numbers, standings, wire.decode_records(b"[%b]" % records), at)
    return list(map(StandingRow, ids, numbers, standings))


def is_usable(made_at: object, ends_at: object, at: datetime) -> bool:
    """Whether a stored standing may be used *at* a time; `wire.Malformed` if *made_at* or *ends_at* is no number."""
    if not isinstance(made_at, int) or not isinstance(ends_at, int):
        raise wire.Malformed("a standing's times are no numbers")
    return made_at <= microseconds(at) < ends_at


def _make_again(
    ids: Sequence[str], versions: Sequence[int], standings: list[bytes], records: Sequence[ConsentRecord], at: datetime
) -> None:
    """Fill in the standings that are lacking, from the records, which are in the same order."""
    lacking = [place for place, standing in enumerate(standings) if not standing]
    if [(ids[place], versions[place]) for place in lacking] != [(r.user_id, r.version) for r in records]:
        raise StoreUnusable("the database is damaged: a record stands under another user's id or version")
    for place, record in zip(lacking, records, strict=True):
        standings[place] = encode_standing(standing_of(record, at))


@cache
def _unopened() -> bytes:
    """Encode the standing of any unknown user, which is the same at all times."""
    return encode_standing(standing_of(unopened("anybody"), END_OF_TIME))
