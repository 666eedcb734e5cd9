"""Verifying a whole ledger in a SQL database: its chain, and each record against the entries that made it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from ...errors import LedgerBroken
from ...record import fold_all, unopened
from ..answers import Cursor
from .dialect import LINK_COLUMNS, entries_of, history_query
from .hash_chain import Link, Verifier
from .notices import recomputed_digests
from .operations import Head
from .records import COLUMNS, RecordRow, record_row
from .statements import Query, Row

HASH = re.compile("[0-9a-f]{64}")
ALL_LINKS = f"SELECT {LINK_COLUMNS} FROM entries ORDER BY position"  # noqa: S608 - our own columns
ALL_RECORDS = f"SELECT {COLUMNS} FROM records"  # noqa: S608 - as above


def verify(
    links: Iterable[Row],
    records: Callable[[], Iterable[Row]],
    refold: Callable[[str], Refolded],
    head: Callable[[], Head],
    *,
    notices: Iterable[Row],
    unreadable: type[Exception],
    since: str | None = None,
) -> Cursor:
    """
    Re-compute a whole chain, every record from its entries, and the digest of every registered notice.

    Args:
        links: The rows of `ALL_LINKS`.

        records: Gives the rows of `ALL_RECORDS`.

        refold: What a user's entries make.

        head: Where the ledger claims to end.

        notices: The rows of `ALL_NOTICES`.

        unreadable: What the database raises for an entry that it cannot read.

        since: A head that was kept, which the chain has to continue.

    Returns:
        The head.

    Raises:
        ValueError: *since* is no head.

        HeadNotContinued: the chain does not lead through *since*.

        LedgerBroken: names the first entry that is missing, altered, unreadable or out of order; the last entry if all
            fit but a record is not what its entries make, or a registered notice not what its digest says; the user's
            last entry if a standing is not what its record makes.
    """
    kept_head, digests = None if since is None else parse_head(since), recomputed_digests(notices)
    verifier = _verified_chain(links, unreadable, Verifier(kept_head, digests))
    claimed = head()
    end = claimed.cursor
    if (verifier.position, verifier.hash.hex()) != (end.position, end.hash):
        raise LedgerBroken(verifier.position + 1, f"the ledger claims to end at {end.position}")
    if claimed.last != verifier.at:
        raise LedgerBroken(verifier.position, "the ledger claims another time of its last entry")
    users = sum(1 for _ in _verified_records(records(), refold, verifier.position))
    if users != verifier.users:
        raise LedgerBroken(verifier.position, f"{verifier.users} users have entries, {users} have a record")
    if None in digests.values():
        raise LedgerBroken(verifier.position, "a registered notice is not what its digest says")
    return end


def parse_head(token: str) -> Cursor:
    """
    Read a head that was kept.

    Raises:
        ValueError, TypeError: *token* is not, whole, what `client.head()` and `diijam-consent head` give.
    """
    try:
        head = Cursor.parse(token)
    except ValueError:
        head = None
    if head is None or HASH.fullmatch(head.hash) is None:
        raise ValueError("malformed head: pass the line that diijam-consent head printed, whole, not a file's name")
    return head


def _verified_chain(links: Iterable[Row], unreadable: type[Exception], verifier: Verifier) -> Verifier:
    try:
        for row in links:
            verifier.add(Link(*row))
    except unreadable as error:
        raise LedgerBroken(verifier.position + 1, "it cannot be read") from error
    verifier.finish()
    return verifier


def _verified_records(records: Iterable[Row], refold: Callable[[str], Refolded], position: int) -> Iterator[RecordRow]:
    """Yield each row of a record, once its user's entries make the very values that are kept."""
    for values in records:
        kept = RecordRow(*values)
        try:
            found = refold(kept.user_id)
        except LookupError:  # entries that no record accepts, under hashes that fit
            found = None
        if found is None or _of_record(found.row) != _of_record(kept):
            raise LedgerBroken(position, "a record is not what its entries make")
        # One of another format is used by no reader of this version.
        if kept.standing_format == found.row.standing_format and kept != found.row:
            raise LedgerBroken(found.position, "a standing is not what its record makes")
        yield kept


def _of_record(row: RecordRow) -> tuple[bytes, int, int | None]:
    return row.record, row.version, row.erasure_due_at


@attrs.frozen
class Refolded:
    """What a user's entries make: the row of the record, and the position of the last entry."""

    row: RecordRow
    position: int


def refold_query(user_id: str) -> Query[Refolded]:
    """Read a user's entries, and make what they make; `LookupError` if no record accepts them."""
    links = history_query(user_id)

    def parse(rows: Sequence[Row]) -> Refolded:
        entries = entries_of(links.parse(rows))
        if not entries:
            raise LookupError
        record = fold_all(unopened(user_id), entries)
        return Refolded(record_row(record, entries[-1].at), entries[-1].position)

    return Query(links.statements, parse)
