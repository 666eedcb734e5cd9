"""Results that are complete or absent: nothing is seen of them until all of it is there."""

from __future__ import annotations

import csv
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO

from .._file_owners import check_links
from .._files import replace_file, sync_folder
from .commands.permitted.audience import CsvForm
from .console import tell

STANDARD_OUTPUT = "-"


@contextmanager
def written_whole(output: str) -> Iterator[TextIO]:
    """
    Where to write the results. If the block raises, there are none, and a file that was there before is untouched.

    Args:
        output: The file, or `-` for standard output.

    Raises:
        OSError: the place cannot be written.

        ValueError: it is there and is no regular file.
    """
    with _spooled() if output == STANDARD_OUTPUT else _replacing(output) as binary:
        # What was no UTF-8 in the input leaves as it came.
        text = TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape", newline="")
        try:
            yield text
        finally:
            text.detach()


def place_of(output: str) -> Path:
    """
    The file that *output* names. A link goes on pointing to where it does.

    Raises:
        ValueError: it is there and is no regular file.

        PermissionError: a link on the way is somebody else's, who would have the results written where they say.
    """
    with suppress(FileNotFoundError):  # that is said by whoever writes it
        check_links(Path(output).absolute())
    path = Path(output).resolve()
    if path.exists() and not path.is_file():
        raise ValueError(
            f"{output} is no regular file: name another, or leave --output out to write to standard output"
        )
    return path


@contextmanager
def _spooled() -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as spool:
        try:
            yield spool
        except BaseException as error:
            error.add_note("nothing was written")
            raise
        spool.seek(0)
        sys.stdout.flush()
        shutil.copyfileobj(spool, sys.stdout.buffer)
        sys.stdout.buffer.flush()


@contextmanager
def _replacing(output: str) -> Iterator[BinaryIO]:
    path = place_of(output)
    inode = None
    try:
        with replace_file(path) as stream:
            inode = os.fstat(stream.fileno()).st_ino
            yield stream
        is_durable = sync_folder(path.parent)
    except BaseException as error:
        is_complete = path.exists() and path.stat().st_ino == inode
        error.add_note(f"{output} is complete" if is_complete else f"nothing was written to {output}")
        if isinstance(error, OSError) and error.filename == str(path):
            error.filename = output
        raise
    if not is_durable:
        tell(f"note: {output} is complete, but its folder cannot be synced: a power cut within seconds may lose it")


class Rows:
    """Writes rows as CSV of a form below a header; without one, the first value of each on a line."""

    def __init__(self, stream: TextIO, header: list[str] | None, form: CsvForm) -> None:
        self._stream = stream
        self._is_csv = header is not None
        written = partial(csv.writer, stream, lineterminator="\n", delimiter=form.separator)
        self._plain, self._quoting = written(), written(quoting=csv.QUOTE_ALL)
        if header is not None:
            stream.write(form.preamble)
            self.write(header)

    def write(self, values: list[str]) -> None:
        """Write one row."""
        if not self._is_csv:
            self._stream.write(values[0] + "\n")
        elif any("\r" in value for value in values):  # Python before 3.13 leaves a bare \r unquoted
            self._quoting.writerow(values)
        else:
            self._plain.writerow(values)
