"""Registered holders as rows of a SQL database, and the erasures that one of them has yet to confirm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import attrs

from ...due import erasure_due_at, owed_erasure
from ...errors import InvalidEvent
from ...holders import MAX_HOLDERS, HolderRegistry, RegisteredHolder
from ...identifiers import identifier, optional_identifier
from ...record import ConsentRecord
from .. import wire
from ..answers import MAX_LOAD_BYTES, MAX_POSITION, ErasurePlace, OwedErasures
from ..checks import checked_limit, checked_place
from .dialect import records_from
from .hash_chain import time_from
from .operations import Operations
from .records import NO_DUE_TIME, due_in_order
from .statements import CommitBatch, Query, Row, Statement, Steps, Transaction

COLUMNS = "holder, registered_at, writer"
ALL_HOLDERS: Statement = (f"SELECT {COLUMNS} FROM holders ORDER BY holder", ())  # noqa: S608 - our own columns
FIRST = (-MAX_POSITION, "")  # before all erasures


def insert_holder(row: Row) -> Statement:
    """Write a row of `COLUMNS`."""
    return f"INSERT INTO holders ({COLUMNS}) VALUES (?, ?, ?)", tuple(row)  # noqa: S608 - our own columns


def holder_from(row: Row) -> RegisteredHolder:
    """Read a row of `COLUMNS`; `wire.Malformed` if it holds no holder."""
    holder, registered_at, writer = row
    try:
        name, by = identifier(holder), optional_identifier(writer)
    except (TypeError, ValueError) as error:
        raise wire.Malformed(f"a holder: {error}") from None
    return RegisteredHolder(name, time_from(registered_at), by)


def holders_from(rows: Iterable[Row]) -> list[RegisteredHolder]:
    """Read the rows of `ALL_HOLDERS`."""
    return list(map(holder_from, rows))


@attrs.frozen
class HolderOperations:
    """The reads and writes of the holders, beside the ledger's other operations."""

    operations: Operations

    def register(self, holder: str, by: str | None) -> Transaction[RegisteredHolder]:
        """See `Holders.register_holder`. A holder that is registered already is found, so a repeat is safe."""
        steps = partial(self._register, identifier(holder), optional_identifier(by))
        return Transaction(steps, idempotency_key=holder)

    def _register(self, holder: str, by: str | None) -> Steps[RegisteredHolder]:
        head_rows, rows = yield [self.operations.select_head(), ALL_HOLDERS]
        known = {each.holder: each for each in holders_from(rows)}
        if holder in known:
            yield CommitBatch(())  # it ends once the replicas have what an earlier try wrote
            return known[holder]
        if len(known) >= MAX_HOLDERS:
            raise InvalidEvent(f"the ledger has {MAX_HOLDERS:,} holders: retire one first")
        registered = RegisteredHolder(holder, self.operations.read_head(head_rows).now, by)
        row = (holder, registered.registered_at.isoformat(), by)
        yield CommitBatch([insert_holder(row), *self.operations.mark_tested()])
        return registered

    def retire(self, holder: str) -> Transaction[None]:
        """See `Holders.retire_holder`."""
        return Transaction(partial(self._retire, identifier(holder)), idempotency_key=holder)

    def _retire(self, holder: str) -> Steps[None]:
        yield [self.operations.select_head()]  # takes the lock of the one writer, where the first statement does
        yield CommitBatch([("DELETE FROM holders WHERE holder = ?", (holder,))])

    def all(self) -> Query[list[RegisteredHolder]]:
        """See `Holders.holders`."""
        return Query([ALL_HOLDERS], holders_from)

    def erasures(self, holder: str, after: ErasurePlace | None, limit: int) -> Query[OwedErasures | None]:
        """See `Store.erasures`; None if no such holder is registered."""
        holder, limit = identifier(holder), min(checked_limit(limit), MAX_POSITION)

        def parse(head_rows: Sequence[Row], holder_rows: Sequence[Row], rows: Sequence[Row]) -> OwedErasures | None:
            if not holder_rows:
                return None
            now, holders = self.operations.read_head(head_rows).now, HolderRegistry.of(holders_from(holder_rows))
            found = sorted(records_from(rows).values(), key=_order)
            owed = tuple(
                owed_erasure(record, record.erasure, now)
                for record in found
                if record.erasure is not None and holders.owes(holder, record.erasure)
            )
            last = (erasure_due_at(found[-1]), found[-1].user_id) if len(found) == limit else None
            return OwedErasures(now, owed, last)

        select_holder = f"SELECT {COLUMNS} FROM holders WHERE holder = ?"  # noqa: S608 - our own columns
        select_page = self._select_page(after, limit)
        return Query([self.operations.select_head(), (select_holder, (holder,)), select_page], parse)

    def _select_page(self, after: ErasurePlace | None, limit: int) -> Statement:
        """
        Read the next users. Closed accounts may be many, and come last: from the first of them on they are read in the
        order of the index, so that a page costs what it returns.
        """
        dialect, (due_at, user_id) = self.operations.dialect, FIRST if after is None else _in_order(after)
        max_bytes = MAX_LOAD_BYTES if limit > 1 else MAX_POSITION
        if due_at == NO_DUE_TIME:
            return dialect.erasing_closed, (max_bytes, user_id, limit)
        return dialect.erasing, (max_bytes, due_at, user_id, limit)


def _in_order(after: ErasurePlace) -> tuple[int, str]:
    due_at, user_id = checked_place(after)
    return due_in_order(due_at), user_id


def _order(record: ConsentRecord) -> tuple[int, str]:
    return due_in_order(erasure_due_at(record)), record.user_id
