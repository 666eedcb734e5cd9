"""A ledger in a SQL database as a whole: whether it proves itself, and its way from one home to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from ...errors import LedgerBroken, StoreUnusable
from ...events import Erased, LedgerEntry
from ...record import ConsentRecord, fold, unopened
from .. import wire
from ..protocol import Cursor
from .hash_chain import Link, Verifier, check_link
from .operations import LINK, Final, Ledger, Row, Sql, Statement, erasing, hash_at, inserting, records_from

T = TypeVar("T")
PAGE = 500  # links or kept answers in one transaction
FIRST: tuple[str, bytes] = ("", b"")  # before the first of the kept answers


class Home(Protocol):
    """A store of this package whose database is at hand."""

    ledger: Ledger

    def read(self, steps: Callable[[], Sql[T]]) -> T:
        """Run an operation that only reads."""

    def write(self, steps: Callable[[], Sql[T]], *, has_erased: bool) -> T:
        """Run an operation that writes; whether it erases."""


def verify(
    links: Iterable[Row],
    records: Callable[[], Iterable[Row]],
    folded_anew: Callable[[str], ConsentRecord],
    head: Callable[[], Cursor],
    unreadable: type[Exception],
) -> Cursor:
    """
    Re-compute a whole chain, and every record from its entries.

    Args:
        links: The rows of all entries, in order of position.

        records: Gives user and record of each.

        folded_anew: The record that a user's entries make.

        head: Where the ledger says that it ends.

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
        raise LedgerBroken(verifier.position + 1, f"the ledger says that it ends at {end.position}")
    users = 0
    for user_id, data in records():
        users += 1
        try:
            is_made = wire.encode(folded_anew(user_id)) == data
        except LookupError:  # entries that no record accepts, under hashes that fit
            is_made = False
        if not is_made:
            raise LedgerBroken(verifier.position, "a record is not what its entries make")
    if users != verifier.users:
        raise LedgerBroken(verifier.position, f"{verifier.users} users have entries, {users} have a record")
    return end


def copy(source: Home, target: Home, on_page: Callable[[int, int], None] = lambda *_: None) -> Cursor:
    """
    Copy to *target* what it lacks of *source*: entries with their proofs at their positions, records, and what is kept
    of idempotency keys. Run again, it goes on where it ended. The target keeps an epoch of its own.

    Args:
        source: Where the ledger is. What is written to it meanwhile is copied too, as far as it is seen.

        target: Where it goes: empty, or an earlier part of the same ledger.

        on_page: Told now and then how many entries are there, and how many new users came with them.

    Returns:
        The head of the target.

    Raises:
        LedgerBroken: the source's chain does not hold; what was copied does.

        StoreUnusable: the target holds something else, or is written to.

        StoreError: one of the stores failed.
    """
    here = target.read(target.ledger.head).cursor
    if here.position and source.read(partial(_hash_at, here.position)) != here.hash:
        raise StoreUnusable("the ledger to copy to holds another history: copy to an empty one")
    _copy_mark(source, target)
    users = 0
    while here.position < source.read(source.ledger.head).cursor.position:
        links = _page(source, here.position)
        entries = _checked(links, here)
        has_erased = any(entry is not None and isinstance(entry.event, Erased) for entry in entries)
        here = target.write(partial(_adopt, target.ledger, here, links, entries), has_erased=has_erased)
        users += sum(link.version == 1 for link in links)
        on_page(here.position, users)
    _copy_kept(source, target, here.position)
    return here


def _page(source: Home, after: int) -> list[Link]:
    """The next links. The last is none that was erased: it makes the head, and the head has a time."""
    links: list[Link] = []
    while not links or links[-1].event is None:
        last = links[-1].position if links else after
        more = source.read(partial(_links, last))
        if not more:
            raise LedgerBroken(last + 1, "the entry is missing")
        links += more
    return links


def _checked(links: Iterable[Link], head: Cursor) -> list[LedgerEntry | None]:
    """The entries of links that follow from the head; None for an erased one."""
    entries, last = [], bytes.fromhex(head.hash)
    for position, link in enumerate(links, start=head.position):
        entries.append(check_link(link, position, last))
        last = link.hash
    return entries


def _copy_mark(source: Home, target: Home) -> None:
    """A ledger whose times are a caller's stays marked, where the target has a place for it."""
    tested, mark = source.ledger.dialect.tested, target.ledger.dialect.mark_tested
    if tested is not None and mark is not None and source.read(partial(_rows, tested)):
        target.write(partial(_marked, mark), has_erased=False)


def _rows(sql: str) -> Sql[list[Row]]:
    (rows,) = yield [(sql, ())]
    return rows


def _marked(mark: str) -> Sql[None]:
    yield Final([(mark, ())])


def _copy_kept(source: Home, target: Home, up_to: int) -> None:
    after: tuple[str, bytes] = FIRST
    while rows := source.read(partial(_kept, after, up_to)):
        target.write(partial(_adopt_kept, target.ledger, rows), has_erased=False)
        after = (rows[-1][0], rows[-1][1])


def _hash_at(position: int) -> Sql[str]:
    """The chain hash there, in hex; nothing if the ledger ends before."""
    (rows,) = yield [hash_at(position)]
    return bytes(rows[0][0]).hex() if rows else ""


def _links(after: int) -> Sql[list[Link]]:
    select = f"SELECT {LINK} FROM entries WHERE position > ? ORDER BY position LIMIT ?"  # noqa: S608 - our own columns
    (rows,) = yield [(select, (after, PAGE))]
    return [Link(*row) for row in rows]


def _kept(after: tuple[str, bytes], up_to: int) -> Sql[list[Row]]:
    select = (
        "SELECT user_id, key, salt, fingerprint, position FROM appends"
        " WHERE (user_id, key) > (?, ?) AND position <= ? ORDER BY user_id, key LIMIT ?"
    )
    (rows,) = yield [(select, (*after, up_to, PAGE))]
    return rows


def _adopt(ledger: Ledger, head: Cursor, links: Sequence[Link], entries: Sequence[LedgerEntry | None]) -> Sql[Cursor]:
    """Write links, which follow from the head, as they are, and the records that their entries make."""
    users = sorted({link.user_id for link in links if link.user_id is not None})
    head_rows, record_rows = yield [ledger.head_statement(), ledger.records_statement(users)]
    if ledger.read_head(head_rows).cursor != head:
        raise StoreUnusable("somebody else writes to the ledger to copy to: stop that, then copy again")
    records = records_from(record_rows)
    statements: list[Statement] = []
    for link, entry in zip(links, entries, strict=True):
        statements.append(inserting(link))
        if entry is None:
            continue
        records[entry.user_id] = _folded(records.get(entry.user_id) or unopened(entry.user_id), entry)
        if isinstance(entry.event, Erased):
            statements += erasing(entry.user_id, None, link.position)
    statements += [ledger.record_statement(records[user_id]) for user_id in users]
    yield Final(statements + ledger.advance_statements(links[-1]))
    return Cursor(head.epoch, links[-1].position, links[-1].hash.hex())


def _folded(record: ConsentRecord, entry: LedgerEntry) -> ConsentRecord:
    if entry.version != record.version + 1 and not isinstance(entry.event, Erased):
        raise LedgerBroken(entry.position, "an earlier entry of its user is missing")
    try:
        return fold(record, entry)
    except LookupError:
        raise LedgerBroken(entry.position, "no record accepts it") from None


def _adopt_kept(ledger: Ledger, rows: Sequence[Row]) -> Sql[None]:
    """Write what is kept of idempotency keys, where it is not there yet."""
    yield [ledger.head_statement()]  # takes the lock of the one writer, where the first statement does
    insert = "INSERT INTO appends VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    yield Final([(insert, tuple(row)) for row in rows])
