"""Copying a ledger from one SQL database to another, page by page and with its proofs, for teams that outgrow one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from ...errors import LedgerBroken, StoreUnusable
from ...events import Erased, LedgerEntry
from ...record import ConsentRecord, fold, unopened
from ..answers import Cursor
from ..registry import MAX_NOTICES_PAGE
from .dialect import insert_link, links_after, links_from, records_from, select_hash
from .hash_chain import Link, check_link
from .holders import ALL_HOLDERS, insert_holder
from .notices import insert_notice, select_notice, select_notices
from .operations import Operations, erase
from .statements import CommitBatch, Query, Row, Statement, Steps, Transaction
from .store import SqlStore

PAGE = 500  # links or kept appends in one transaction
Place = tuple[str, bytes, bytes]  # of a kept append: its user and digests
FIRST: Place = ("", b"", b"")  # before the first of the kept appends


def copy(source: SqlStore, target: SqlStore, on_page: Callable[[int, int], None] = lambda *_: None) -> Cursor:
    """
    Copy to *target* what it lacks of *source*: entries with their proofs at their positions, records, what is kept of
    idempotency keys, and the registered notices and holders with their times and writers. Run again, the copy goes on
    where it ended. The target keeps another epoch.

    Args:
        source: Where the ledger is. What is written to it meanwhile is copied too, as far as it is seen.

        target: Where the ledger goes; it is empty, or holds an earlier part of the same ledger.

        on_page: Called now and then with how many entries are there, and how many new users came with them.

    Returns:
        The head of the target.

    Raises:
        LedgerBroken: the source's chain does not hold; what was copied does.

        StoreUnusable: the target holds something else, or is written to.

        StoreError: one of the stores failed.
    """
    here = _head(target)
    if here.position and source._read(_hash_query(here.position)) != here.hash:
        raise StoreUnusable("the ledger to copy to holds another history: copy to an empty one")
    _copy_mark(source, target)
    _copy_notices(source, target)
    _copy_holders(source, target)
    users = 0
    while here.position < _head(source).position:
        links = _read_page(source, here.position)
        entries = _checked(links, here)
        is_erasure = any(entry is not None and isinstance(entry.event, Erased) for entry in entries)
        adopt = partial(_adopt, target._operations, here, links, entries)
        here = target._write(Transaction(adopt, is_erasure=is_erasure))
        users += sum(link.version == 1 for link in links)
        on_page(here.position, users)
    _copy_appends(source, target, here.position)
    _copy_notices(source, target)  # what was registered meanwhile
    _copy_holders(source, target)
    return here


def _head(store: SqlStore) -> Cursor:
    return store._read(store._operations.head()).cursor


def _read_page(source: SqlStore, after: int) -> list[Link]:
    """Read the next links, up to one that was not erased: it makes the head, and the head has a time."""
    links: list[Link] = []
    while not links or links[-1].event is None:
        last = links[-1].position if links else after
        more = source._read(Query([links_after(last, PAGE)], links_from))
        if not more:
            raise LedgerBroken(last + 1, "the entry is missing")
        links += more
    return links


def _checked(links: Iterable[Link], head: Cursor) -> list[LedgerEntry | None]:
    """Decode links that follow from the head; None for an erased one."""
    entries, last = [], bytes.fromhex(head.hash)
    for position, link in enumerate(links, start=head.position):
        entries.append(check_link(link, position, last))
        last = link.hash
    return entries


def _copy_mark(source: SqlStore, target: SqlStore) -> None:
    """Mark the target if a caller's clock stamped the source."""
    if source._read(source._operations.is_tested()):
        target._write(Transaction(partial(_adopt_mark, target._operations)))


def _copy_notices(source: SqlStore, target: SqlStore) -> None:
    """Copy the registered notices as they are, and that notices are required."""
    after = ""
    while rows := source._read(_notices_query(after)):
        target._write(Transaction(partial(_adopt_notices, target._operations, rows)))
        after = rows[-1][0]
    if source._read(Query([(source._operations.dialect.notices_required, ())], bool)):
        target.require_notices()


def _copy_holders(source: SqlStore, target: SqlStore) -> None:
    """Make the target's holders those of the source: the retired ones go."""
    rows: list[Row] = source._read(Query([ALL_HOLDERS], list))
    target._write(Transaction(partial(_adopt_holders, target._operations, rows)))


def _copy_appends(source: SqlStore, target: SqlStore, up_to: int) -> None:
    after = FIRST
    while rows := source._read(_appends_query(after, up_to)):
        target._write(Transaction(partial(_adopt_appends, target._operations, rows)))
        after = (rows[-1][0], rows[-1][1], rows[-1][2])


def _hash_query(position: int) -> Query[str]:
    """Read the chain hash at a position, in hex; empty if the ledger ends before."""
    return Query([select_hash(position)], lambda rows: bytes(rows[0][0]).hex() if rows else "")


def _notices_query(after: str) -> Query[list[Row]]:
    return Query([select_notices(after, MAX_NOTICES_PAGE)], list)


def _appends_query(after: Place, up_to: int) -> Query[list[Any]]:
    select = (
        "SELECT user_id, key, fingerprint, position FROM appends"
        " WHERE (user_id, key, fingerprint) > (?, ?, ?) AND position <= ? ORDER BY user_id, key, fingerprint LIMIT ?"
    )
    return Query([(select, (*after, up_to, PAGE))], list)


def _adopt_mark(operations: Operations) -> Steps[None]:
    yield [operations.select_head()]  # takes the lock of the one writer, where the first statement does
    yield CommitBatch([(operations.dialect.mark_tested, ())])


def _adopt(
    operations: Operations, head: Cursor, links: Sequence[Link], entries: Sequence[LedgerEntry | None]
) -> Steps[Cursor]:
    """Write links, which follow from the head, as they are, and the records that their entries make."""
    users = sorted({link.user_id for link in links if link.user_id is not None})
    head_rows, record_rows = yield [operations.select_head(), operations.select_records(users)]
    if operations.read_head(head_rows).cursor != head:
        raise StoreUnusable("somebody else writes to the ledger to copy to: stop that, then copy again")
    records, last_at = records_from(record_rows), dict[str, datetime]()
    statements: list[Statement] = []
    for link, entry in zip(links, entries, strict=True):
        statements.append(insert_link(link))
        if entry is None:
            continue
        records[entry.user_id] = _folded(records.get(entry.user_id) or unopened(entry.user_id), entry)
        last_at[entry.user_id] = entry.at
        if isinstance(entry.event, Erased):
            statements += erase(entry.user_id, link.position)
    statements += [operations.put_record(records[user_id], last_at[user_id]) for user_id in users]
    is_erasure = any(entry is not None and isinstance(entry.event, Erased) for entry in entries)
    yield CommitBatch(statements + operations.advance_head(links[-1]), is_erasure=is_erasure)
    return Cursor(head.epoch, links[-1].position, links[-1].hash.hex())


def _folded(record: ConsentRecord, entry: LedgerEntry) -> ConsentRecord:
    if entry.version != record.version + 1 and not isinstance(entry.event, Erased):
        raise LedgerBroken(entry.position, "an earlier entry of its user is missing")
    try:
        return fold(record, entry)
    except LookupError:
        raise LedgerBroken(entry.position, "no record accepts it") from None


def _adopt_notices(operations: Operations, rows: Sequence[Row]) -> Steps[None]:
    """Write registered notices that the target lacks; `StoreUnusable` if it has another under the id."""
    _, *known = yield [operations.select_head(), *(select_notice(row[0]) for row in rows)]
    lacking = []
    for row, found in zip(rows, known, strict=True):
        if not found:
            lacking.append(insert_notice(row))
        elif tuple(found[0]) != tuple(row):
            raise StoreUnusable("the ledger to copy to has another registration of a notice: copy to an empty one")
    yield CommitBatch(lacking)


def _adopt_holders(operations: Operations, rows: Sequence[Row]) -> Steps[None]:
    yield [operations.select_head()]  # as below
    yield CommitBatch([("DELETE FROM holders", ()), *map(insert_holder, rows)])


def _adopt_appends(operations: Operations, rows: Sequence[Row]) -> Steps[None]:
    """Write what is kept of idempotency keys, where the target has not kept it yet."""
    yield [operations.select_head()]  # takes the lock of the one writer, where the first statement does
    insert = "INSERT INTO appends VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
    yield CommitBatch([(insert, tuple(row)) for row in rows])
