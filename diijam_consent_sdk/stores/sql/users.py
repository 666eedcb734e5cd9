"""All users of a ledger, a page at a time: for work that concerns everybody."""

from __future__ import annotations

from collections.abc import Iterator

from .statements import Query
from .store import SqlStore

PAGE = 1_000
# Of the entries, as nothing else is a proof: a record may be missing from a ledger that is broken.
USERS_AFTER = "SELECT DISTINCT user_id FROM entries WHERE user_id > ? ORDER BY user_id LIMIT ?"
COUNT = "SELECT count(DISTINCT user_id) FROM entries"


def pages_of_users(store: SqlStore) -> Iterator[list[str]]:
    """Yield the ids of all users with entries, in order, in pages. Errors as for `Store.load`."""
    after = ""
    while page := store._read(Query([(USERS_AFTER, (after, PAGE))], lambda rows: [str(row[0]) for row in rows])):
        yield page
        after = page[-1]


def count_users(store: SqlStore) -> int:
    """Count the users with entries."""
    return store._read(Query([(COUNT, ())], lambda rows: int(rows[0][0])))
