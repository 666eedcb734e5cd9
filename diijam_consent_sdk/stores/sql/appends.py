"""
Appends that are written together: several in one transaction, each judged as if it came after those before it.

Their rows are read and written a table at a time, so that a group costs a database little more than one append.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import attrs

from ...errors import InvalidEvent, KeyReused, StoreUnavailable, VersionConflict
from ...events import is_no
from ...holders import ERASING, NO_HOLDERS, HolderRegistry
from ...notices import UNREGISTERED, NoticeRegistry, named_notices
from ...record import ConsentRecord, unopened
from ..answers import Appended
from .append_plans import AppendOutcome, PlannedAppend
from .dialect import cursor_of, insert_link, records_from
from .hash_chain import Link, fresh_salts, stamp
from .holders import ALL_HOLDERS, holders_from
from .notices import registry_from
from .operations import Head, Operations, erase
from .repeats import (
    KnownAppends,
    PastAppend,
    Repeat,
    insert_append,
    owner_version,
    select_appends,
)
from .statements import CommitBatch, Query, Row, Statement, Steps, Transaction, UnlockedBatch
from .store_clock import CLOCK_AHEAD


@attrs.frozen
class Appends:
    """The writes of appends, beside the ledger's other operations."""

    operations: Operations

    def write(self, plans: Sequence[PlannedAppend]) -> Transaction[list[AppendOutcome]]:
        """
        Write appends in one transaction. The outcomes are in the order of *plans*; a refused one leaves the others
        alone.

        A repeat is found before the transaction, or within it if it came meanwhile. Answering it takes the user's
        history, so that is left to `repeated`.
        """
        keys = [plan.idempotency_key for plan in plans]
        return Transaction(
            partial(self._write, plans), is_erasure=any(plan.is_erasure for plan in plans),
            idempotency_key=None if None in keys else keys[0],
        )  # fmt: skip

    def _write(self, plans: Sequence[PlannedAppend]) -> Steps[list[AppendOutcome]]:
        outcomes: dict[int, AppendOutcome] = {}
        if select_known := select_appends(plan.key for plan in plans):
            known = KnownAppends((yield UnlockedBatch(select_known)))
            erased = {plan.user_id for plan in plans if plan.is_erasure}  # which deletes what is known
            for number, plan in enumerate(plans):
                if plan.user_id not in erased and (found := _known_outcome(known, plan)) is not None:
                    outcomes[number] = found
        left = [plan for number, plan in enumerate(plans) if number not in outcomes]
        written = iter((yield from self._write_new(left)) if left else ())
        return [outcomes[number] if number in outcomes else next(written) for number in range(len(plans))]

    def _write_new(self, plans: Sequence[PlannedAppend]) -> Steps[list[AppendOutcome]]:
        users = list(dict.fromkeys(plan.user_id for plan in plans))
        select_known = select_appends(plan.key for plan in plans)
        named = sorted({notice for plan in plans for notice in named_notices(plan.events)})
        is_erasing = any(isinstance(event, ERASING) for plan in plans for event in plan.events)
        select_holders = [ALL_HOLDERS] if is_erasing else []
        head_rows, record_rows, *rows = yield [
            self.operations.select_head(),
            self.operations.select_bounded_records(users),
            *select_known,
            *select_holders,
            *self._select_notices(named),
        ]
        known, rows = KnownAppends(rows[: len(select_known)]), rows[len(select_known) :]
        holder_rows, notice_rows = rows[: len(select_holders)], rows[len(select_holders) :]
        head = self.operations.read_head(head_rows)
        judge = AppendJudge(
            head, records_from(record_rows), known, fresh_salts(sum(len(plan.events) for plan in plans)),
            notices=registry_from(*notice_rows) if notice_rows else UNREGISTERED,
            holders=HolderRegistry.of(holders_from(holder_rows[0])) if holder_rows else NO_HOLDERS,
            refuses_yes=self.operations.clock_trouble() is not None,
        )  # fmt: skip
        outcomes = [judge.judge(plan) for plan in plans]
        if judge.links:
            yield CommitBatch(self._insert(judge), is_erasure=bool(judge.erased))
        return outcomes

    def _select_notices(self, named: list[str]) -> list[Statement]:
        """Read the rows of `registry_from`; nothing for events that name no notice, as no no does."""
        if not named:
            return []
        dialect = self.operations.dialect
        return [(dialect.named_notices, (dialect.asked(named),)), (dialect.notices_required, ())]

    def _insert(self, judge: AppendJudge) -> list[Statement]:
        return [
            *map(insert_link, judge.links),
            *(self.operations.put_record(record, judge.now) for record in judge.written.values()),
            *self.operations.advance_head(judge.links[-1]),
            *judge.keys,
            *self.operations.mark_tested(),
            *(statement for user_id, tombstone in judge.erased.items() for statement in erase(user_id, tombstone)),
        ]

    def repeated(self, repeat: Repeat) -> Query[Appended | PastAppend]:
        """Answer an append that is repeated: whole if the record has not changed since."""

        def parse(
            head_rows: Sequence[Row], entry_rows: Sequence[Row], record_rows: Sequence[Row]
        ) -> Appended | PastAppend:
            version = owner_version(repeat, entry_rows)
            record = records_from(record_rows).get(repeat.user_id)
            epoch = self.operations.read_head(head_rows).cursor.epoch
            cursor = cursor_of(epoch, repeat.position, entry_rows[0][0])
            if record is not None and record.version == version:
                return Appended(cursor, version, is_repeat=True, record=record)
            return PastAppend(cursor, repeat.user_id, version)

        select_entry = "SELECT hash, version, user_id, at FROM entries WHERE position = ?"
        records = self.operations.select_records([repeat.user_id])
        return Query([self.operations.select_head(), (select_entry, (repeat.position,)), records], parse)


class AppendJudge:
    """
    Judges appends in order, each on what those before it made of the ledger.

    Attributes:
        now: When all of them happen.

        links: What the accepted ones add to the chain.

        written: The records that they make, by user.

        keys: What keeps their idempotency keys.

        erased: The position of the tombstone of each user whom they erase.
    """

    def __init__(
        self,
        head: Head,
        records: dict[str, ConsentRecord],
        known: KnownAppends,
        salts: Iterator[bytes],
        *,
        notices: NoticeRegistry = UNREGISTERED,
        holders: HolderRegistry = NO_HOLDERS,
        refuses_yes: bool = False,
    ) -> None:
        # Never before a holder's registration, even if the clock was set back: a holder owes what begins after that.
        self._cursor, self.now = head.cursor, max([head.now, *holders.registered.values()])
        self._records, self._known, self._notices, self._holders = records, known, notices, holders
        self._salts, self._refuses_yes = salts, refuses_yes
        self.links: list[Link] = []
        self.written: dict[str, ConsentRecord] = {}
        self.keys: list[Statement] = []
        self.erased: dict[str, int] = {}

    def judge(self, plan: PlannedAppend) -> AppendOutcome:
        """Accept an append, recognise it as a repeat, or refuse it, which leaves everything as it was."""
        known = _known_outcome(self._known, plan)
        if known is not None:
            return known
        if self._refuses_yes and not any(map(is_no, plan.events)):
            return StoreUnavailable(CLOCK_AHEAD)
        record = self._records.get(plan.user_id) or unopened(plan.user_id)
        if plan.expected_version is not None and record.version != plan.expected_version:
            return VersionConflict(plan.expected_version, record.version)
        try:
            links, record = stamp(
                record, plan.events, self.now, self._cursor,
                notices=self._notices, holders=self._holders, provenance=plan.provenance, salts=self._salts,
            )  # fmt: skip
        except InvalidEvent as refused:
            return refused
        self._add(plan, links, record)
        return Appended(self._cursor, record.version, is_repeat=False, record=record)

    def _add(self, plan: PlannedAppend, links: list[Link], record: ConsentRecord) -> None:
        last = links[-1]
        self._cursor = cursor_of(self._cursor.epoch, last.position, last.hash)
        self._records[plan.user_id] = self.written[plan.user_id] = record
        self.links += links
        if plan.is_erasure:
            self.erased[plan.user_id] = last.position
            self._known.forget(plan.user_id)
        if plan.key is not None:
            self.keys.append(insert_append(plan.key, last.position))
            self._known.add(plan.key, last.position)


def _known_outcome(known: KnownAppends, plan: PlannedAppend) -> Repeat | KeyReused | None:
    """Find the outcome of an append whose key was used before; None if it is to be written."""
    if plan.key is None:
        return None
    try:
        return known.repeat(plan.key, plan.events)
    except KeyReused as refused:
        return refused
