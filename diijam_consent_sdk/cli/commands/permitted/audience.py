"""
Read the customers that a list names, from ids one a line or from a column of a CSV file.

Each customer counts once, and malformed ids are counted, so that the summary adds up to the list.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

import attrs

from ....identifiers import is_user_id
from ...input import Lines
from .csv_rows import (
    DELIMITER_LINE,
    DELIMITERS,
    CsvDialect,
    decode_line,
    detect_dialect,
    find_column,
    number_lines,
    read_rows,
)
from .seen_ids import SeenIds

SHOWN_LINES = 3
FIRST_LINES = 1000  # checked for another encoding; a wrong line far down costs only its row, not a long run


@attrs.frozen
class Row:
    """One customer, and the values of the row that named the customer: of a plain list, the id alone."""

    user_id: str
    values: list[str]


class Audience:
    """
    The rows of *stream*, read once, as they are iterated. The ids that came are remembered on disk.

    Attributes:
        header: The names of the columns; None for plain ids.

        dialect: How the CSV is written.

        duplicates: How many rows named a customer again. They are left out.

        malformed: How many rows hold what cannot be an id. They are left out. `malformed_lines` are the first of them.

    Args:
        stream: The bytes of the list.

        column: The CSV column that holds the ids; None for plain ids.

    Raises:
        ValueError: there is no such column, or none is named and this looks like CSV, or the list is not text in UTF-8.
            While iterating: a line of the CSV is broken, which the error names. No error shows what the list holds.
    """

    def __init__(self, stream: BinaryIO, column: str | None) -> None:
        self.header: list[str] | None = None
        self.duplicates = self.malformed = 0
        self.malformed_lines: list[int] = []
        self.dialect = CsvDialect()
        self._column = 0
        self._rows: Iterator[tuple[int, list[str]]]
        lines = Lines(stream)
        if column is None:
            self._rows = _plain_rows(lines)
            first = next(self._rows, None)
            if first is not None:
                _check_plain(first[1][0])
                self._rows = chain([first], self._rows)
        else:
            numbered = number_lines(lines)
            first_lines, self.dialect = detect_dialect(numbered, column, has_mark=lines.has_mark)
            self._rows = read_rows(chain(first_lines, numbered), self.dialect.delimiter)
            self.header = next(self._rows, (0, []))[1]
            self._column = find_column(self.header, column, self.dialect.delimiter)

    def __iter__(self) -> Iterator[Row]:
        with SeenIds() as seen:
            for line, values in self._rows:
                user_id = values[self._column]
                if not is_user_id(user_id):
                    self.malformed += 1
                    if len(self.malformed_lines) < SHOWN_LINES:
                        self.malformed_lines.append(line)
                elif seen.add(user_id):
                    yield Row(user_id, values)
                else:
                    self.duplicates += 1


def _plain_rows(lines: Lines) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, start=1):
        text = decode_line(line).removesuffix("\n").removesuffix("\r")
        if number <= FIRST_LINES and not text.isprintable() and _has_other_encoding(text):
            raise ValueError(f"line {number} is not UTF-8 (Latin-1, or a code page of Windows?): save it as UTF-8 text")
        if 3 * line.count(b"\0") >= len(line):  # one alone costs its own row, too
            raise ValueError(f"line {number} is UTF-16 (another file was joined to the first?): save it as UTF-8 text")
        yield number, [text]


def _has_other_encoding(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text)


def _check_plain(first: str) -> None:
    """Check that a list of ids does not begin as JSON or CSV does. The line is not shown: it may be a customer's."""
    if first[:1] in {"{", "["} and first[1:].strip()[:1] in {"", '"', "{", "["}:
        raise ValueError("this looks like JSON: give the ids one a line")
    if first[:1] == '"' or any(delimiter in first for delimiter in DELIMITERS[:3]) or DELIMITER_LINE.fullmatch(first):
        raise ValueError("this looks like CSV: add --column with the name of the one that holds the ids")
