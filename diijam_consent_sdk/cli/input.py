"""
Read a list or event file line by line, from a file or from standard input.

Lists come from spreadsheets and exports, so a file that is not text in UTF-8 is refused by name before any customer is
left out because of it. Memory stays bounded whatever the bytes are.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .console import print_status

BOM = b"\xef\xbb\xbf"  # what Windows programs put before UTF-8
MAX_MARKS = 8  # at the beginning of a line
MAX_LINE_BYTES = 1 << 20

SAVE = "save it as UTF-8 text"
UNPACK = "unpack it first"
SAVE_CSV = "save the sheet as CSV UTF-8"
EXPORT = "export the ids as UTF-8 text"

# Formats by their first bytes, the longer mark first where one begins with another.
FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\xff\xfe\0\0|\0\0\xfe\xff", "UTF-32", SAVE),
    (rb"\xff\xfe|\xfe\xff", "UTF-16", SAVE),
    (rb"\xc3\xaf\xc2\xbb\xc2\xbf", "UTF-8 that was taken for Latin-1 and encoded a second time", SAVE),
    (rb"\x1f\x8b", "a gzip file", UNPACK),
    (rb"\x28\xb5\x2f\xfd", "a Zstandard file", UNPACK),
    (rb"BZh[1-9]1AY&SY", "a bzip2 file", UNPACK),
    (rb"\xfd7zXZ\0", "an xz file", UNPACK),
    (rb"\x04\x22\x4d\x18", "an LZ4 file", UNPACK),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (rb"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (rb"PK(\x03\x04|\x05\x06|\x07\x08)", "an Excel file (.xlsx), or another ZIP archive", SAVE_CSV),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file (.xls), or another of Office", SAVE_CSV),
    (rb"%PDF-", "a PDF file", EXPORT),
    (rb"\{\\rtf", "an RTF file", SAVE),
    (rb"PAR[1E]\x15", "a Parquet file", EXPORT),
    (rb"ARROW1\0\0|FEA1\0|\xff\xff\xff\xff", "an Arrow file", EXPORT),
    (rb"Obj\x01", "an Avro file", EXPORT),
    (rb"SQLite format 3\0", "an SQLite database", EXPORT),
    (rb"(?i:\s{0,99}<(\?xml|!doctype|html|table))", "HTML or XML (some programs call that .xls)", SAVE_CSV),
    (rb"[^\n]{0,9999}\0", "UTF-16 or UTF-32 without its mark, or no text at all", SAVE),
)
_FORMATS = [(re.compile(mark), name, advice) for mark, name, advice in FORMATS]


@contextmanager
def open_input(source: str) -> Iterator[BinaryIO]:
    """
    Open the file *source*, or standard input for `-`.

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
            print_status("reading from the terminal: end with Ctrl-D on a line of its own")
        yield sys.stdin.buffer


def file_size(stream: BinaryIO) -> int | None:
    """Return the number of bytes in *stream*, or None if it is not a regular file."""
    try:
        found = os.fstat(stream.fileno())
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


class Lines:
    """
    The lines of *stream* with their ends (LF alone ends one), read once. A line that `is_cut` lacks its rest.
    Byte-order marks at the beginning of lines, as in the middle of files that were joined, are removed.

    Attributes:
        has_mark: Whether the stream begins with a byte-order mark.

    Raises:
        ValueError: the stream is not text in UTF-8. The error names what it is.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._first = stream.readline(MAX_LINE_BYTES)
        self.has_mark = self._first.startswith(BOM)
        _check_text(_remove_marks(self._first))

    def __iter__(self) -> Iterator[bytes]:
        line = self._first
        while line:
            rest = line
            while is_cut(rest):
                rest = self._stream.readline(MAX_LINE_BYTES)
            yield _remove_marks(line)
            line = self._stream.readline(MAX_LINE_BYTES)


def is_cut(line: bytes) -> bool:
    """Whether a line was too long to be kept whole."""
    # Removed byte-order marks may have shortened it.
    return len(line) >= MAX_LINE_BYTES - MAX_MARKS * len(BOM) and not line.endswith(b"\n")


def _remove_marks(line: bytes) -> bytes:
    if not line.startswith(BOM):
        return line
    # Empty files among those that were joined leave several marks in a row.
    for _ in range(MAX_MARKS):
        line = line.removeprefix(BOM)
    return line


def _check_text(first_line: bytes) -> None:
    """
    Check that a first line can be that of a text in UTF-8.

    Raises:
        ValueError: it cannot. The error names the format, and shows nothing of the content.
    """
    for mark, name, advice in _FORMATS:
        if mark.match(first_line):
            raise ValueError(f"the input is {name}, not a text in UTF-8: {advice}")
    if b"\r" in first_line.rstrip(b"\r\n") and not first_line.endswith(b"\n"):
        raise ValueError("the lines of the input end with CR alone (the Macintosh form of old): save it as UTF-8 text")
