"""
Append the batches of an event file: many in one transaction, those of one user in their order.

What is written and refused is the same as if each came alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

import attrs

from ....cache.bounded import remember
from ....errors import InvalidEvent, KeyReused, TooLarge, VersionConflict
from ....events import Event, LedgerEntry
from ....stores.answers import MAX_POSITION, Appended, Cursor, Loaded, Write, WriteResult
from ....stores.protocol import Store
from ...console import print_status
from .batches import Batch, Keyed
from .file_index import FileIndex
from .import_reasons import OVERTAKEN, REGROUPED, ended_noes, find_refused, says_again
from .import_summary import Summary

SHOWN_LINES = 20
MAX_TOGETHER = 500  # batches in one transaction, which also delays others that write
MAX_EVENTS_TOGETHER = 1_000
MAX_REMEMBERED = 10_000  # noes whose last written line is known


def taken_together(batches: Iterable[Keyed]) -> Iterator[list[Keyed]]:
    """
    Yield the batches that are written in one transaction, those of one user only after imported ones. Another process
    that writes at the wrong moment can have the later one judged first, and an import never overrules.
    """
    together: list[Keyed] = []
    said_here, events = set[str](), 0
    for each in batches:
        batch = each.batch
        events += len(batch.events)
        is_full = len(together) == MAX_TOGETHER or events > MAX_EVENTS_TOGETHER
        if together and (is_full or batch.user_id in said_here):
            yield together
            together, said_here, events = [], set(), len(batch.events)
        together.append(each)
        if batch.provenance.said_at is None:
            said_here.add(batch.user_id)
    if together:
        yield together


@attrs.define
class Settled:
    """
    What became of batches that were written together.

    Attributes:
        reasons: Why some were refused, by the line of the event.

        repeats: Those that were there already and are their user's last, with what the first append made.
    """

    reasons: dict[int, str] = attrs.field(factory=dict)
    repeats: list[tuple[Batch, Appended]] = attrs.field(factory=list)


@attrs.define
class Importer:
    """
    Appends batches to *store*, and counts what became of them. *head* is from before, *index* of the file. With
    *is_again* what was said before may be said again, as the operator gave a label.
    """

    store: Store
    head: Cursor
    summary: Summary
    index: FileIndex
    is_again: bool = False
    _last_written: dict[tuple[str, Event], int] = attrs.field(factory=dict, repr=False, init=False)  # line of each no
    _versions: dict[str, int] = attrs.field(factory=dict, repr=False, init=False)  # by key, once the history was read

    def append(self, keyed: Sequence[Keyed]) -> None:
        """
        Append batches in one transaction, or in several where that would be too large, or where one is refused: the
        user's next waits until that one is explained.
        """
        settled = Settled()
        try:
            self._append([part for each in keyed for part in each.parts()], settled)
            if settled.repeats:  # once all is settled: one that waited came before them in the file
                self._count_outdated(settled.repeats)
        finally:
            self._versions.clear()
            print_status(*(f"line {line}: {reason}" for line, reason in sorted(settled.reasons.items())))

    def _append(self, keyed: Sequence[Keyed], settled: Settled) -> None:
        while keyed:
            try:
                results = self.store.append_many(self._writes(keyed))
            except TooLarge:
                if len(keyed) == 1:
                    raise
                half = len(keyed) // 2
                self._append(keyed[:half], settled)
                self._append(keyed[half:], settled)
                return
            pairs, refused = zip(keyed, results, strict=True), list[tuple[Batch, InvalidEvent]]()
            keyed = [again for each, result in pairs for again in self._settle(each, result, settled, refused)]
            if refused:
                self._explain(refused, settled)

    def _writes(self, keyed: Sequence[Keyed]) -> list[Write]:
        """
        Make the writes. A user's second is for the version that the first makes, and so on. A yes that was said here is
        for a new user or for the history that was read: else, where lines were added to a file that was written before,
        an old yes would come again with them. A repeat is known whatever the version.
        """
        counts = Counter(each.batch.user_id for each in keyed)
        several = [user_id for user_id, count in counts.items() if count > 1]
        records = self._load(several).records if several else ()
        versions, following = {record.user_id: record.version for record in records}, dict[str, int]()
        writes = []
        for each in keyed:
            batch = each.batch
            version = following.get(batch.user_id)
            if batch.yes_said_here() is not None:
                # Behind others of its user it waits for these: no record has that version.
                version = self._versions.get(each.key, 0) if version is None else MAX_POSITION
            writes.append(Write(batch.user_id, batch.events, version, each.key, batch.provenance))
            if batch.user_id in versions:
                versions[batch.user_id] += len(batch.events)
                following[batch.user_id] = versions[batch.user_id]
        return writes

    def _load(self, user_ids: Iterable[str]) -> Loaded:
        """Load records, each once, by one read, or by several where they are too large together."""
        asked = list(dict.fromkeys(user_ids))
        try:
            return self.store.load(asked)
        except TooLarge:
            if len(asked) == 1:
                raise
        half = len(asked) // 2
        first, second = self._load(asked[:half]), self._load(asked[half:])
        return attrs.evolve(second, records=first.records + second.records)

    def _settle(
        self, keyed: Keyed, result: WriteResult, settled: Settled, refused: list[tuple[Batch, InvalidEvent]]
    ) -> Iterable[Keyed]:
        """Count a batch that was written, add it to *refused*, or give what is to be tried again."""
        batch = keyed.batch
        if isinstance(result, Appended):
            self._count(batch, result, settled)
        elif isinstance(result, (VersionConflict, KeyReused)):
            reason = REGROUPED if isinstance(result, KeyReused) else self._find_outdated(keyed)
            if reason is None:
                return [keyed]
            self.summary.done.refused += len(batch.events)
            settled.reasons[batch.lines[0]] = reason
        elif not isinstance(result, InvalidEvent):
            raise result
        else:
            refused.append((batch, result))
        return ()

    def _find_outdated(self, keyed: Keyed) -> str | None:
        """
        Say why a yes of a batch is not written: the ledger had it before the import began, or has a no that stands
        below it in the file. None: the batch is for the history that was read.
        """
        batch = keyed.batch
        if batch.yes_said_here() is None:
            return None
        history = self.store.history(batch.user_id)
        self._versions[keyed.key] = history[-1].version if history else 0
        began = self.summary.done.began
        if not self.is_again and says_again(batch, history, self.head.position if began is None else began):
            return REGROUPED
        return OVERTAKEN if history and self._ends_no_below(batch, history) else None

    def _ends_no_below(self, batch: Batch, history: Sequence[LedgerEntry]) -> bool:
        """
        Whether a batch would end a no that stands below it in the file, and is written. It is so where the batch was
        refused when the no was written, and is accepted now.
        """
        last = batch.lines[-1]
        for no in ended_noes(batch, history):
            place = (batch.user_id, no)
            if place not in self._last_written:
                with closing(self.index.find_below(*place, last)) as below:
                    written = next((line for line, key in below if self._is_used(key, batch)), 0)
                remember(self._last_written, place, written, MAX_REMEMBERED)
            if self._last_written[place] > last:
                return True
        return False

    def _is_used(self, key: str, batch: Batch) -> bool:
        """Ask the ledger whether it has another batch of the user by its key, with a write that it cannot accept."""
        (result,) = self.store.append_many([Write(batch.user_id, batch.events, MAX_POSITION, key, batch.provenance)])
        if not isinstance(result, (Appended, KeyReused, InvalidEvent, VersionConflict)):
            raise result
        return isinstance(result, (Appended, KeyReused))

    def _count(self, batch: Batch, appended: Appended, settled: Settled) -> None:
        done = self.summary.done
        if appended.cursor.position > self.head.position:
            done.cursor = str(appended.cursor)
            done.new += len(batch.events)
            return
        done.known += len(batch.events)
        # Else the file goes on about this user, or tells the past: what came later stands anyway.
        if batch.is_last and batch.provenance.said_at is None:
            settled.repeats.append((batch, appended))

    def _count_outdated(self, repeats: Sequence[tuple[Batch, Appended]]) -> None:
        """Count the batches whose users have changed since."""
        records = self._load(batch.user_id for batch, _ in repeats).records
        versions = {record.user_id: record.version for record in records}
        outdated = [batch.lines[0] for batch, appended in repeats if versions[batch.user_id] > appended.version]
        self.summary.outdated += len(outdated)
        self.summary.outdated_lines += outdated[: SHOWN_LINES - len(self.summary.outdated_lines)]

    def _explain(self, refused: Sequence[tuple[Batch, InvalidEvent]], settled: Settled) -> None:
        """Count the batches that were refused, and note the reasons by the lines of the events."""
        loaded = self._load(batch.user_id for batch, _ in refused)
        records = {record.user_id: record for record in loaded.records}
        for batch, error in refused:
            found = find_refused(self.store, batch, records[batch.user_id], loaded)
            line, reason, is_kept = found or (batch.lines[0], str(error), False)
            if is_kept:
                self.summary.done.kept += len(batch.events)
            else:
                self.summary.done.refused += len(batch.events)
            settled.reasons[line] = reason
