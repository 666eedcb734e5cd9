"""
Read and write CSV in the dialect of the input.

Lists come from Excel and go back to it, so the delimiter, the byte-order mark and each row leave as they came. An error
shows nothing of a row, since a row is a customer's.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from functools import partial
from typing import TextIO

import attrs

from ...input import Lines, is_cut

NumberedLines = Iterator[tuple[int, str]]
MARK = "\ufeff"
DELIMITERS = (",", ";", "\t", "|")  # Excel's depends on the country
DELIMITER_LINE = re.compile(r'"?sep=([^\w"\s]|\t)"?\r?\n?')  # what Excel takes, and some programs write, above a header


@attrs.frozen
class CsvDialect:
    """
    How a CSV file is written, so that the result is written the same way.

    Attributes:
        delimiter: What is between two fields.

        preamble: What is above the header. That is a byte-order mark, without which Excel reads no Vietnamese, and a
            line that names the delimiter.
    """

    delimiter: str = DELIMITERS[0]
    preamble: str = ""


class RowWriter:
    """Writes rows as CSV below a header; without a header, the first value of each row on a line."""

    def __init__(self, stream: TextIO, header: list[str] | None, dialect: CsvDialect) -> None:
        self._stream = stream
        self._is_csv = header is not None
        writer = partial(csv.writer, stream, lineterminator="\n", delimiter=dialect.delimiter)
        self._plain, self._quoting = writer(), writer(quoting=csv.QUOTE_ALL)
        if header is not None:
            stream.write(dialect.preamble)
            self.write(header)

    def write(self, values: list[str]) -> None:
        """Write one row."""
        if not self._is_csv:
            self._stream.write(values[0] + "\n")
        elif any("\r" in value for value in values):  # Python before 3.13 leaves a bare \r unquoted
            self._quoting.writerow(values)
        else:
            self._plain.writerow(values)


def number_lines(lines: Lines) -> NumberedLines:
    """
    Number the lines of a CSV file from 1.

    Raises:
        ValueError: a line cannot be CSV.
    """
    for number, line in enumerate(lines, start=1):
        if b"\0" in line:
            raise ValueError(f"line {number} holds a NUL byte: save the file as UTF-8 CSV")
        if is_cut(line):
            raise ValueError(f"line {number} is longer than 1 MiB: is this CSV?")
        yield number, decode_line(line)


def decode_line(line: bytes) -> str:
    """Decode a line. Bytes that are not UTF-8 are written as they came; in an id they are malformed."""
    return line.decode(errors="surrogateescape")


def detect_dialect(lines: NumberedLines, column: str, *, has_mark: bool) -> tuple[list[tuple[int, str]], CsvDialect]:
    """
    Find the dialect of a CSV file by its first line.

    Returns:
        The line to read again if it is the header, and the dialect.
    """
    first = next(lines, None)
    if first is None:
        return [], CsvDialect()
    above = DELIMITER_LINE.fullmatch(first[1])
    if above is not None:
        return [], CsvDialect(above[1], f"{MARK if has_mark else ''}sep={above[1]}\n")
    found = (delimiter for delimiter in DELIMITERS if column in _split(first[1], delimiter))
    return [first], CsvDialect(next(found, DELIMITERS[0]), MARK if has_mark else "")


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def read_rows(lines: NumberedLines, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """
    Read the header and the rows, all of one length, each with the line it begins on.

    Empty rows, which Excel leaves at the end, are skipped, and so is the header where files that were joined repeat it.

    Raises:
        ValueError: a row is broken.
    """
    number = 0

    def texts() -> Iterator[str]:
        nonlocal number
        for number, line in lines:  # noqa: B007 - read below
            yield line

    reader = csv.reader(texts(), strict=True, delimiter=delimiter)
    header: list[str] | None = None
    while True:
        line = number + 1
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"the CSV row that begins on line {line} is broken: {error}: correct it") from None
        if values is None:
            return
        if not any(values) or values == header:
            continue
        header = header or values
        if len(values) != len(header):
            raise ValueError(
                f"the CSV row on line {line} has {len(values)} fields, the header {len(header)}: correct it"
            )
        yield line, values


def find_column(header: list[str], column: str, delimiter: str) -> int:
    """
    Find the place of a column.

    Raises:
        ValueError: no column has this name, or several have. The header is not shown, as it may be a customer's.
    """
    if not header:
        raise ValueError("the input is empty: a CSV begins with the names of its columns")
    match header.count(column):
        case 0:
            raise ValueError(
                f"there is no column {column!r} among the {len(header)} of the first line, separated by {delimiter!r}:"
                " a CSV begins with the names of its columns, spelled as there"
            )
        case 1:
            return header.index(column)
        case count:
            raise ValueError(f"{count} columns are called {column!r}: rename all but one")
