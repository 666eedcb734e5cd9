"""The ledger's tables in SQL: the statements that both databases share, those they differ in, and what rows hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import attrs
import msgspec

from ...errors import StoreUnusable, TooLarge
from ...events import LedgerEntry
from ...record import ConsentRecord
from .. import history, wire
from ..answers import BEFORE_FIRST, MAX_POSITION, Cursor
from ..standings import STANDING_FORMAT
from .hash_chain import Link
from .records import RecordRow
from .statements import Query, Row, Statement

LINK_COLUMNS = "position, user_id, version, at, event, provenance, notice_digest, salt, digest, hash"
OPEN_REQUEST = b'"outcome":null'.hex()  # what a record holds, as it is written, while a request is open


# Whether a stored standing may be taken; after it, the time before which none of its ends may lie.
IS_USABLE = f"standing_version = version AND standing_format = {STANDING_FORMAT} AND next_change_at > "


@attrs.frozen
class ReadLimits:
    """
    Which of the stored standings are read: those without an end before *lasting* (microseconds since 1970). No more
    than *max_bytes* are read, of standings and of the records that stand in for the others.
    """

    lasting: int
    max_bytes: int


@attrs.frozen
class Dialect:
    """The statements in which two databases differ."""

    head: str  # epoch, position, hash and time of the last entry, and what else the clock needs
    records: str  # of each user in `asked`: see `records_from`
    bounded: str  # the same, without the records if they have more than `MAX_LOAD_BYTES`
    asked: Callable[[list[str]], object]
    put_record: Callable[[RecordRow], Statement]
    requesting: str  # the same of those after a user id, in order, with an open request; so many at most
    erasing: str  # see `records_from`: at most so many bytes of those with an erasure under way after a due time and a
    # user id; so many at most
    erasing_closed: str  # the same of those after a user id that only a closing erases, which come last, in order
    standings: Callable[[list[str], ReadLimits], Statement]  # of each user: see `standings.rows_from`
    standings_after: Callable[[str, int, ReadLimits], Statement]  # of those after a user id; so many at most
    named_notices: str  # id and terms of each registered notice in `asked`
    notices_required: str  # gives a row if the ledger requires notices
    require_notices: str  # makes it so, for good
    time: Callable[[Row], datetime]  # the wall clock, from the row of `head`
    mark_tested: str  # marks a ledger that a caller's clock stamps
    tested: str  # gives a row if the ledger is marked so
    advance: str | None = None  # where a row holds the head: sets its position, hash and time
    check: Callable[[Row], None] | None = None  # refuses a ledger of another format, from the row of `head`


def insert_link(link: Link) -> Statement:
    """Write an entry."""
    insert = f"INSERT INTO entries ({LINK_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own columns
    return insert, msgspec.structs.astuple(link)


def select_hash(position: int) -> Statement:
    """Read the chain hash of an entry, if there is one."""
    return "SELECT hash FROM entries WHERE position = ?", (position,)


def select_changes(after: int, limit: int) -> Statement:
    """Read position, user and chain hash of the entries after a position, erased ones left out."""
    return (
        "SELECT position, user_id, hash FROM entries WHERE position > ? AND user_id IS NOT NULL"
        " ORDER BY position LIMIT ?"
    ), (after, limit)


def select_entries(after: int, limit: int) -> Statement:
    """Read the rows of the links after a position, erased ones left out."""
    select = (
        f"SELECT {LINK_COLUMNS} FROM entries WHERE position > ? AND user_id IS NOT NULL"  # noqa: S608 - our own columns
        " ORDER BY position LIMIT ?"
    )
    return select, (after, limit)


def erase_earlier(user_id: str, tombstone: int) -> Statement:
    """Leave of a user's entries before the tombstone only what the chain needs."""
    blank = (
        "UPDATE entries SET user_id = NULL, version = NULL, at = NULL, event = NULL, provenance = NULL,"
        " notice_digest = NULL, salt = NULL"
        " WHERE user_id = ? AND position < ?"
    )
    return blank, (user_id, tombstone)


def history_query(user_id: str, up_to_version: int = MAX_POSITION) -> Query[list[Link]]:
    """Read the links of a user's entries, oldest first."""
    select = f"SELECT {LINK_COLUMNS} FROM entries WHERE user_id = ? AND version <= ? ORDER BY version"  # noqa: S608 - as above
    return Query([(select, (user_id, up_to_version))], links_from)


def history_page_query(user_id: str, after_version: int) -> Query[list[Link]]:
    """Read the links of a user's next entries after a version, for `cut_page`."""
    limit = history.MAX_HISTORY_PAGE + 1
    select = f"SELECT {LINK_COLUMNS} FROM entries WHERE user_id = ? AND version > ? ORDER BY version LIMIT ?"  # noqa: S608
    return Query([(select, (user_id, after_version, limit))], links_from)


def links_after(position: int, limit: int) -> Statement:
    """Read the rows of the next links after a position."""
    select = f"SELECT {LINK_COLUMNS} FROM entries WHERE position > ? ORDER BY position LIMIT ?"  # noqa: S608 - as above
    return select, (position, limit)


def links_from(rows: Iterable[Row]) -> list[Link]:
    """Make links of rows of `LINK_COLUMNS`."""
    return [Link(*row) for row in rows]


def entries_of(links: Iterable[Link]) -> list[LedgerEntry]:
    """Decode the entries that links hold."""
    return [link.entry() for link in links]


def records_from(rows: Sequence[Row]) -> dict[str, ConsentRecord]:
    """
    Make records, by their users, from a row of user ids, one a line, and of records, separated by commas. In this form
    a database gathers a thousand without a step of Python for each.

    Raises:
        TooLarge: the statement left the records out.

        StoreUnusable: a record stands under another user's id.
    """
    if not rows:
        return {}
    ((user_ids, joined),) = rows
    if joined is None:
        raise TooLarge("the records are too large together: ask for fewer users")
    records = wire.decode_records(b"[%b]" % joined)
    if user_ids.split("\n") != [record.user_id for record in records]:
        raise StoreUnusable("the database is damaged: a record stands under another user's id")
    return {record.user_id: record for record in records}


def cursor_of(epoch: str, position: int, chain_hash: object) -> Cursor:
    """Make the cursor of an entry; `wire.Malformed` if its hash is not bytes."""
    if not isinstance(chain_hash, bytes):
        raise wire.Malformed("entry has no hash")
    return Cursor(epoch, position, chain_hash.hex())


def cursor_at(epoch: str, position: int, rows: Sequence[Row]) -> Cursor | None:
    """Make the cursor of this history at *position*, from the rows of `select_hash`; None past the end."""
    if position == 0:
        return Cursor(epoch, 0, BEFORE_FIRST)
    return cursor_of(epoch, position, rows[0][0]) if rows else None


def no_ledger(error: wire.Malformed) -> StoreUnusable:
    """Make the error for rows that are not a ledger's."""
    return StoreUnusable(f"the database holds what is no ledger: {error}")


@contextmanager
def rows_translated() -> Iterator[None]:
    """Raise `StoreUnusable` for malformed rows that are decoded once the connection is free again."""
    try:
        yield
    except wire.Malformed as error:
        raise no_ledger(error) from error
