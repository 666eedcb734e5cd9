"""
Reads one user's stored standing by one statement. Most loads of a service are of one user, and a transaction around
statements for any number of users took three times as long.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...standing import EVERY_ASK
from .. import wire
from ..answers import StandingRow, Standings
from ..sql.dialect import IS_USABLE
from ..sql.operations import Operations
from ..sql.standings import in_order, is_usable
from ..sql.statements import Query, Row
from .schema import check_version

MAX_BYTES = 4096  # of the standing; a larger one is rare, and takes as long as others' reads together
# The id is read from the row, not from the index that led to it, as in `dialect.FOUND`.
ONE_STANDING = f"""
SELECT value, position, hash, at, (SELECT user_version FROM pragma_user_version), user_id, version, made_at,
    CASE WHEN {IS_USABLE} made_at AND length(standing) <= {MAX_BYTES} THEN next_change_at END,
    CASE WHEN length(standing) <= {MAX_BYTES} THEN standing END
FROM meta LEFT JOIN (SELECT position, hash, at FROM entries WHERE position = (SELECT max(position) FROM entries))
LEFT JOIN (SELECT rowid AS place FROM records WHERE user_id = ?) LEFT JOIN records ON records.rowid = place
WHERE name = 'epoch'
"""  # noqa: S608 - our own columns


def one_standing(operations: Operations, user_id: str) -> Query[Standings | None]:
    """
    Read the standing of one user, whose id was checked.

    Args:
        operations: The ledger's operations, for its head and its time.

        user_id: The user's id.

    Returns:
        A query for the standing. It gives None if none is stored that may be used now.
    """

    def parse(rows: Sequence[Row]) -> Standings | None:
        head = operations.read_head(rows)
        version, found, record_version, made_at, ends_at, standing = rows[0][4:]
        check_version(version)
        if found == user_id and (ends_at is None or not is_usable(made_at, ends_at, head.now)):
            return None
        if found is not None and not isinstance(record_version, int):
            raise wire.Malformed("a version is no whole number")
        stored = [] if found is None else [StandingRow(found, record_version, standing)]
        return Standings(head.cursor, head.now, EVERY_ASK, tuple(in_order([user_id], stored)))

    return Query([(ONE_STANDING, (user_id,))], parse)
