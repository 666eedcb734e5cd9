"""
Save how far an import came, so that an interrupted one goes on there when the same command is run again.

Beside `events.jsonl` lies `events.jsonl.resume`, JSON with no id in it. Lines are passed over only if that is proved
right: the file still begins with the same lines, and the ledger still has the entry that was its last by then.
Otherwise the import starts from the first line, which writes nothing twice either, and takes longer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import msgspec

from ...._file_owners import open_checked
from ...._files import replace_file
from ....stores.answers import Cursor
from ....stores.protocol import Store
from ...console import print_status

SUFFIX = ".resume"
SAVE_SECONDS = 1.0
MAX_BYTES = 2**16


@attrs.define
class Progress:
    """
    How far an import came.

    Attributes:
        line: The last line that is done, 0 for none.

        digest: The hash of the lines up to it.

        cursor: A place in the ledger with all that was written, as a token.

        label: The import's `--label`.

        whole: The hash of the whole file.

        began: The ledger's last position before the import of this very file; None: not known.

        new, known, kept, refused: The lines counted so far.
    """

    line: int = 0
    digest: str = ""
    cursor: str = ""
    label: str = ""
    whole: str = ""
    began: int | None = None
    new: int = 0
    known: int = 0
    kept: int = 0
    refused: int = 0

    @property
    def counted(self) -> int:
        """How many lines were counted, whatever became of them."""
        return self.new + self.known + self.kept + self.refused


class ImportCheckpoint:
    """
    The progress of an import, saved at *path* now and then.

    Args:
        path: The file; None saves nothing, for standard input.
    """

    def __init__(self, path: Path | None) -> None:
        self.progress = Progress()
        self._path = path
        self._saved_at = time.monotonic()

    def read(self) -> None:
        """
        Read the progress of an interrupted import, if there is one.

        Raises:
            ValueError: the file is something else. It stays as it is.

            OSError: the file cannot be read, or another user can have written it.
        """
        if self._path is None or not os.path.lexists(self._path):
            return
        with open_checked(self._path) as stream:  # a planted one would pass over lines
            data = stream.read(MAX_BYTES)
        try:
            self.progress = msgspec.json.decode(data, type=Progress)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ValueError(
                f"{self._path} is not what an interrupted import leaves: move it away, then run the same command again"
            ) from None

    def start_over_unless(self, digest: str, label: str, store: Store, whole: str) -> None:
        """Forget the progress unless the file's first lines hash to *digest*, and *store* has what was written."""
        known = self.progress
        is_same = known.line > 0 and (known.digest, known.label) == (digest, label)
        if is_same and _is_in_history(store, known.cursor):
            print_status(f"going on after line {known.line:,}, where the import was interrupted")
        else:
            self.progress = Progress(label=label)
        if self.progress.whole != whole:  # lines were added: a yes that this import wrote may come again beside them
            self.progress.whole, self.progress.began = whole, None

    def save_now_and_then(self) -> None:
        """Save the progress if the last time was more than a second ago."""
        if time.monotonic() - self._saved_at >= SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Save the progress. A folder that cannot be written is noted once: the import goes on without."""
        if self._path is None or not self.progress.line:
            return
        try:
            with replace_file(self._path) as stream:
                stream.write(msgspec.json.encode(self.progress))
        except OSError as error:
            print_status(f"note: {self._path} cannot be written ({error.strerror}): after an interruption all lines"
                         " are looked at again, and none is written twice")  # fmt: skip
            self._path = None
        self._saved_at = time.monotonic()

    def remove(self) -> None:
        """Remove the file: the import is complete."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


@contextmanager
def open_import_checkpoint(file: str) -> Iterator[ImportCheckpoint]:
    """Open the checkpoint beside *file*. It stays if the block raises after lines were done."""
    checkpoint = ImportCheckpoint(None if file == "-" else Path(file + SUFFIX))
    checkpoint.read()
    try:
        yield checkpoint
    except BaseException:
        checkpoint.save()
        raise
    checkpoint.remove()


def _is_in_history(store: Store, token: str) -> bool:
    try:
        cursor = Cursor.parse(token)
    except ValueError:
        return False
    return store.changes(cursor, wait=0.0, limit=1).is_continuation()
