"""
Write results that are complete or absent.

Half a list looks like a whole one, and a customer missing from it is a lost answer, so nothing appears until all of it
is there.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO

from .._file_owners import check_links
from .._files import replace_file, sync_folder
from .console import print_status

STANDARD_OUTPUT = "-"


@contextmanager
def open_output(output: str) -> Iterator[TextIO]:
    """
    Open where the results go. If the block raises, nothing is written, and a file that was there stays untouched.

    Args:
        output: The file, or `-` for standard output.

    Raises:
        OSError: the output cannot be written.

        ValueError: *output* exists and is not a regular file.
    """
    with _open_spool() if output == STANDARD_OUTPUT else _open_replacement(output) as binary:
        # surrogateescape: bytes that were not UTF-8 in the input are written as they came.
        text = TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape", newline="")
        try:
            yield text
        finally:
            text.detach()


def resolve_output(output: str) -> Path:
    """
    Return the file that *output* leads to. Links are followed, and stay.

    Raises:
        ValueError: *output* exists and is not a regular file.

        PermissionError: another user made a link on the way, and so would decide where the results are written.
    """
    with suppress(FileNotFoundError):  # writing the file raises it again
        check_links(Path(output).absolute())
    path = Path(output).resolve()
    if path.exists() and not path.is_file():
        raise ValueError(f"{output} is no regular file: name another, or - for standard output")
    return path


@contextmanager
def _open_spool() -> Iterator[BinaryIO]:
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
def _open_replacement(output: str) -> Iterator[BinaryIO]:
    path = resolve_output(output)
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
        print_status(
            f"note: {output} is complete, but its folder cannot be synced: a power cut within seconds may lose it"
        )
