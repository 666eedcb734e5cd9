"""Verifying a whole ledger in a SQL database: its chain, and each record against the entries that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...errors import LedgerBroken
from ...record import ConsentRecord, fold_all, unopened
from .. import wire
from ..protocol import Cursor
from .dialect import LINK_COLUMNS, entries_of, history_query
from .hash_chain import Link, Verifier
from .statements import Query, Row

ALL_LINKS = f"SELECT {LINK_COLUMNS} FROM entries ORDER BY position"  # noqa: S608 - our own columns
ALL_RECORDS = "SELECT user_id, record FROM records"


def verify(
    links: Iterable[Row],
    records: Callable[[], Iterable[Row]],
    refold: Callable[[str], ConsentRecord],
    head: Callable[[], Cursor],
    unreadable: type[Exception],
) -> Cursor:
    """
    Re-compute a whole chain, and every record from its entries.

    Args:
        links: The rows of `ALL_LINKS`.

        records: Gives the rows of `ALL_RECORDS`.

        refold: The record that a user's entries make.

        head: Where the ledger claims to end.

        unreadable: What the database raises for an entry that it cannot read.

    Returns:
        The head.

    Raises:
        LedgerBroken: names the first entry that is missing, altered, unreadable or out of order; the last entry if all
            fit but a record is not what its entries make.
    """
    verifier = Verifier()
    try:
        for row in links:
            verifier.add(Link(*row))
    except unreadable as error:
        raise LedgerBroken(verifier.position + 1, "it cannot be read") from error
    verifier.finish()
    end = head()
    if (verifier.position, verifier.hash.hex()) != (end.position, end.hash):
        raise LedgerBroken(verifier.position + 1, f"the ledger claims to end at {end.position}")
    users = 0
    for user_id, data in records():
        users += 1
        try:
            is_made = wire.encode(refold(user_id)) == data
        except LookupError:  # entries that no record accepts, under hashes that fit
            is_made = False
        if not is_made:
            raise LedgerBroken(verifier.position, "a record is not what its entries make")
    if users != verifier.users:
        raise LedgerBroken(verifier.position, f"{verifier.users} users have entries, {users} have a record")
    return end


def refold_query(user_id: str) -> Query[ConsentRecord]:
    """Read a user's entries, and make the record that they make."""
    links = history_query(user_id)
    return Query(links.statements, lambda rows: fold_all(unopened(user_id), entries_of(links.parse(rows))))
