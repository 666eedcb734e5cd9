"""Bytes from a file or from standard input, line by line, in bounded memory whatever they hold."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .terminal import tell

BOM = b"\xef\xbb\xbf"  # what Windows programs put before UTF-8
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


def lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines with their ends (LF alone ends one), without the byte-order mark. One that `is_cut` lacks its rest."""
    line = stream.readline(MAX_LINE_BYTES).removeprefix(BOM)
    while line:
        rest = line
        while is_cut(rest):
            rest = stream.readline(MAX_LINE_BYTES)
        yield line
        line = stream.readline(MAX_LINE_BYTES)


def is_cut(line: bytes) -> bool:
    """Whether a line is too long to be kept whole."""
    # The first line may be shorter by its byte-order mark.
    return len(line) >= MAX_LINE_BYTES - len(BOM) and not line.endswith(b"\n")
