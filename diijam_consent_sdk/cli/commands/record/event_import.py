"""
Write the events of a file, those of one batch all or none, and many batches in one transaction.

Each batch has an idempotency key made of its content, so the same file again writes nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import BinaryIO

import attrs

from ....errors import InvalidEvent, TooLarge
from ....events import AccountOpened, LedgerEntry, Provenance
from ....record import ConsentRecord, fold, refusal
from ....stores.answers import Appended, Cursor, Write
from ....stores.protocol import Store
from ....vocabulary import Account
from ...console import print_status, show_progress
from .event_file import Batch, read_batches
from .import_checkpoint import ImportCheckpoint, Progress
from .occurrences import Occurrences

SHOWN_LINES = 20
MAX_TOGETHER = 200  # batches in one transaction, which also delays others that write
MAX_EVENTS_TOGETHER = 1_000


@attrs.define
class Summary:
    """How many lines of an import were written, were there already, or were not written because the policy says so."""

    total: int
    done: Progress
    outdated: int = 0  # lines already there whose customer changed since
    outdated_lines: list[int] = attrs.field(factory=list)  # the first of them

    def lines(self) -> list[str]:
        """Format the result for people."""
        done = self.done
        return [
            f"{'written':<15}{done.new:>9,} lines",
            f"{'already there':<15}{done.known:>9,} lines",
            f"{'left as it is':<15}{done.kept:>9,} lines",
            f"{'refused':<15}{done.refused:>9,} lines",
        ]

    def note(self) -> str:
        """Describe what was done when the import had to stop."""
        done = self.done
        left = self.total - done.new - done.known - done.kept - done.refused
        return (
            f"of {self.total:,} lines {done.new:,} were written, {done.known:,} were already there,"
            f" {done.kept + done.refused:,} were refused, {left:,} are left: run the same command again to finish"
        )

    def warning(self) -> str | None:
        """Warn of customers whose lines were there already and who have changed since; None if nobody has."""
        if not self.outdated:
            return None
        some = ", ".join(map(str, self.outdated_lines)) + (", …" if self.outdated > len(self.outdated_lines) else "")
        return (
            f"note: the customers of {self.outdated:,} batches of lines already there have changed since these were"
            f" written (lines {some}): to count the lines again, run with another --label"
        )


@attrs.frozen
class Keyed:
    """A batch with its idempotency key, and the digest of all lines to its last one."""

    batch: Batch
    key: str
    digest: str


def taken_together(batches: Iterable[Keyed]) -> Iterator[list[Keyed]]:
    """
    Yield the batches that are written in one transaction. Each is of another user, so one that is refused can be
    explained, and tried again, before the user's next.
    """
    together: list[Keyed] = []
    users, events = set[str](), 0
    for each in batches:
        events += len(each.batch.events)
        is_full = len(together) == MAX_TOGETHER or events > MAX_EVENTS_TOGETHER
        if together and (is_full or each.batch.user_id in users):
            yield together
            together, users, events = [], set(), len(each.batch.events)
        together.append(each)
        users.add(each.batch.user_id)
    if together:
        yield together


@attrs.define
class Importer:
    """Appends batches to *store* in the name of *actor*, and counts what became of them. *head* is from before."""

    store: Store
    actor: str
    head: Cursor
    summary: Summary

    def append(self, keyed: Sequence[Keyed]) -> None:
        """Append batches, each of another user, in one transaction, or in several where that would be too large."""
        writes = [
            Write(
                each.batch.user_id, each.batch.events,
                idempotency_key=each.key, provenance=attrs.evolve(each.batch.provenance, by=self.actor),
            )
            for each in keyed
        ]  # fmt: skip
        try:
            results = self.store.append_many(writes)
        except TooLarge:
            if len(keyed) == 1:
                raise
            half = len(keyed) // 2
            self.append(keyed[:half])
            self.append(keyed[half:])
            return
        for each, result in zip(keyed, results, strict=True):
            if isinstance(result, Appended):
                self._count(each.batch, result)
            elif isinstance(result, InvalidEvent):
                self._refuse(each, result)
            else:
                raise result

    def _refuse(self, keyed: Keyed, error: InvalidEvent) -> None:
        """
        Count a batch that was refused. An imported one is tried again event by event, so an account that is open
        already keeps no imported no out.
        """
        batch = keyed.batch
        if batch.provenance.said_at is None or len(batch.events) == 1:
            self._explain(batch, error)
            return
        for number, single in enumerate(batch.singles()):
            self.append([Keyed(single, f"{keyed.key}-{number}", keyed.digest)])

    def _count(self, batch: Batch, appended: Appended) -> None:
        done = self.summary.done
        if appended.cursor.position > self.head.position:
            done.cursor = str(appended.cursor)
            done.new += len(batch.events)
            return
        done.known += len(batch.events)
        if not batch.is_last or batch.provenance.said_at is not None:
            return  # the file goes on about this user, or tells the past: what came later stands anyway
        if self.store.load([batch.user_id]).records[0].version > appended.version:
            self.summary.outdated += 1
            if len(self.summary.outdated_lines) < SHOWN_LINES:
                self.summary.outdated_lines.append(batch.lines[0])

    def _explain(self, batch: Batch, error: InvalidEvent) -> None:
        """Count a batch that was refused, and print the line of the event and the reason."""
        line, reason, is_kept = _find_refused(self.store, batch) or (batch.lines[0], str(error), False)
        if is_kept:
            self.summary.done.kept += len(batch.events)
        else:
            self.summary.done.refused += len(batch.events)
        print_status(f"line {line}: {reason}")


def import_events(
    store: Store, stream: BinaryIO, *, label: str, actor: str, total: int, checkpoint: ImportCheckpoint
) -> Summary:
    """
    Append the events of *stream*, which has *total* of them, from where *checkpoint* says. *actor* writes them.

    Raises:
        StoreError: the store failed. A note tells how far the import came, as does that of `KeyboardInterrupt`.
    """
    done = checkpoint.progress
    summary = Summary(total, done)
    written_before = done.line
    try:
        importer = Importer(store, actor, store.load([]).cursor, summary)
        done.cursor = str(importer.head)
        with show_progress("recording", total, "lines") as update, Occurrences() as occurrences:
            batches = (
                Keyed(batch, occurrences.key(batch.digest(label)), digest) for batch, digest in read_batches(stream)
            )
            seen = done.new + done.known + done.kept + done.refused
            for together in taken_together(each for each in batches if each.batch.lines[-1] > written_before):
                importer.append(together)
                done.line, done.digest = together[-1].batch.lines[-1], together[-1].digest
                checkpoint.save_now_and_then()
                seen += sum(len(each.batch.events) for each in together)
                update(seen, seen)
    except (Exception, KeyboardInterrupt) as error:
        error.add_note(summary.note())
        raise
    return summary


def _find_refused(store: Store, batch: Batch) -> tuple[int, str, bool] | None:
    """
    Find the line of the event that the policy refuses, why, and whether only because the customer's word stands.

    The store's error does not name the line.
    """
    loaded = store.load([batch.user_id])
    record, said = loaded.records[0], batch.provenance
    for line, event in zip(batch.lines, batch.events, strict=True):
        reason = refusal(record, event, loaded.at, provenance=said)
        if reason is not None:
            is_kept = said.said_at is not None and said.said_at <= loaded.at and _stands(record, batch, loaded.at)
            return line, f"{type(event).__name__} is refused: {reason}", is_kept
        version = record.version + 1
        entry = LedgerEntry(loaded.cursor.position, batch.user_id, version, loaded.at, event, said)
        record = fold(record, entry)
    return None  # another process wrote in between, or a registered notice says something else


def _stands(record: ConsentRecord, batch: Batch, at: datetime) -> bool:
    """Whether an import is refused only for what happened here since: then the ledger is right, and no mistake made."""
    if record.account in (Account.CLOSED, Account.ERASED) or isinstance(batch.events[0], AccountOpened):
        return True
    return refusal(record, batch.events[0], at, provenance=Provenance()) is None
