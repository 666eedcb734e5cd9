"""The customers a list names: ids one a line, or a column of a CSV file; each once, the malformed counted."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

import attrs

from ..vocabulary import identifier
from .inputs import is_cut, lines
from .seen_ids import SeenIds

SHOWN_LINES = 3


@attrs.frozen
class Row:
    """One customer, and the row that named them: all its values, or the id alone."""

    user_id: str
    values: list[str]


class Audience:
    """
    The rows of *stream*, read as they are iterated, once. The ids it has seen are remembered on disk.

    Attributes:
        header: The names of the columns; None where there are just ids.

        duplicates: How many rows named a customer again. They are left out.

        malformed: How many rows hold what can be no id. They are left out. `malformed_lines` are the first of them.

    Args:
        stream: The bytes of the list.

        column: The CSV column that holds the ids; None for plain ids.

    Raises:
        ValueError: there is no such column, or none is named and this looks like CSV. While iterating: the CSV is
            broken; the line is named.
    """

    def __init__(self, stream: BinaryIO, column: str | None) -> None:
        self.header: list[str] | None = None
        self.duplicates = self.malformed = 0
        self.malformed_lines: list[int] = []
        self._index = 0
        self._rows: Iterator[tuple[int, list[str]]]
        if column is None:
            self._rows = _plain_rows(stream)
            first = next(self._rows, None)
            if first is not None:
                _check_plain(first[1][0])
                self._rows = chain([first], self._rows)
        else:
            self._rows = _csv_rows(stream)
            self.header = next(self._rows, (0, []))[1]
            self._index = _index(self.header, column)

    def __iter__(self) -> Iterator[Row]:
        with SeenIds() as seen:
            for line, values in self._rows:
                user_id = values[self._index]
                if not _is_identifier(user_id):
                    self.malformed += 1
                    if len(self.malformed_lines) < SHOWN_LINES:
                        self.malformed_lines.append(line)
                elif seen.add(user_id):
                    yield Row(user_id, values)
                else:
                    self.duplicates += 1


def _is_identifier(text: str) -> bool:
    try:
        identifier(text)
    except ValueError:
        return False
    return True


def _plain_rows(stream: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines(stream), start=1):
        yield number, [_text(line).removesuffix("\n").removesuffix("\r")]


def _check_plain(first: str) -> None:
    if "," in first:
        names = first.split(",")
        # Where there is no header, the first line is a customer's, and not to be shown.
        shown = f" ({', '.join(names)})" if all(name.isidentifier() for name in names) else ""
        raise ValueError(f"this looks like CSV: add --column with the name of the one that holds the ids{shown}")


def _csv_rows(stream: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """The header and the rows, all of one length, each with the line it begins on. Blank lines are skipped."""
    reader = csv.reader(_csv_lines(stream), strict=True)
    width = None
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"the CSV row that begins on line {line} is broken: {error}: correct it") from None
        if values is None:
            return
        if not values:
            continue
        width = width or len(values)
        if len(values) != width:
            raise ValueError(f"the CSV row on line {line} has {len(values)} fields, the header {width}: correct it")
        yield line, values


def _csv_lines(stream: BinaryIO) -> Iterable[str]:
    for number, line in enumerate(lines(stream), start=1):
        if b"\0" in line:
            raise ValueError(f"line {number} holds a NUL byte: save the file as UTF-8 CSV")
        if is_cut(line):
            raise ValueError(f"line {number} is longer than 1 MiB: is this CSV?")
        yield _text(line)


def _text(line: bytes) -> str:
    # What is no UTF-8 leaves as it came; in an id it is malformed.
    return line.decode(errors="surrogateescape")


def _index(header: list[str], column: str) -> int:
    if not header:
        raise ValueError("the input is empty: a CSV begins with the names of its columns")
    found = ", ".join(header)
    match header.count(column):
        case 0:
            apart = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
            hint = f"; the columns are separated by {apart!r}: save the file with commas" if apart else ""
            raise ValueError(f"there is no column {column!r}; found: {found}{hint}")
        case 1:
            return header.index(column)
        case count:
            raise ValueError(f"{count} columns are called {column!r}; found: {found}")
