"""Writing the batches of an event file: each user all or nothing, and the same file again writes nothing twice."""

from __future__ import annotations

from collections.abc import Collection

import attrs

from ....errors import InvalidEvent
from ....events import LedgerEntry
from ....record import fold, refusal
from ....stores.protocol import Cursor, Store
from ...console import progress
from .event_file import Batch

SHOWN_LINES = 20


@attrs.define
class Summary:
    """How far the import came."""

    total: int
    new: int = 0
    known: int = 0
    refused: list[tuple[int, str]] = attrs.field(factory=list)  # line, and why
    outdated: list[int] = attrs.field(factory=list)  # first lines of users already there who changed since

    def lines(self) -> list[str]:
        """The result, for people."""
        return [
            f"{'written':<15}{self.new:>9,} users",
            f"{'already there':<15}{self.known:>9,} users",
            f"{'refused':<15}{len(self.refused):>9,} users",
        ]

    def note(self) -> str:
        """What was done when the import had to stop."""
        left = self.total - self.new - self.known - len(self.refused)
        return (
            f"of {self.total:,} users {self.new:,} were written, {self.known:,} were already there,"
            f" {len(self.refused):,} were refused, {left:,} are left: run the same command again to finish"
        )

    def warning(self) -> str | None:
        """What the user should know of those who were already there."""
        if not self.outdated:
            return None
        some = ", ".join(map(str, self.outdated[:SHOWN_LINES])) + (", …" if len(self.outdated) > SHOWN_LINES else "")
        return (
            f"note: {len(self.outdated):,} of the users already there have changed since these lines were written"
            f" (lines {some}): if the lines are meant anew, run again with a --label of their own"
        )


def write(store: Store, batches: Collection[Batch], label: str) -> Summary:
    """
    Append every batch that is not in the ledger yet.

    Raises:
        StoreError: the store failed. The error says, as a note, how far the import came; so does `KeyboardInterrupt`.
    """
    summary = Summary(total=len(batches))
    try:
        head = store.load([]).cursor
        with progress("recording", len(batches)) as show:
            for done, batch in enumerate(batches, start=1):
                _write_one(store, batch, batch.key(label), head, summary)
                show(done, done)
    except (Exception, KeyboardInterrupt) as error:
        error.add_note(summary.note())
        raise
    return summary


def _write_one(store: Store, batch: Batch, key: str, head: Cursor, summary: Summary) -> None:
    try:
        appended = store.append(batch.user_id, batch.events, idempotency_key=key)
    except InvalidEvent as error:
        summary.refused.append(_refused(store, batch) or (batch.lines[0], str(error)))
        return
    if appended.cursor.position > head.position:
        summary.new += 1
        return
    summary.known += 1
    if store.load([batch.user_id]).records[0].version > appended.record.version:
        summary.outdated.append(batch.lines[0])


def _refused(store: Store, batch: Batch) -> tuple[int, str] | None:
    """The line of the event that the policy refuses, and why: the error itself tells only where it is in its batch."""
    loaded = store.load([batch.user_id])
    record = loaded.records[0]
    for line, event in zip(batch.lines, batch.events, strict=True):
        reason = refusal(record, event, loaded.at)
        if reason is not None:
            return line, f"{type(event).__name__} is refused: {reason}"
        record = fold(record, LedgerEntry(loaded.cursor.position, batch.user_id, record.version + 1, loaded.at, event))
    return None  # somebody wrote in between
