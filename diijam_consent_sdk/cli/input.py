"""Bytes from a file or from standard input, line by line, in bounded memory whatever they hold."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .console import tell
from .file_kinds import check_text

BOM = b"\xef\xbb\xbf"  # what Windows programs put before UTF-8
MAX_MARKS = 8  # at the beginning of a line
MAX_LINE_BYTES = 1 << 20


@contextmanager
def reading(source: str) -> Iterator[BinaryIO]:
    """
    The bytes of the file *source*, or with `-` of standard input.

    Raises:
        OSError: the file cannot be read.

        ValueError: standard input is closed.
    """
    if source != "-":
        with Path(source).open("rb") as stream:
            yield stream
    elif sys.stdin is None:
        raise ValueError("standard input is closed: name a file")
    else:
        if sys.stdin.isatty():
            tell("reading from the terminal: end with Ctrl-D on a line of its own")
        yield sys.stdin.buffer


def size_of(stream: BinaryIO) -> int | None:
    """How many bytes there are, if *stream* is a regular file."""
    try:
        found = os.fstat(stream.fileno())
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


class Lines:
    """
    The lines of *stream* with their ends (LF alone ends one), read once. One that `is_cut` lacks its rest. Where lines
    begin with a byte-order mark, as they do in the middle of files that were joined, it is left out.

    Attributes:
        has_mark: Whether the stream begins with a byte-order mark.

    Raises:
        ValueError: the stream is no text in UTF-8, but what the error names.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._first = stream.readline(MAX_LINE_BYTES)
        self.has_mark = self._first.startswith(BOM)
        check_text(_unmarked(self._first))
        if b"\r" in self._first.rstrip(b"\r\n") and not self._first.endswith(b"\n"):
            raise ValueError(
                "the lines of the input end with CR alone (the Macintosh form of old): save it as UTF-8 text"
            )

    def __iter__(self) -> Iterator[bytes]:
        line = self._first
        while line:
            rest = line
            while is_cut(rest):
                rest = self._stream.readline(MAX_LINE_BYTES)
            yield _unmarked(line)
            line = self._stream.readline(MAX_LINE_BYTES)


def _unmarked(line: bytes) -> bytes:
    # More than one mark is left of empty files among those that were joined.
    for _ in range(MAX_MARKS):
        line = line.removeprefix(BOM)
    return line


def is_cut(line: bytes) -> bool:
    """Whether a line is too long to be kept whole."""
    # It may be shorter by its byte-order marks.
    return len(line) >= MAX_LINE_BYTES - MAX_MARKS * len(BOM) and not line.endswith(b"\n")
