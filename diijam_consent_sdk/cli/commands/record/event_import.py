"""
Write the events of a file, those of one batch all or none, and many batches in one transaction.

Each batch has an idempotency key made of its content, so the same file again writes nothing twice.
"""

from __future__ import annotations

from typing import BinaryIO

import attrs

from ....stores.protocol import Store
from ...console import show_progress
from .batches import Keyed
from .event_file import read_batches
from .file_index import FileIndex
from .import_checkpoint import ImportCheckpoint
from .import_summary import Summary
from .importer import Importer, taken_together


def import_events(
    store: Store,
    stream: BinaryIO,
    *,
    label: str,
    actor: str,
    total: int,
    checkpoint: ImportCheckpoint,
    index: FileIndex,
) -> Summary:
    """
    Append the events of *stream*, which has *total* of them, from where *checkpoint* says. *actor* writes them, and
    `check_lines` has filled *index*.

    Raises:
        StoreError: the store failed. A note tells how far the import came, as does that of `KeyboardInterrupt`.

        ValueError: the file is not the one that *checkpoint* was opened for.
    """
    done = checkpoint.progress
    summary = Summary(total, done)
    written_before, complete = done.line, attrs.evolve(done)
    try:
        importer = Importer(store, store.load([]).cursor, summary, index, is_again=bool(label))
        done.cursor = str(importer.head)
        if done.began is None:
            done.began = importer.head.position
        with show_progress("recording", total, "lines") as update:
            batches = (
                Keyed(batch, index.key(batch.digest(label)), digest)
                for batch, digest in read_batches(stream, actor, label, done.whole)
            )
            seen = done.counted
            for together in taken_together(each for each in batches if each.batch.lines[-1] > written_before):
                importer.append(together)
                done.line, done.digest = together[-1].batch.lines[-1], together[-1].digest
                complete = attrs.evolve(done)
                checkpoint.save_now_and_then()
                seen += sum(len(each.batch.events) for each in together)
                update(seen, seen)
    except (Exception, KeyboardInterrupt) as error:
        error.add_note(summary.note())
        checkpoint.progress = complete  # lines of a group that ended in the middle are counted when they come again
        raise
    return summary
