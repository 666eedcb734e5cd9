"""
Write the events of a file, those of one user all or none.

Each user's events have an idempotency key made of them, so the same file again writes nothing twice.
"""

from __future__ import annotations

from collections.abc import Collection

import attrs

from ....errors import InvalidEvent
from ....events import LedgerEntry, Provenance
from ....record import fold, refusal
from ....stores.protocol import Cursor, Store
from ...console import show_progress
from .event_file import UserEvents

SHOWN_LINES = 20


@attrs.define
class Summary:
    """How many users of an import were written, were there already or were refused."""

    total: int
    new: int = 0
    known: int = 0
    refused: list[tuple[int, str]] = attrs.field(factory=list)  # line and reason
    outdated: list[int] = attrs.field(factory=list)  # first lines of users already there who changed since

    def lines(self) -> list[str]:
        """Format the result for people."""
        return [
            f"{'written':<15}{self.new:>9,} users",
            f"{'already there':<15}{self.known:>9,} users",
            f"{'refused':<15}{len(self.refused):>9,} users",
        ]

    def note(self) -> str:
        """Describe what was done when the import had to stop."""
        left = self.total - self.new - self.known - len(self.refused)
        return (
            f"of {self.total:,} users {self.new:,} were written, {self.known:,} were already there,"
            f" {len(self.refused):,} were refused, {left:,} are left: run the same command again to finish"
        )

    def warning(self) -> str | None:
        """Warn of users who were there already and have changed since; None if no user is."""
        if not self.outdated:
            return None
        some = ", ".join(map(str, self.outdated[:SHOWN_LINES])) + (", …" if len(self.outdated) > SHOWN_LINES else "")
        return (
            f"note: {len(self.outdated):,} of the users already there have changed since these lines were written"
            f" (lines {some}): to count the lines again, run with another --label"
        )


def import_events(store: Store, users: Collection[UserEvents], label: str, actor: str) -> Summary:
    """
    Append the events of every user whose events are not in the ledger yet. *actor* is who writes them.

    Raises:
        StoreError: the store failed. A note tells how far the import came, as does that of `KeyboardInterrupt`.
    """
    summary = Summary(total=len(users))
    try:
        head, said = store.load([]).cursor, Provenance(by=actor)
        with show_progress("recording", len(users)) as update:
            for done, user in enumerate(users, start=1):
                _append(store, user, user.key(label), provenance=said, head=head, summary=summary)
                update(done, done)
    except (Exception, KeyboardInterrupt) as error:
        error.add_note(summary.note())
        raise
    return summary


def _append(
    store: Store, user: UserEvents, key: str, *, provenance: Provenance, head: Cursor, summary: Summary
) -> None:
    try:
        appended = store.append(user.user_id, user.events, idempotency_key=key, provenance=provenance)
    except InvalidEvent as error:
        summary.refused.append(_find_refused(store, user) or (user.lines[0], str(error)))
        return
    if appended.cursor.position > head.position:
        summary.new += 1
        return
    summary.known += 1
    if store.load([user.user_id]).records[0].version > appended.version:
        summary.outdated.append(user.lines[0])


def _find_refused(store: Store, user: UserEvents) -> tuple[int, str] | None:
    """Find the line of the event that the policy refuses, and why; the store's error does not name the line."""
    loaded = store.load([user.user_id])
    record = loaded.records[0]
    for line, event in zip(user.lines, user.events, strict=True):
        reason = refusal(record, event, loaded.at)
        if reason is not None:
            return line, f"{type(event).__name__} is refused: {reason}"
        record = fold(record, LedgerEntry(loaded.cursor.position, user.user_id, record.version + 1, loaded.at, event))
    return None  # another process wrote in between
